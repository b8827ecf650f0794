"""Operations, business: what fires now?"""

from __future__ import annotations

from driftline.dashboards.panel import instant, stat
from driftline.dashboards.queries import FLEET


def _firing(priorities: str) -> str:
    return f'count(ALERTS{{{FLEET}, alertstate="firing", priority=~"{priorities}"}}) or vector(0)'


PANEL = stat(
    "Alerts firing",
    "Alerts of the chosen models: those that page somebody now or in business hours, and those that wait as tickets.",
    instant(_firing("P1|P2"), "P1, P2: page"),
    instant(_firing("P3|P4"), "P3, P4: ticket"),
    unit="none",
    runbook="alerts",
    steps={1: "yellow"},
)
