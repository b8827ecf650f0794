"""Governance: whose columns changed?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, furthest

PANEL = timeseries(
    "Columns that changed",
    "Columns that in 24 hours were absent, extra or of another type for the first time, at the sidecar that counted most. "
    "ModelSchemaChanged tells of each; a step with no release of the model is one upstream. The sidecar's log names them.",
    ranged(
        furthest(
            f"max by (model, change) (increase(driftline_model_schema_changes_total{{{FLEET}}}[1d]))",
            by="model, change",
            most=10,
        ),
        "{{model}} {{change}}",
    ),
    unit="short",
    runbook="ModelSchemaChanged",
    min=0,
    decimals=0,
)
