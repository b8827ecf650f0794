"""Landing page: does anything page?"""

from __future__ import annotations

from driftline.dashboards.panel import instant, stat
from driftline.dashboards.queries import ONE

PANEL = stat(
    "Alerts firing",
    "Alerts of this model that fire now. Their times are the red marks of every panel below.",
    instant(f'count(ALERTS{{{ONE}, alertstate="firing"}}) or vector(0)'),
    unit="none",
    runbook="alerts",
    steps={1: "red"},
)
