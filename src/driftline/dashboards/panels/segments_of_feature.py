"""Data science: in which segments did the feature move?"""

from __future__ import annotations

from driftline.dashboards.panel import field, rows, table
from driftline.dashboards.queries import MOST, ONE

_OF = f'{{{ONE}, feature="$feature", segment=~"$segment"}}'
_VALUES = f"sum by (segment) (segment_feature:driftline_segment_feature_values:increase24h{_OF})"
_FIRST = f"topk({MOST}, {_VALUES})"

PANEL = table(
    "Segments of $feature",
    "Values of the last 24 hours in each declared segment, their PSI to the same hours of last week in five coarse bins, and "
    "the share with a fault: the 20 largest segments. A shift in one of them may not be seen in all rows.",
    rows(_FIRST),
    rows(
        f"max by (segment) (segment_feature:driftline_segment_feature_psi:lastweek24h{_OF})"
        f" and on (segment) {_FIRST}"
    ),
    rows(
        f"sum by (segment) (increase(driftline_segment_feature_faults_total{_OF}[24h]))"
        f" / ({_VALUES} > 0) and on (segment) {_FIRST}"
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
