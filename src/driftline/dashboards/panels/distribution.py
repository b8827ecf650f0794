"""Data science: how was the feature spread in training, and how is it now?"""

from __future__ import annotations

from driftline.dashboards.panel import bars, rows
from driftline.dashboards.queries import FEATURE, ONE, of_day, of_hour

_OF = f"{{{ONE}{FEATURE}}}"
_EXPECTED = of_hour(f"version_feature_bin:driftline_feature_baseline_ratio:avg{_OF}")
_OBSERVED = of_day(f"version_feature_bin:driftline_feature_share:24h{_OF}")
_LAST_WEEK = of_day(f'model_feature_bin:driftline_feature_share:24h{{{ONE}, feature="$feature"}}', "1w")
_VALUES = f"version_feature:driftline_feature_values:increase24h{_OF}"


def _pooled(shares: str) -> str:
    """Return the shares of all chosen versions, each weighing as its values do."""
    weighed = f"{shares} * on (environment, model, version, feature, binning) group_left () {_VALUES}"
    return f"sum by (bin) ({weighed}) / on () group_left () sum({_VALUES})"


PANEL = bars(
    "Distribution of $feature",
    "Share of the values in each bin: in training, in the last 24 hours, and in the same hours of last week. Of numbers, "
    "00 holds the lowest; of categories, the name stands below. Choose one version where two have different bins.",
    rows(_pooled(_EXPECTED)),
    rows(_pooled(_OBSERVED)),
    rows(f"avg by (bin) ({_LAST_WEEK}) and on (bin) {_EXPECTED}"),
    columns={"bin": "bin", "Value #A": "training", "Value #B": "last 24 h", "Value #C": "last week"},
    unit="percentunit",
    runbook="ModelFeatureDrift",
    min=0,
)
