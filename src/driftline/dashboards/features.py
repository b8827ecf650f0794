"""What the tables of features share: the furthest from training first, a verdict in colour, a link to each."""

from __future__ import annotations

from driftline.dashboards.panel import VERDICTS, Panel, field, mapped, rows, table, thresholds, to_feature
from driftline.dashboards.queries import MOST, ONE, VERSIONS, of_threshold, psi, threshold, verdict, week

_OF = f"{{{ONE}{VERSIONS}}}"

VERDICT, HOUR, DAY, WEEK = "verdict", "PSI 1 h", "PSI 24 h", "PSI 7 d"
LAST_WEEK, CHANCE, THRESHOLD, VALUES = "to last week", "chance", "threshold", "values, 24 h"

_COLUMNS = {
    VERDICT: f"max by (feature) ({verdict()})",
    HOUR: f"max by (feature) ({psi('1h')})",
    DAY: f"max by (feature) ({psi('24h')})",
    WEEK: f"max by (feature) ({week()})",
    LAST_WEEK: f"max by (feature) (model_feature:driftline_feature_psi:lastweek24h{{{ONE}}})",
    CHANCE: f"max by (feature) (version_feature:driftline_feature_chance:training24h{_OF})",
    THRESHOLD: f"max by (feature) ({threshold('P3')})",
    VALUES: f"sum by (feature) (version_feature:driftline_feature_values:increase24h{_OF})",
}


def features_table(title: str, description: str, *columns: str) -> Panel:
    """Return a table of the features furthest from training, with some of the columns above."""
    first = f"topk({MOST}, max by (feature) ({of_threshold()}))"
    return table(
        title,
        description,
        *(rows(f"{_COLUMNS[column]} and on (feature) {first}") for column in columns),
        columns={
            "feature": "feature",
            **{f"Value #{letter}": column for letter, column in zip("ABCDEFGH", columns, strict=False)},
        },
        sort=DAY,
        runbook="ModelFeatureDrift",
        decimals=2,
        overrides=[
            to_feature(),
            field(
                VERDICT,
                mappings=mapped(VERDICTS),
                thresholds=thresholds({1: "yellow", 2: "red"}),
                custom__cellOptions={"type": "color-background", "mode": "basic"},
            ),
            field(CHANCE, decimals=3),
            field(VALUES, unit="short", decimals=0),
        ],
    )
