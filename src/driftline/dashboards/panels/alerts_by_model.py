"""Governance: what was said of which model, and when?"""

from __future__ import annotations

from driftline.dashboards.panel import mapped, ranged, states
from driftline.dashboards.queries import FLEET, furthest

_FIRING = f'count by (model, alertname) (ALERTS{{{FLEET}, alertstate="firing"}})'

PANEL = states(
    "Alerts over time",
    "When which alert of which model fired: the 20 largest, by how many fired at once. What was done about them stands "
    "in the tickets.",
    ranged(furthest(f"{_FIRING} > bool 0", by="model, alertname", ranked=_FIRING), "{{model}} {{alertname}}"),
    runbook="alerts",
    mappings=mapped({1: ("firing", "red")}),
)
