"""Business, governance: what is open, and whose is it?"""

from __future__ import annotations

from driftline.dashboards.panel import rows, table, to_model
from driftline.dashboards.queries import FLEET

PANEL = table(
    "Open now",
    "Alerts that fire, by model, with who is told. Alerts of one kind are one row; the number says how many, for "
    "instance features.",
    rows(f'count by (model, alertname, priority, owner) (ALERTS{{{FLEET}, alertstate="firing"}})'),
    columns={
        "priority": "priority",
        "model": "model",
        "alertname": "alert",
        "owner": "owner",
        "Value": "number",
    },
    sort="number",
    runbook="alerts",
    decimals=0,
    overrides=[to_model()],
)
