"""Data science: since when, and against what?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FEATURE, ONE, psi, threshold, week

PANEL = timeseries(
    "PSI of $feature",
    "Against training over a day, a week and a month, and against the same day of last week. Dashed: where P3 and P2 start, and "
    "what chance alone exceeds once in a million looks. High against training, low against last week is the calendar.",
    ranged(f"max({psi('24h', more=FEATURE)})", "training, 24 h"),
    ranged(f"max({week(more=FEATURE)})", "training, 7 d"),
    ranged(f"max(version_feature:driftline_feature_psi:training30d{{{ONE}{FEATURE}}})", "training, 30 d"),
    ranged(
        f'max(model_feature:driftline_feature_psi:lastweek24h{{{ONE}, feature="$feature"}})',
        "last week, 24 h",
    ),
    ranged(f"max({threshold('P3', more=FEATURE)})", "threshold P3"),
    ranged(f"max({threshold('P2', more=FEATURE)})", "threshold P2"),
    ranged(f"max(version_feature:driftline_feature_chance:training24h{{{ONE}{FEATURE}}})", "chance"),
    unit="none",
    runbook="ModelFeatureDrift",
    dashed="threshold.*|chance",
    min=0,
    decimals=2,
)
