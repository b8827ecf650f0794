"""Business: what do the models answer, and does that change?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, furthest, of_hour

_ANSWERS = of_hour(
    f'version_feature_bin:driftline_feature_values:increase1h{{{FLEET}, feature="@prediction"}}'
)

PANEL = timeseries(
    "Answers",
    "Share of each answer among a model's predictions, hour by hour: the twelve commonest. Of numbers an answer is a "
    "tenth of training's predictions, 00 the lowest. An approval rate that moves is a business that moves.",
    ranged(
        furthest(
            f"sum by (model, bin) ({_ANSWERS}) / on (model) group_left () (sum by (model) ({_ANSWERS}) > 0)",
            by="model, bin",
            most=12,
        ),
        "{{model}}: {{bin}}",
    ),
    unit="percentunit",
    runbook="ModelFeatureDrift",
    min=0,
    max=1,
)
