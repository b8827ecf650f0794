"""Data science: do the replicas see different traffic?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FEATURE, ONE, psi

PANEL = timeseries(
    "PSI of $feature, as each sidecar alone sees it",
    "One sidecar's window of 24 hours holds one share of the traffic, so its score is no score of the model: for "
    "looking, never averaged, never alerting. Sidecars far apart get different traffic. Dashed: all of them together.",
    ranged(
        "max by (instance) (driftline_sidecar_feature_drift"
        f'{{{ONE}{FEATURE}, statistic="psi", window="24h"}})',
        "{{instance}}",
    ),
    ranged(f"max({psi('24h', more=FEATURE)})", "all sidecars"),
    unit="none",
    runbook="ModelFeatureDrift",
    dashed="all sidecars",
    min=0,
    decimals=2,
)
