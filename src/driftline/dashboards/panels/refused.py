"""Operations: what do the sidecars refuse?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries

PANEL = timeseries(
    "Refused by sidecars",
    "Records refused whole, and rows of good records not counted, a second and by reason; all models and environments. "
    "The reasons are explained in docs/wire-contract.md. Duplicates are retries, and harmless.",
    ranged(
        "sum by (reason) (rate(driftline_sidecar_records_rejected_total[$__rate_interval])) > 0",
        "records: {{reason}}",
    ),
    ranged(
        "sum by (reason) (rate(driftline_sidecar_rows_dropped_total[$__rate_interval])) > 0",
        "rows: {{reason}}",
    ),
    unit="reqps",
    runbook="losses",
    min=0,
)
