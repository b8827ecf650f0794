"""Governance: is every model owned and watched?"""

from __future__ import annotations

from driftline.dashboards.panel import instant, stat
from driftline.dashboards.queries import FLEET

_OWNERS = f"model:driftline_model_owner:info{{{FLEET}}}"

PANEL = stat(
    "Models, owned and watched",
    "Models of the last day; those that no setting gives an owner; those with a version that has no baseline, whose "
    "drift is not scored.",
    instant(f"count({_OWNERS})", "models"),
    instant(f'count(model:driftline_model_owner:info{{{FLEET}, owner="unowned"}}) or vector(0)', "unowned"),
    instant(
        f'count(group by (model) (driftline_model_version_info{{{FLEET}, state="learning"}})) or vector(0)',
        "without baseline",
    ),
    unit="none",
    runbook="ModelLearning",
)
