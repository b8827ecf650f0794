"""Operations: what do the sidecars refuse?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries


def _rises(counter: str) -> str:
    """Return the rate by reason, of the reasons that occurred in the dashboard's time."""
    return (
        f"sum by (reason) (rate({counter}[$__rate_interval]))"
        f" and on (reason) sum by (reason) (increase({counter}[$__range] @ end())) > 0"
    )


PANEL = timeseries(
    "Refused by sidecars",
    "Records refused whole, and rows of good records not counted, a second and by reason; all models and environments. "
    "The reasons are explained in docs/wire-contract.md. Duplicates are retries, and harmless.",
    ranged(_rises("driftline_sidecar_records_rejected_total"), "records: {{reason}}"),
    ranged(_rises("driftline_sidecar_rows_dropped_total"), "rows: {{reason}}"),
    unit="reqps",
    runbook="losses",
    min=0,
)
