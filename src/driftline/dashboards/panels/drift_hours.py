"""Governance: how long was which feature drifting?"""

from __future__ import annotations

from driftline.dashboards.panel import field, rows, table, to_model
from driftline.dashboards.queries import FLEET, MOST

_HOURS = (
    "sum_over_time(group by (model, version, feature)"
    f' (ALERTS{{{FLEET}, alertname="ModelFeatureDrift", alertstate="firing"}})[30d:1h])'
)

PANEL = table(
    "Hours of drift",
    "Hours of the last 30 days in which ModelFeatureDrift fired for a feature or an output: the 20 longest.",
    rows(f"topk({MOST}, {_HOURS})"),
    columns={"model": "model", "version": "version", "feature": "feature", "Value": "hours"},
    sort="hours",
    runbook="ModelFeatureDrift",
    unit="h",
    decimals=0,
    overrides=[to_model(), field("version", custom__width=110)],
)
