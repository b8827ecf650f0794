"""What a Prometheus knows of one model over a period: the verdict, and the numbers it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline import names
from driftline.report.asking import MOST, Asking, Period
from driftline.report.drift import what_moved
from driftline.report.events import alerts_fired, versions
from driftline.report.faults import faults_of_values
from driftline.report.page import Page
from driftline.report.prometheus import PrometheusRefused
from driftline.report.service import errors_and_duration, heard, segments, volume
from driftline.report.words import PSI, moment, short

if TYPE_CHECKING:
    from collections.abc import Mapping

    from driftline.report.page import Tone
    from driftline.report.prometheus import Prometheus

SERIOUS: tuple[Tone, ...] = ("bad", "none", "warn", "good")
"""The tones of a verdict: what cannot be judged comes before a ticket, for nobody knows how bad it is."""
NOTES = (
    (
        f"{PSI} A feature is called drifting only when its score is above its threshold, above what chance "
        "alone exceeds once in a million looks with dependent rows allowed for, and more than the calendar explains. "
        "A score above its threshold that is no drift is as last week, or not beyond doubt: chance explains it, or there is "
        "no last week yet and it is not far."
    ),
    (
        "Scores, shares and alerts are those that the rules recorded in Prometheus at the time: merged over all sidecars, "
        "never averaged. All times are UTC."
    ),
)


def report(
    prometheus: Prometheus,
    model: str,
    period: Period,
    *,
    environment: str | None = None,
    borders: Mapping[str, Mapping[str, str]] | None = None,
) -> Page:
    """Return the page about *model* over *period*.

    Args:
        prometheus: Whom to ask; it has to hold the recorded series of alert-rules/.
        model: Its name.
        period: What time it is about.
        environment: Which of the environments the model runs in; None where there is only one.
        borders: By binning and bin, which values a bin holds: Prometheus does not know.

    Raises:
        PrometheusRefused: It cannot be asked, knows no such model, or the model is in several environments.
    """
    environment, owner, tier = _who(prometheus, model, period, environment)
    asking = Asking(prometheus, environment, model, period)
    parts = [
        what_moved(asking, borders or {}),
        faults_of_values(asking),
        volume(asking),
        errors_and_duration(asking),
        *segments(asking),
        alerts_fired(asking),
        versions(asking),
        heard(asking),
    ]
    tone = min((part.tone for part in parts), key=SERIOUS.index)
    headlines = {part.tone: part.headline for part in reversed(parts) if part.headline}
    return Page(
        title=f"{model}, {environment}: report",
        facts=(
            ("period, UTC", f"{moment(period.start)} to {moment(period.end)}"),
            ("owner", owner),
            ("tier", tier),
            ("asked", prometheus.url),
        ),
        tone=tone,
        verdict=headlines.get(tone, f"{model} is as expected."),
        says=[sentence for part in parts for sentence in part.says],
        sections=[part.section for part in parts],
        notes=NOTES,
    )  # fmt: skip


def _who(prometheus: Prometheus, model: str, period: Period, environment: str | None) -> tuple[str, str, str]:
    """Return the model's environment, owner and tier."""
    info = f"last_over_time(model:driftline_model_owner:info[{period.text}])"
    found = prometheus.now(f"topk by (environment, model) (1, {info})", period.end)
    if not found:
        raw = prometheus.now(f"group({names.PREDICTIONS.name})", period.end)
        raise PrometheusRefused(
            f"{prometheus.url} holds sidecars' series, but not what the rules record: load alert-rules/ into it"
            if raw
            else f"{prometheus.url} knows no model in the {period.text} to {moment(period.end)}: does it scrape a sidecar?"
        )
    mine = [one.labels for one in found if one.labels.get("model") == model]
    if not mine:
        known = sorted({short(one.labels.get("model", "")) for one in found})
        raise PrometheusRefused(f"no model {model} in this period, there are: {', '.join(known[:MOST])}")
    here = {labels.get("environment", ""): labels for labels in mine}
    if environment is None and len(here) > 1:
        raise PrometheusRefused(
            f"{model} is in several environments, say --environment {' or '.join(sorted(here))}"
        )
    chosen = next(iter(here)) if environment is None else environment
    if chosen not in here:
        raise PrometheusRefused(f"{model} is not in {chosen}, but in {', '.join(sorted(here))}")
    return chosen, here[chosen].get("owner", ""), here[chosen].get("tier", "")
