"""Business: how was each model's month?"""

from __future__ import annotations

from driftline.dashboards.panel import field, rows, table, to_model
from driftline.dashboards.queries import FLEET, MOST, health

_ROWS = f"sum_over_time(sum by (model) (model:driftline_predictions:increase1h{{{FLEET}}})[30d:1h])"
_MOST = f"topk({MOST}, {_ROWS})"

PANEL = table(
    "Last 30 days by model",
    "Predictions, the share that failed, and the share of hours without any alert and with one that pages: the 20 "
    "busiest models.",
    rows(_MOST),
    rows(
        f"sum_over_time(sum by (model) (version:driftline_prediction_errors:increase1h{{{FLEET}}})[30d:1h])"
        f" / ({_ROWS} > 0) and {_MOST}"
    ),
    rows(f"avg_over_time(({health()} == bool 0)[30d:1h]) and {_MOST}"),
    rows(f"avg_over_time(({health()} == bool 2)[30d:1h]) and {_MOST}"),
    columns={
        "model": "model",
        "Value #A": "predictions",
        "Value #B": "failed",
        "Value #C": "hours in green",
        "Value #D": "hours in red",
    },
    sort="predictions",
    runbook="alerts",
    unit="percentunit",
    decimals=1,
    overrides=[to_model(), field("predictions", unit="short")],
)
