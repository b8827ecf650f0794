"""Data science: when did which feature move?"""

from __future__ import annotations

from driftline.dashboards.panel import heatmap, ranged
from driftline.dashboards.queries import furthest, psi

PANEL = heatmap(
    "PSI by feature and time",
    "Hourly PSI against training of the 20 features and outputs that rose highest. A vertical edge through many rows is "
    "one cause upstream; stripes by day and week are the calendar. Colours end at 0.5.",
    ranged(furthest(psi("1h")), "{{feature}}"),
    runbook="ModelFeatureDrift",
    highest=0.5,
)
