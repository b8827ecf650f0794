"""For operations: does everything answer, and is everything heard?"""

from __future__ import annotations

from driftline.dashboards.dashboard import dashboard
from driftline.dashboards.panels import (
    alerts_by_priority,
    budget_burn,
    duration_by_model,
    errors_by_model,
    requests_by_code,
    rows_dropped,
    rows_lost,
    sidecars_now,
    sidecars_table,
    silence_by_model,
    silent_now,
    volume_by_model,
)

DASHBOARD = dashboard(
    "driftline-ops",
    "driftline / Operations",
    "Do the models answer, how fast, and is everything they do heard?",
    (5, [(alerts_by_priority.PANEL, 8), (silent_now.PANEL, 8), (sidecars_now.PANEL, 8)]),
    (8, [(volume_by_model.PANEL, 12), (silence_by_model.PANEL, 12)]),
    (8, [(errors_by_model.PANEL, 12), (duration_by_model.PANEL, 12)]),
    (8, [(rows_lost.PANEL, 12), (rows_dropped.PANEL, 12)]),
    (8, [(budget_burn.PANEL, 12), (requests_by_code.PANEL, 12)]),
    (7, [(sidecars_table.PANEL, 24)]),
    about="fleet",
    since="now-24h",
)
