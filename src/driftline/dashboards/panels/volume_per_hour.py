"""Business: what is asked of which model?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, furthest

PANEL = timeseries(
    "Predictions an hour",
    "Rows of each hour, one model above the other: the ten busiest.",
    ranged(
        furthest(f"sum by (model) (model:driftline_predictions:increase1h{{{FLEET}}})", by="model", most=10),
        "{{model}}",
    ),
    unit="short",
    runbook="ModelVolumeLow",
    stacked=True,
    min=0,
)
