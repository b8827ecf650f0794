"""Landing page: which features have more faults than in training?"""

from __future__ import annotations

from driftline.dashboards.panel import rows, table, to_feature
from driftline.dashboards.queries import MOST, ONE, VERSIONS

_NOW = f"max by (feature, fault) (version_feature_fault:driftline_feature_faults:ratio1h{{{ONE}{VERSIONS}}})"
_TRAINING = (
    "max by (feature, fault) (version_feature_fault:driftline_feature_baseline_fault_ratio:avg"
    f"{{{ONE}{VERSIONS}}})"
)
_MORE = f"topk({MOST}, {_NOW} - ({_TRAINING} or 0 * {_NOW}) > 0)"

PANEL = table(
    "Faults beyond training",
    "Share of the last hour's rows with a fault, beside training's: the 20 that grew most. The same jump in several "
    "features is one source; a name leads to its feature.",
    rows(f"{_NOW} and on (feature, fault) {_MORE}"),
    rows(f"{_TRAINING} and on (feature, fault) {_MORE}"),
    rows(_MORE),
    columns={
        "feature": "feature",
        "fault": "fault",
        "Value #A": "last hour",
        "Value #B": "training",
        "Value #C": "more",
    },
    sort="more",
    runbook="ModelFeatureFaults",
    unit="percentunit",
    decimals=2,
    overrides=[to_feature()],
)
