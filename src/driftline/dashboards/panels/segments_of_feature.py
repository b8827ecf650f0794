"""Data science: in which segments did the feature move?"""

from __future__ import annotations

from driftline.dashboards.panel import field, rows, table
from driftline.dashboards.queries import MOST, ONE

_OF = f'{{{ONE}, version=~"$version", feature="$feature", segment=~"$segment"}}'


def _counts(offset: str = "") -> str:
    return (
        f"sum by (segment, binning, bin) (increase(driftline_segment_feature_values_total{_OF}[24h]{offset}))"
    )


def _shares(offset: str = "") -> str:
    """Return the share of each bin, ten values spread evenly added: a segment may be small."""
    counts = _counts(offset)
    return (
        f"(({counts} + 2) / on (segment, binning) group_left () (sum by (segment, binning) ({counts}) + 10))"
    )


_ROWS = f"sum by (segment) ({_counts()})"
_NOW, _BEFORE = _shares(), _shares(" offset 1w")
_PSI = f"sum by (segment) (({_NOW} - {_BEFORE}) * ln({_NOW} / {_BEFORE}))"
_FIRST = f"topk({MOST}, {_ROWS})"

PANEL = table(
    "Segments of $feature",
    "Values of the last 24 hours in each declared segment, and their PSI to the same hours of last week in five coarse "
    "bins: the 20 largest segments. A shift in one of them may not be seen in all rows. Under 200 values a score is noise.",
    rows(_FIRST),
    rows(f"{_PSI} and on (segment) {_FIRST}"),
    rows(
        f"sum by (segment) (increase(driftline_segment_feature_faults_total{_OF}[24h]))"
        f" / ({_ROWS} > 0) and on (segment) {_FIRST}"
    ),
    columns={
        "segment": "segment",
        "Value #A": "values",
        "Value #B": "PSI to last week",
        "Value #C": "faults",
    },
    sort="PSI to last week",
    runbook="segments",
    decimals=2,
    overrides=[field("values", unit="short", decimals=0), field("faults", unit="percentunit", decimals=1)],
)
