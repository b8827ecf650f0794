"""Operations: is traffic as it should be?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, furthest

_RATE = f"rate(driftline_predictions_total{{{FLEET}}}[$__rate_interval]"

PANEL = timeseries(
    "Predictions by model",
    "Rows a second of the ten busiest models; dashed, all chosen models at the same hours of last week.",
    ranged(furthest(f"sum by (model) ({_RATE}))", by="model", most=10), "{{model}}"),
    ranged(f"sum({_RATE} offset 1w))", "all, last week"),
    unit="reqps",
    runbook="ModelVolumeLow",
    dashed="all, last week",
    min=0,
)
