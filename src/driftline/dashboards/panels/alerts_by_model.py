"""Governance: what was said of which model, and when?"""

from __future__ import annotations

from driftline.dashboards.panel import HEALTH, mapped, ranged, states
from driftline.dashboards.queries import FLEET, firing, furthest

_COUNT = f'count by (model, alertname) (ALERTS{{{FLEET}, alertstate="firing"}})'

PANEL = states(
    "Alerts over time",
    "When which alert of which model fired, yellow a ticket, red a page: the 20 largest, by how many fired at once. What was done about them stands "
    "in the tickets.",
    ranged(
        furthest(firing("model, alertname", FLEET), by="model, alertname", ranked=_COUNT),
        "{{model}} {{alertname}}",
    ),
    runbook="alerts",
    mappings=mapped({value: HEALTH[value] for value in (1, 2)}),
)
