"""Governance: are models given data that nobody watches?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, furthest

PANEL = timeseries(
    "Columns that nobody declared",
    "Values a row in columns that the model's baseline does not know, so 1 is one column: counted, never named. A step "
    "is a release that sends more than was trained on.",
    ranged(
        furthest(
            f"sum by (model) (rate(driftline_undeclared_values_total{{{FLEET}}}[$__rate_interval]))"
            f" / (sum by (model) (rate(driftline_predictions_total{{{FLEET}}}[$__rate_interval])) > 0)",
            by="model",
            most=10,
        ),
        "{{model}}",
    ),
    unit="none",
    runbook="versions",
    min=0,
    decimals=1,
)
