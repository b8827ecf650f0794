"""Governance: which models are in use, whose, and on which data?"""

from __future__ import annotations

from driftline.dashboards.panel import field, rows, table, to_model
from driftline.dashboards.queries import FLEET, VERSIONS

_OF = f"{{{FLEET}{VERSIONS}}}"


def _described(values: str) -> str:
    """Return *values* by environment, model and version with all that is known of each version as labels."""
    return (
        f"{values} * on (environment, model, version) group_right ()"
        " group by (environment, model, version, state, baseline, dataset_version)"
        f" (driftline_model_version_info{_OF})"
        " * on (environment, model) group_left (owner, tier) model:driftline_model_owner:info"
    )


PANEL = table(
    "Inventory",
    "Every version that is there, its owner and tier, the baseline and data set it is compared with, when that was built, and its rows of the "
    "last 24 hours. Learning is without a baseline: its drift is not scored. Unowned reaches nobody in particular.",
    rows(
        _described(f"sum by (environment, model, version) (increase(driftline_predictions_total{_OF}[24h]))")
    ),
    rows(
        _described(
            "1000 * max by (environment, model, version)"
            f" (driftline_model_baseline_created_timestamp_seconds{_OF})"
        )
    ),
    columns={
        "model": "model",
        "version": "version",
        "owner": "owner",
        "tier": "tier",
        "state": "state",
        "dataset_version": "data set",
        "baseline": "baseline",
        "Value #B": "built",
        "Value #A": "rows, 24 h",
    },
    sort="rows, 24 h",
    runbook="versions",
    unit="short",
    decimals=0,
    overrides=[to_model(), field("built", unit="dateTimeFromNow")],
)
