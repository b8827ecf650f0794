"""Operations: how do the sidecars answer senders?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries

PANEL = timeseries(
    "Requests to sidecars",
    "Requests a second by transport and answer. 429 and 503 are tried again by senders; 400, 413 and INVALID_ARGUMENT are "
    "not, and their rows are lost.",
    ranged(
        "sum by (transport, code) (rate(driftline_sidecar_requests_total[$__rate_interval]))",
        "{{transport}} {{code}}",
    ),
    unit="reqps",
    runbook="losses",
    min=0,
)
