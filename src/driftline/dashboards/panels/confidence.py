"""Data science: is the model as sure of its answers as it was?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import ONE, VERSIONS

_SERIES = "driftline_prediction_confidence_ratio"
_OF = f"{{{ONE}{VERSIONS}}}[$__rate_interval]"
_UNSURE = f'{{{ONE}{VERSIONS}, le!="+Inf"}}[$__rate_interval]'

PANEL = timeseries(
    "Confidence of answers",
    "Mean of the largest score of each answer, and the share of answers whose largest score is at most the `confidence` "
    "of driftline.yaml. A classifier that becomes unsure is seen here long before ground truth comes.",
    ranged(
        f"sum by (version) (rate({_SERIES}_sum{_OF})) / (sum by (version) (rate({_SERIES}_count{_OF})) > 0)",
        "{{version}} mean",
    ),
    ranged(
        f"sum by (version) (rate({_SERIES}_bucket{_UNSURE})) / (sum by (version) (rate({_SERIES}_count{_OF})) > 0)",
        "{{version}} unsure",
    ),
    unit="percentunit",
    runbook="ModelFeatureDrift",
    min=0,
    max=1,
)
