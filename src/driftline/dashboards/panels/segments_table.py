"""Landing page: which segments is the model asked for, which moved, and where does it fail?"""

from __future__ import annotations

from driftline.dashboards.panel import field, rows, table
from driftline.dashboards.queries import MOST, ONE, VERSIONS

_OF = f"{{{ONE}{VERSIONS}}}"
_ROWS = f"sum by (segment) (increase(driftline_segment_predictions_total{_OF}[24h]))"
_FIRST = f"topk({MOST}, {_ROWS})"

PANEL = table(
    "Segments",
    "Rows of the last 24 hours in each declared segment, beside those of the same hours of last week, the PSI to them of what "
    "moved most there, and the share whose call failed: the 20 largest. Empty where driftline.yaml declares none.",
    rows(_FIRST),
    rows(
        f"sum by (segment) (increase(driftline_segment_predictions_total{_OF}[24h] offset 1w))"
        f" and on (segment) {_FIRST}"
    ),
    rows(
        f"sum by (segment) (increase(driftline_segment_prediction_errors_total{_OF}[24h]))"
        f" / ({_ROWS} > 0) and on (segment) {_FIRST}"
    ),
    rows(
        f"max by (segment) (segment_feature:driftline_segment_feature_psi:lastweek24h{{{ONE}}})"
        f" and on (segment) {_FIRST}"
    ),
    columns={
        "segment": "segment",
        "Value #A": "rows",
        "Value #B": "last week",
        "Value #D": "highest PSI",
        "Value #C": "failed",
    },
    sort="rows",
    runbook="segments",
    unit="short",
    decimals=0,
    overrides=[
        field("failed", unit="percentunit", decimals=2),
        field("highest PSI", unit="none", decimals=2),
    ],
)
