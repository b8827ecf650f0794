"""Operations: do calls fail?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, VERSIONS, furthest

PANEL = timeseries(
    "Predictions failed",
    "Share of each hour's rows whose call raised an error, by version: the ten highest. A canary's errors must not "
    "drown in the old version's rows.",
    ranged(
        furthest(
            f"version:driftline_prediction_errors:ratio1h{{{FLEET}{VERSIONS}}}", by="model, version", most=10
        ),
        "{{model}} {{version}}",
    ),
    unit="percentunit",
    runbook="ModelErrorRatioHigh",
    min=0,
)
