"""For those whose business the models do: are they good, and what do they answer?"""

from __future__ import annotations

from driftline.dashboards.dashboard import dashboard
from driftline.dashboards.panels import (
    alerts_by_priority,
    alerts_open,
    answers,
    budgets_left,
    health_history,
    health_now,
    month_by_model,
    predictions_today,
    volume_per_hour,
)

DASHBOARD = dashboard(
    "driftline-business",
    "driftline / Business",
    "Are the models good, how much is asked of them, and what do they answer?",
    (5, [(health_now.PANEL, 10), (predictions_today.PANEL, 7), (alerts_by_priority.PANEL, 7)]),
    (9, [(health_history.PANEL, 14), (alerts_open.PANEL, 10)]),
    (8, [(volume_per_hour.PANEL, 12), (answers.PANEL, 12)]),
    (8, [(month_by_model.PANEL, 15), (budgets_left.PANEL, 9)]),
    about="fleet",
    since="now-30d",
    version=False,
)
