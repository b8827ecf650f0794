"""Landing page: what fired, and for how long?"""

from __future__ import annotations

from driftline.dashboards.panel import HEALTH, mapped, ranged, states
from driftline.dashboards.queries import ONE, firing

PANEL = states(
    "Alerts of this model",
    "When each alert fired, yellow a ticket, red a page; drift of many features is one strip. An empty panel is good news as long as "
    "DriftlineWatchdog fires.",
    ranged(firing("alertname, priority", ONE), "{{alertname}} {{priority}}"),
    runbook="alerts",
    mappings=mapped({value: HEALTH[value] for value in (1, 2)}),
)
