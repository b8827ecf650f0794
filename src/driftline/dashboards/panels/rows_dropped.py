"""Operations, governance: which rows arrive and do not count, and why?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, furthest

_COUNTER = "driftline_sidecar_rows_dropped_total"
_OF_MODELS = f"sum by (model, reason) (rate({_COUNTER}{{{FLEET}}}[$__rate_interval]))"
_OF_NONE = f'sum by (reason) (rate({_COUNTER}{{environment="$environment", model=""}}[$__rate_interval]))'

PANEL = timeseries(
    "Rows that do not count",
    "Rows of good records that a sidecar did not count, a second, by model and reason; model_limit is of models or versions "
    "beyond its limits. Duplicates are retries, and harmless. Of baseline_unknown rows and errors count, values do not.",
    ranged(
        furthest(_OF_MODELS, by="model, reason", ranked=f"{_OF_MODELS} > 0", most=10), "{{model}} {{reason}}"
    ),
    ranged(_OF_NONE, "{{reason}}"),
    unit="reqps",
    runbook="DriftlineRowsDropped",
    min=0,
)
