"""Governance: which version answered when?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, VERSIONS, furthest

PANEL = timeseries(
    "Predictions by version",
    "Rows of each hour by model and version: the ten busiest. Where one falls as another rises, a version was replaced; "
    "blue marks are its first rows.",
    ranged(
        furthest(
            f"sum by (model, version) (version:driftline_predictions:increase1h{{{FLEET}{VERSIONS}}})",
            by="model, version",
            most=10,
        ),
        "{{model}} {{version}}",
    ),
    unit="short",
    runbook="versions",
    stacked=True,
    min=0,
)
