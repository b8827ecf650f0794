"""Data science: which features moved, against which reference, and is it more than chance?"""

from __future__ import annotations

from driftline.dashboards.panel import VERDICTS, field, mapped, rows, table, thresholds, to_feature
from driftline.dashboards.queries import MOST, ONE, VERSIONS, of_threshold, psi, threshold, verdict, week

_FIRST = f"topk({MOST}, max by (feature) ({of_threshold()}))"


def _best(scores: str, how: str = "max") -> str:
    return f"{how} by (feature) ({scores}) and on (feature) {_FIRST}"


PANEL = table(
    "Features by drift",
    "PSI against training of the last hour, day and week, and against the same day of last week. Chance is what PSI "
    "exceeds by chance once in a million looks, dependent rows allowed for: below it a score says nothing.",
    rows(_best(verdict())),
    rows(_best(psi("1h"))),
    rows(_best(psi("24h"))),
    rows(_best(week())),
    rows(_best(f"model_feature:driftline_feature_psi:lastweek24h{{{ONE}}}")),
    rows(_best(f"version_feature:driftline_feature_chance:training24h{{{ONE}{VERSIONS}}}")),
    rows(_best(threshold("P3"))),
    rows(_best(f"version_feature:driftline_feature_values:increase24h{{{ONE}{VERSIONS}}}", "sum")),
    columns={
        "feature": "feature",
        "Value #A": "verdict",
        "Value #B": "PSI 1 h",
        "Value #C": "PSI 24 h",
        "Value #D": "PSI 7 d",
        "Value #E": "to last week",
        "Value #F": "chance",
        "Value #G": "threshold",
        "Value #H": "values, 24 h",
    },
    sort="PSI 24 h",
    runbook="ModelFeatureDrift",
    decimals=2,
    overrides=[
        to_feature(),
        field(
            "verdict",
            mappings=mapped(VERDICTS),
            thresholds=thresholds({1: "yellow", 2: "red"}),
            custom__cellOptions={"type": "color-background", "mode": "basic"},
        ),
        field("chance", decimals=3),
        field("values, 24 h", unit="short", decimals=0),
    ],
)
