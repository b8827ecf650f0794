"""Landing page: how many features are drifting?"""

from __future__ import annotations

from driftline.dashboards.panel import instant, stat
from driftline.dashboards.queries import verdict

PANEL = stat(
    "Features drifting",
    "Features and outputs that ModelFeatureDrift counts as moved in the last 24 hours, and how many are watched. "
    "Many at once point upstream; outputs alone, at the model.",
    instant(f"count(max by (feature) ({verdict()}) > 0) or 0 * count({verdict()})", "drifting"),
    instant(f"count(max by (feature) ({verdict()}))", "watched"),
    unit="none",
    runbook="ModelFeatureDrift",
    empty="no score yet",
)
