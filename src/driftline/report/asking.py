"""Questions about one model over a period; every query is kept for the page."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from driftline import names
from driftline.report.page import Query
from driftline.report.prometheus import quoted
from driftline.report.words import lasting, moment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftline.report.draw import Points
    from driftline.report.page import Section, Tone
    from driftline.report.prometheus import Prometheus

Key = tuple[str, ...]

MOST = 20
"""Rows of a table."""
STEPS = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 86_400)


class Period(NamedTuple):
    """The time that a report is about; *text* is its length as Prometheus writes it, such as ``7d``."""

    start: float
    end: float
    text: str

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start

    @property
    def step(self) -> int:
        """The seconds between two points of a drawing: at most 300 points."""
        return next((step for step in STEPS if self.seconds <= 300 * step), STEPS[-1])

    @property
    def reach(self) -> int:
        """How far before a point what was there still counts: a step, and a query's own five minutes at least."""
        return max(self.step, 300)


class Asking:
    """Questions about one model; what was asked is kept until a section takes it."""

    def __init__(self, prometheus: Prometheus, environment: str, model: str, period: Period) -> None:
        self.period = period
        self.of = f"environment={quoted(environment)}, model={quoted(model)}"
        self._prometheus = prometheus
        self._asked: list[Query] = []

    def now(self, about: str, expr: str, *labels: str) -> dict[Key, float]:
        """Return the values at the end of the period by *labels*, those that are a number."""
        found = self._prometheus.now(expr, self.period.end)
        self._asked.append(Query(about, expr, f"at {moment(self.period.end)}"))
        return {
            tuple(one.labels.get(label, "") for label in labels): one.points[0][1]
            for one in found
            if math.isfinite(one.points[0][1])
        }

    def one(self, about: str, expr: str) -> float | None:
        """Return the only value at the end of the period; None where there is none."""
        return next(iter(self.now(about, expr).values()), None)

    def over(self, about: str, expr: str, *labels: str) -> dict[Key, Points]:
        """Return the values over the period by *labels*."""
        period = self.period
        found = self._prometheus.over(expr, period.start, period.end, period.step)
        self._asked.append(Query(about, expr, f"over the period, every {lasting(period.step)}"))
        return {
            tuple(one.labels.get(label, "") for label in labels): [
                (at, value) for at, value in one.points if math.isfinite(value)
            ]
            for one in found
        }

    def line(self, about: str, expr: str) -> Points:
        """Return the values over the period of the only series; none where there is none."""
        return next(iter(self.over(about, expr).values()), [])

    def while_there(self, about: str, series: str, *labels: str) -> dict[Key, Points]:
        """Return at which points of the period *series* was there since the one before, by *labels*.

        What lasts for an hour lies between two points of a quarter.
        """
        by = f" by ({', '.join(labels)})" if labels else ""
        return self.over(about, f"group{by} (present_over_time({series}[{self.period.reach}s]))", *labels)

    @cached_property
    def known(self) -> float:
        """From when on Prometheus may know the model, to within a step: its start, or where its memory begins."""
        points = self.while_there(
            "since when Prometheus knows the model", f"{names.MODEL_INFO.name}{{{self.of}}}"
        ).get((), [])
        before = points[0][0] - self.period.reach if points else self.period.start
        return max(before, self.period.start)

    def asked(self) -> tuple[Query, ...]:
        """Return what was asked since this was last called."""
        asked, self._asked = tuple(self._asked), []
        return asked


class Part(NamedTuple):
    """A section, what it adds to the verdict, and how bad it is."""

    section: Section
    says: Sequence[str] = ()
    tone: Tone = "good"
    headline: str = ""


def since(points: Points, period: Period) -> tuple[str, str]:
    """Return since when something was so for the last time, and for how long in all."""
    if not points:
        return "", ""
    times = [at for at, _ in points]
    began = next(
        (later for later, earlier in pairwise(reversed(times)) if later - earlier > 1.5 * period.step),
        times[0],
    )  # fmt: skip
    before = "before " if began <= period.start else ""
    return before + moment(began), lasting(held(times, period.step))


def held(times: Sequence[float], step: float) -> float:
    """Return how many of the seconds between *times* something was so, a step at least."""
    return max(
        step, sum(later - earlier for earlier, later in pairwise(times) if later - earlier < 1.5 * step)
    )
