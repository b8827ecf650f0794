"""Business: is the business with these models as large as last week?"""

from __future__ import annotations

from driftline.dashboards.panel import field, instant, stat
from driftline.dashboards.queries import FLEET

_DAY = f"sum(increase(driftline_predictions_total{{{FLEET}}}[24h]"

PANEL = stat(
    "Predictions, 24 h",
    "Rows of the last 24 hours, all chosen models, and the change from the same hours of last week.",
    instant(f"{_DAY}))", "predictions"),
    instant(f"{_DAY})) / ({_DAY} offset 1w)) > 0) - 1", "to last week"),
    unit="short",
    runbook="ModelVolumeLow",
    empty="no predictions",
    overrides=[field("to last week", unit="percentunit", decimals=0)],
)
