"""Data science: are this feature's values there, known, of the right type, in range?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FEATURE, ONE

PANEL = timeseries(
    "Faults of $feature",
    "Share of each hour's rows whose value was missing, unseen, of the wrong type or out of training's range; dashed, the share "
    "in training. Only what is out of range is in a bin as well, the others are in none.",
    ranged(
        f"max by (fault) (version_feature_fault:driftline_feature_faults:ratio1h{{{ONE}{FEATURE}}})",
        "{{fault}}",
    ),
    ranged(
        "max by (fault) (version_feature_fault:driftline_feature_baseline_fault_ratio:avg"
        f"{{{ONE}{FEATURE}}})",
        "{{fault}} in training",
    ),
    unit="percentunit",
    runbook="ModelFeatureFaults",
    dashed=".* in training",
    min=0,
)
