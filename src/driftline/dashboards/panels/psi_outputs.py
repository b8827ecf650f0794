"""Data science: do the model's answers move, too?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import VERSIONS, furthest, of_threshold

_OUTPUTS = of_threshold(more=VERSIONS + ', feature=~"@.+"')
_INPUTS = of_threshold(more=VERSIONS + ', feature!~"@.*"')

PANEL = timeseries(
    "Inputs and outputs, of their thresholds",
    "PSI of 24 hours over the feature's own threshold: predictions and scores, and dashed the worst input. Inputs that "
    "move while outputs stay may not matter to this model; outputs that move alone point at the model itself.",
    ranged(furthest(_OUTPUTS, most=10), "{{feature}}"),
    ranged(f"max({_INPUTS})", "worst input"),
    unit="percentunit",
    runbook="ModelFeatureDrift",
    dashed="worst input",
    min=0,
    decimals=0,
)
