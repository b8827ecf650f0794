"""Landing page: what is drifting, and by how much?"""

from __future__ import annotations

from driftline.dashboards.features import (
    DAY,
    LAST_WEEK,
    THRESHOLD,
    VALUES,
    VERDICT,
    features_table,
)

PANEL = features_table(
    "Furthest from training",
    "Scores of the last 24 hours against training, and where the alert starts. A score above its threshold in a "
    "green row is chance or the calendar: the same day of last week was like it. A name leads to its feature.",
    VERDICT, DAY, THRESHOLD, LAST_WEEK, VALUES,
)  # fmt: skip
