"""The demo's story: quiet rows until an alert could have come, then the shift until the phone has rung."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from driftline.cli.demo import population, stack, timeline
from driftline.cli.demo.screen import bar, clock
from driftline.cli.demo.service import NAME
from driftline.cli.demo.stage import DAY, FACTOR, INSTANCES
from driftline.cli.demo.timeline import Timeline
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from driftline.cli.demo.phone import Phone
    from driftline.cli.demo.population import Population
    from driftline.cli.demo.screen import Screen
    from driftline.cli.demo.stage import Instance
    from driftline.cli.demo.traffic import Traffic

QUIET_SECONDS = 15.0
"""How long an alert could come and must not: three hours of the demo's day."""

_QUIET_LIMIT = 120.0
_SHIFT_LIMIT = 140.0
_ALONE_SECONDS = 40.0
_STATE_STYLES = {"pending": "yellow", "firing": "red"}


@dataclass
class Story:
    """What is told, and what it is told from.

    Attributes:
        beforehand: PSI by feature of the later rows, known before any is served, the most moved first.
    """

    screen: Screen
    rows: Population
    beforehand: Mapping[str, float]
    instances: Sequence[Instance]
    children: stack.Children
    traffic: Traffic
    timeline: Timeline = field(default_factory=lambda: Timeline(time.time()))

    def with_stack(self, prometheus: str, phone: Phone) -> int:
        """Tell it with Prometheus and Alertmanager; return 0 when what should come came, and nothing else."""
        since = None
        for at in self._watch(prometheus, phone, _QUIET_LIMIT):
            if (
                _by_feature(prometheus, "version_feature:driftline_feature_chance:training24h").keys()
                >= self.beforehand.keys()
            ):
                since = since or at
                if at - since >= QUIET_SECONDS:
                    break
        else:
            raise DriftlineError(
                f"no verdict was possible within {_QUIET_LIMIT:.0f} s; is this machine very busy?"
            )
        alone, merged = self._local(), _fleet(prometheus)
        self.timeline.shift = time.time()
        self.traffic.change(self.rows.later)
        wanted = set(timeline.expected(self.beforehand))
        for _ in self._watch(prometheus, phone, _SHIFT_LIMIT):
            if wanted <= self.timeline.rang.keys():
                break
        return self._conclude(alone, merged)

    def without_stack(self) -> None:
        """Tell what the sidecars alone can tell."""
        for rows, serving in ((self.rows.held_out, population.KNOWN), (self.rows.later, population.LATER)):
            self.traffic.change(rows)
            until = time.time() + _ALONE_SECONDS
            while (at := time.time()) < until:
                self._check()
                local = self._local()
                head = f"{clock(at - self.timeline.began):>7}  serving {serving}, {sum(self.traffic.sent):,} rows"
                table = [
                    f"  {feature:12}" + "".join(f"{scores.get(feature, 0.0):16.2f}" for scores in local)
                    for feature in self.beforehand
                ]
                titles = "".join(f"{f'sidecar {name}':>16}" for name in INSTANCES)
                short = (
                    f"{head}; PSI at sidecar a: {timeline.named(timeline.by_score(local[0])[:3], local[0])}"
                )
                self.screen.show([head, f"  {'PSI':12}{titles}", *table], short)
                time.sleep(1.0)
            self.screen.clear()
            for name, scores in zip(INSTANCES, local, strict=True):
                self.screen.say(
                    f"  {serving}, sidecar {name}: PSI {timeline.named(timeline.by_score(scores), scores)}"
                )

    def keep(self) -> None:
        """Let everything run until Ctrl-C."""
        while True:
            self._check()
            time.sleep(1.0)

    def _check(self) -> None:
        self.children.check()
        self.traffic.check()

    def _watch(self, prometheus: str, phone: Phone, limit: float) -> Iterator[float]:
        """Look once a second, take it into the timeline and onto the screen; end after *limit* seconds."""
        until = time.time() + limit
        while (at := time.time()) < until:
            self._check()
            scores, states = _fleet(prometheus), _states(prometheus)
            self.timeline.note(at, scores, states, phone.calls)
            self.screen.show(*self._drawn(at, scores, states))
            yield at
            time.sleep(max(0.0, at + 1.0 - time.time()))

    def _drawn(
        self, at: float, scores: Mapping[str, float], states: Mapping[str, str]
    ) -> tuple[list[str], str]:
        style, told = self.screen.style, self.timeline
        serving = population.KNOWN if told.shift is None else population.LATER
        head = f"{clock(at - told.began):>7}  serving {serving}, {sum(self.traffic.sent):,} rows"
        lines = [style(head, "bold"), style(f"  {'':12} PSI of the day, both instances", "dim")]
        for feature in self.beforehand:
            score, state = scores.get(feature), states.get(feature, "")
            drawn = f"{score:6.2f}  {bar(score, timeline.SMALL)}" if score is not None else " " * 32
            rang = f", rang +{told.rang[feature] - (told.shift or 0.0):.0f} s" if feature in told.rang else ""
            told_of = style(state + rang, _STATE_STYLES.get(state, "dim")) if state or rang else ""
            lines.append(f"  {feature:12} {drawn}  {told_of}".rstrip())
        alerts = f"; alerts: {', '.join(states)}" if states else ""
        top = f"PSI {timeline.named(timeline.by_score(scores)[:3], scores)}" if scores else "no score yet"
        return lines, f"{head}; {top}{alerts}"

    def _local(self) -> list[dict[str, float]]:
        """Return what each sidecar alone makes of the rows that it saw."""
        return [stack.local_drift(f"http://{instance.metrics}/metrics", DAY) for instance in self.instances]

    def _conclude(self, alone: Sequence[Mapping[str, float]], merged: Mapping[str, float]) -> int:
        screen, scores = self.screen, timeline.named(self.beforehand, self.beforehand)
        screen.clear()
        screen.say(screen.style("timeline", "bold"))
        for line in self.timeline.lines(population.LATER, FACTOR):
            screen.say(line)
        screen.say()
        screen.name("beforehand", f"PSI of all later rows against the baseline: {scores}")
        loud = max(merged, key=lambda feature: min(local.get(feature, 0.0) for local in alone))
        each = " and ".join(f"{local.get(loud, 0.0):.2f}" for local in alone)
        screen.name(
            "merged",
            f"before t0 {loud} had PSI {each} at the two sidecars, {merged[loud]:.2f} over both: they see two mixes"
            " of one population; counts add up, scores do not",
        )
        if self.timeline.beside:
            heard = ", ".join(sorted(self.timeline.beside))
            screen.name("beside", f"{heard}: this machine was too busy to answer a scrape within a second")
        faults = timeline.faults(self.timeline, self.beforehand)
        for fault in faults:
            screen.name("WRONG", fault, "red")
        if not faults:
            screen.name("RIGHT", "every large shift rang, no small one did, and none before t0", "green")
        return 1 if faults else 0


def _fleet(prometheus: str) -> dict[str, float]:
    return _by_feature(prometheus, "version_feature:driftline_feature_psi:training24h")


def _by_feature(prometheus: str, series: str) -> dict[str, float]:
    found = stack.query(prometheus, f'{series}{{model="{NAME}"}}')
    return {labels["feature"]: value for labels, value in found}


def _states(prometheus: str) -> dict[str, str]:
    """Return the state of each feature's alert, pending or firing."""
    return {
        alert["labels"]["feature"]: alert["state"]
        for alert in stack.alerts(prometheus)
        if alert["labels"]["alertname"] == "ModelFeatureDrift"
    }
