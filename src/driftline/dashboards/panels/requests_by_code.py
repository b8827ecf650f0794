"""Operations: how do the sidecars answer senders, and what do they refuse?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries

PANEL = timeseries(
    "Requests to sidecars",
    "Requests a second by transport and answer; all models and environments. 429 and 503 are tried again by senders; 400, 413 "
    "and INVALID_ARGUMENT are not, and their rows are lost. Refused are single records that break the contract, by reason.",
    ranged(
        "sum by (transport, code) (rate(driftline_sidecar_requests_total[$__rate_interval]))",
        "{{transport}} {{code}}",
    ),
    ranged(
        "sum by (reason) (rate(driftline_sidecar_records_rejected_total[$__rate_interval]))"
        " and on (reason) sum by (reason) (increase(driftline_sidecar_records_rejected_total[$__range] @ end())) > 0",
        "refused: {{reason}}",
    ),
    unit="reqps",
    runbook="losses",
    min=0,
)
