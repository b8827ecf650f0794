"""Landing page: what fired, and for how long?"""

from __future__ import annotations

from driftline.dashboards.panel import mapped, ranged, states
from driftline.dashboards.queries import ONE

PANEL = states(
    "Alerts of this model",
    "When each alert fired; drift of many features is one strip. An empty panel is good news as long as "
    "DriftlineWatchdog fires.",
    ranged(
        f'count by (alertname, priority) (ALERTS{{{ONE}, alertstate="firing"}}) > bool 0',
        "{{alertname}} {{priority}}",
    ),
    runbook="alerts",
    mappings=mapped({1: ("firing", "red")}),
)
