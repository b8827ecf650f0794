"""Landing page: what changed?"""

from __future__ import annotations

from driftline.dashboards.panel import field, rows, table
from driftline.dashboards.queries import ONE

_LABELS = "version, baseline, dataset_version, state"
_INFO = f"group by ({_LABELS}) (driftline_model_version_info{{{ONE}}})"

PANEL = table(
    "Versions of the last 30 days",
    "Which versions were there, on which baseline, for how many hours of the last 30 days, and the rows of the last "
    "24 hours. Learning is a version without a baseline: its drift is not scored. A new baseline without a new "
    "version is a change, too.",
    rows(f"sum_over_time(({_INFO})[30d:1h])"),
    rows(
        f"sum by (version) (increase(driftline_predictions_total{{{ONE}}}[24h]))"
        f" * on (version) group_right () max_over_time(({_INFO})[30d:1h])"
    ),
    columns={
        "version": "version",
        "state": "state",
        "dataset_version": "dataset",
        "baseline": "baseline",
        "Value #A": "hours",
        "Value #B": "rows, 24 h",
    },
    sort="hours",
    runbook="versions",
    unit="short",
    decimals=0,
    overrides=[field("baseline", custom__width=160), field("version", custom__width=110)],
)
