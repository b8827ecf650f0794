"""Business: how were the last 30 days?"""

from __future__ import annotations

from driftline.dashboards.panel import HEALTH, mapped, ranged, states
from driftline.dashboards.queries import furthest, health

PANEL = states(
    "Models over time",
    "Each model in green, yellow and red as above: the 20 with the worst days. Grey is no data: the model was not there.",
    ranged(furthest(health(), by="model"), "{{model}}"),
    runbook="alerts",
    mappings=mapped(HEALTH),
)
