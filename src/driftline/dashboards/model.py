"""The landing page of one model, for whoever asks first."""

from __future__ import annotations

from driftline.dashboards.dashboard import dashboard
from driftline.dashboards.panels import (
    alerts_history,
    alerts_now,
    drifting_table,
    errors_now,
    faults_table,
    features_drifting,
    segments_table,
    silence_now,
    verdict_history,
    verdict_now,
    versions_table,
    volume_past_weeks,
)

DASHBOARD = dashboard(
    "driftline-model",
    "driftline / Model",
    "Is this model doing as expected, is anything drifting, what were the last 30 days, what changed?",
    (
        5,
        [
            (verdict_now.PANEL, 6),
            (features_drifting.PANEL, 6),
            (alerts_now.PANEL, 4),
            (silence_now.PANEL, 4),
            (errors_now.PANEL, 4),
        ],
    ),
    (9, [(drifting_table.PANEL, 12), (verdict_history.PANEL, 12)]),
    (8, [(volume_past_weeks.PANEL, 12), (alerts_history.PANEL, 12)]),
    (8, [(faults_table.PANEL, 12), (segments_table.PANEL, 12)]),
    (7, [(versions_table.PANEL, 24)]),
    about="model",
    since="now-30d",
)
