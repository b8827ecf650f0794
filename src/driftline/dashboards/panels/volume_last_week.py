"""Landing page: is it asked as often as last week?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import ONE

_RATE = f"sum(rate(driftline_predictions_total{{{ONE}}}[$__rate_interval]"

PANEL = timeseries(
    "Predictions",
    "Rows a second, all versions, and dashed the same hours of last week. A drop that last week does not know is a "
    "caller that is gone; the drift of a model with other callers is no fault of its own.",
    ranged(f"{_RATE}))", "now"),
    ranged(f"{_RATE} offset 1w))", "last week"),
    unit="reqps",
    runbook="ModelTelemetryAbsent",
    dashed="last week",
    min=0,
)
