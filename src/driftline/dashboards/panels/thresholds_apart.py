"""Governance: which features were given a threshold of their own?"""

from __future__ import annotations

from driftline.dashboards.panel import rows, table, to_model
from driftline.dashboards.queries import FLEET, MOST, VERSIONS, threshold

_OWN = threshold("P3", FLEET, VERSIONS)
_USUAL = f"quantile by (environment, model, version) (0.5, {_OWN})"
_APART = (
    f"topk({MOST}, max by (model, feature)"
    f" ({_OWN} != on (environment, model, version) group_left () {_USUAL}))"
)

PANEL = table(
    "Thresholds apart from the rest",
    "Features whose drift alert starts at another score than their model's usual one. Each should have its reason beside "
    "it in driftline.yaml: a threshold raised is an alert not sent.",
    rows(_APART),
    columns={"model": "model", "feature": "feature", "Value": "PSI"},
    sort="PSI",
    runbook="ModelFeatureDrift",
    decimals=2,
    overrides=[to_model()],
)
