"""Data science: how far do dependent rows widen the floor?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FEATURE, ONE

PANEL = timeseries(
    "Dependence of the rows of $feature",
    "How much more the pieces of a window differ than independent rows would; 1 is no more. It multiplies the chance "
    "floor: at 20, rows come in clusters, and 20 times as many are needed for the same verdict.",
    ranged(f"max by (window) (driftline_feature_overdispersion{{{ONE}{FEATURE}}})", "{{window}}"),
    unit="none",
    runbook="ModelFeatureDrift",
    min=1,
    decimals=1,
)
