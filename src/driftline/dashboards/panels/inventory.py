"""Governance: which models are in use, whose, and on which data?"""

from __future__ import annotations

from driftline.dashboards.panel import rows, table, to_model
from driftline.dashboards.queries import FLEET, VERSIONS

_OF = f"{{{FLEET}{VERSIONS}}}"

PANEL = table(
    "Inventory",
    "Every version that is there, its owner and tier, the baseline and data set it is compared with, and its rows of the "
    "last 24 hours. Learning is without a baseline: its drift is not scored. Unowned reaches nobody in particular.",
    rows(
        f"sum by (environment, model, version) (increase(driftline_predictions_total{_OF}[24h]))"
        " * on (environment, model, version) group_right ()"
        " group by (environment, model, version, state, baseline, dataset_version)"
        f" (driftline_model_version_info{_OF})"
        " * on (environment, model) group_left (owner, tier) model:driftline_model_owner:info"
    ),
    columns={
        "model": "model",
        "version": "version",
        "owner": "owner",
        "tier": "tier",
        "state": "state",
        "dataset_version": "data set",
        "baseline": "baseline",
        "Value": "rows, 24 h",
    },
    sort="rows, 24 h",
    runbook="versions",
    unit="short",
    decimals=0,
    overrides=[to_model()],
)
