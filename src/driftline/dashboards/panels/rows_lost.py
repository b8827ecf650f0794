"""Operations, governance: was everything seen?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, furthest


def _share(counter: str) -> str:
    return (
        f"sum by (model) (rate({counter}{{{FLEET}}}[$__rate_interval]))"
        f" / (sum by (model) (rate(driftline_predictions_total{{{FLEET}}}[$__rate_interval])) > 0)"
    )


PANEL = timeseries(
    "Rows that sidecars never saw",
    "Share of the rows served that senders did not send (a full buffer: sampled, stated), that were sent and never arrived, and "
    "that a sample rate left out, which is no loss; from the senders' cumulative counts. Scores are of the rest.",
    ranged(
        furthest(_share("driftline_sidecar_sender_dropped_rows_total"), by="model", most=10),
        "{{model}} not sent",
    ),
    ranged(
        furthest(_share("driftline_sidecar_sender_lost_rows_total"), by="model", most=10), "{{model}} lost"
    ),
    ranged(
        furthest(_share("driftline_sidecar_sender_left_out_rows_total"), by="model", most=10),
        "{{model}} left out",
    ),
    unit="percentunit",
    runbook="DriftlineRowsLost",
    min=0,
)
