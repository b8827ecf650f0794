"""Landing page: what is drifting, and by how much?"""

from __future__ import annotations

from driftline.dashboards.panel import VERDICTS, field, mapped, rows, table, thresholds, to_feature
from driftline.dashboards.queries import MOST, ONE, VERSIONS, of_threshold, psi, threshold, verdict

_FIRST = f"topk({MOST}, max by (feature) ({of_threshold()}))"

PANEL = table(
    "Furthest from training",
    "Scores of the last 24 hours against training, and where the alert starts. A score above its threshold in a "
    "green row is chance or the calendar: the same day of last week was like it. A name leads to its feature.",
    rows(f"max by (feature) ({verdict()}) and on (feature) {_FIRST}"),
    rows(f"max by (feature) ({psi('24h')}) and on (feature) {_FIRST}"),
    rows(f"max by (feature) ({threshold('P3')}) and on (feature) {_FIRST}"),
    rows(
        "max by (feature) (model_feature:driftline_feature_psi:lastweek24h"
        f"{{{ONE}}}) and on (feature) {_FIRST}"
    ),
    rows(
        f"sum by (feature) (version_feature:driftline_feature_values:increase24h{{{ONE}{VERSIONS}}})"
        f" and on (feature) {_FIRST}"
    ),
    columns={
        "feature": "feature",
        "Value #A": "verdict",
        "Value #B": "PSI",
        "Value #C": "threshold",
        "Value #D": "PSI, last week",
        "Value #E": "values",
    },
    sort="PSI",
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
        field("values", unit="short", decimals=0),
    ],
)
