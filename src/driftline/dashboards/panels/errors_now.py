"""Landing page: do its calls succeed?"""

from __future__ import annotations

from driftline.dashboards.panel import instant, stat
from driftline.dashboards.queries import ONE, VERSIONS

PANEL = stat(
    "Predictions failed, 24 h",
    "Share of the last 24 hours' rows whose call raised an error.",
    instant(
        f"sum(increase(driftline_prediction_errors_total{{{ONE}{VERSIONS}}}[24h]))"
        f" / (sum(increase(driftline_predictions_total{{{ONE}{VERSIONS}}}[24h])) > 0)"
    ),
    unit="percentunit",
    runbook="ModelErrorRatioHigh",
    empty="no predictions",
    decimals=2,
)
