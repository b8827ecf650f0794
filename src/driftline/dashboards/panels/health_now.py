"""Business: how many models are good, ticketed, paging?"""

from __future__ import annotations

from driftline.dashboards.panel import HEALTH, field, instant, stat
from driftline.dashboards.queries import health

PANEL = stat(
    "Models",
    "Green: nothing fires. Yellow: somebody has a ticket (P3, P4). Red: somebody is paged (P1, P2). An alert counts "
    "from the moment it fires, whoever has silenced it.",
    *(instant(f"count({health()} == {value}) or vector(0)", text) for value, (text, _) in HEALTH.items()),
    unit="none",
    runbook="alerts",
    overrides=[field(text, color={"mode": "fixed", "fixedColor": color}) for text, color in HEALTH.values()],
)
