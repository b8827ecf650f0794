"""Operations: are calls slow?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, VERSIONS, furthest


def _quantile(number: int) -> str:
    series = f"version:driftline_prediction_duration_seconds:p{number}_1h{{{FLEET}{VERSIONS}}}"
    return furthest(series, by="model, version", most=5)


PANEL = timeseries(
    "Duration of calls",
    "The 95th and 99th percentile of each hour, by version: the five slowest of each. A gap is an hour of too few calls "
    "to tell. Dashed, what the rules allow: p99 for tier 1, p95 for the others.",
    ranged(_quantile(95), "{{model}} {{version}} p95"),
    ranged(_quantile(99), "{{model}} {{version}} p99"),
    ranged(
        f"min(model:driftline_prediction_duration_threshold_seconds:p99{{{FLEET}}})", "allowed, tier 1 p99"
    ),
    ranged(
        f"min(model:driftline_prediction_duration_threshold_seconds:p95{{{FLEET}}})", "allowed, others p95"
    ),
    unit="s",
    runbook="ModelLatencyHigh",
    dashed="allowed.*",
    logarithmic=True,
)
