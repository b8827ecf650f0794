"""Data science: which features moved, against which reference, and is it more than chance?"""

from __future__ import annotations

from driftline.dashboards.features import (
    CHANCE,
    DAY,
    HOUR,
    LAST_WEEK,
    THRESHOLD,
    VALUES,
    VERDICT,
    WEEK,
    features_table,
)

PANEL = features_table(
    "Features by drift",
    "PSI against training of the last hour, day and week, and against the same day of last week. Chance is what PSI "
    "exceeds by chance once in a million looks, dependent rows allowed for: below it a score says nothing.",
    VERDICT, HOUR, DAY, WEEK, LAST_WEEK, CHANCE, THRESHOLD, VALUES,
)  # fmt: skip
