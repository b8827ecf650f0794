"""Data science: which values grew, and since when?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FEATURE, ONE, of_hour

_VALUES = of_hour(f"version_feature_bin:driftline_feature_values:increase1h{{{ONE}{FEATURE}}}")

PANEL = timeseries(
    "Bins of $feature over time",
    "Share of the values of each hour in each bin, one above the other. A step is a deployment or a broken source; a "
    "bin that fills from one hour to the next is often a default or a unit that changed.",
    ranged(f"sum by (bin) ({_VALUES}) / on () group_left () (sum({_VALUES}) > 0)", "{{bin}}"),
    unit="percentunit",
    runbook="ModelFeatureDrift",
    stacked=True,
    min=0,
    max=1,
)
