"""For governance: what is in use, whose is it, on what data, and what was said of it?"""

from __future__ import annotations

from driftline.dashboards.dashboard import dashboard
from driftline.dashboards.panels import (
    alerts_by_model,
    drift_hours,
    inventory,
    inventory_now,
    rows_dropped,
    rows_lost,
    schema_changes,
    thresholds_apart,
    undeclared,
    volume_by_version,
)

DASHBOARD = dashboard(
    "driftline-gov",
    "driftline / Governance",
    "What is in use, whose is it, on what data, and what was said of it?",
    (9, [(inventory.PANEL, 18), (inventory_now.PANEL, 6)]),
    (8, [(volume_by_version.PANEL, 12), (alerts_by_model.PANEL, 12)]),
    (8, [(drift_hours.PANEL, 12), (thresholds_apart.PANEL, 12)]),
    (8, [(schema_changes.PANEL, 12), (undeclared.PANEL, 12)]),
    (8, [(rows_lost.PANEL, 12), (rows_dropped.PANEL, 12)]),
    about="fleet",
    since="now-30d",
)
