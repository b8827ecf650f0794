"""Data science: what drives the score, and what did in training?"""

from __future__ import annotations

from driftline.dashboards.panel import rows, table, to_feature
from driftline.dashboards.queries import MOST, ONE, VERSIONS

_EXPLAINED = "version_feature:driftline_feature_score_explained"
_NOW = f"max by (feature) ({_EXPLAINED}:ratio24h{{{ONE}{VERSIONS}}})"
_CHANGE = f"max by (feature) ({_EXPLAINED}:change24h{{{ONE}{VERSIONS}}})"
_FIRST = f"topk({MOST}, {_NOW})"

PANEL = table(
    "What drives the score",
    "Share of the score's variance in 24 hours that each feature alone explains, and how much more than in training. Features "
    "that go together both show, so shares need not add up to 100 %. Empty without `attribution: true` or under 5,000 rows.",
    rows(_FIRST),
    rows(f"{_CHANGE} and on (feature) {_FIRST}"),
    columns={"feature": "feature", "Value #A": "explains", "Value #B": "since training"},
    sort="explains",
    runbook="attribution",
    unit="percentunit",
    decimals=1,
    overrides=[to_feature()],
)
