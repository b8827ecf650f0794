"""Business: which promises will not last the month?"""

from __future__ import annotations

from driftline.dashboards.panel import field, rows, table, thresholds, to_model
from driftline.dashboards.queries import FLEET, MOST


def _over(series: str) -> str:
    return f"sum_over_time(model:driftline_slo_{series}:increase5m{{{FLEET}}}[30d:5m])"


_BAD = f"{_over('bad_events')} / ({_over('events')} > 0)"
_LEFT = f"min by (model, slo) (1 - {_BAD} / model:driftline_slo_budget:ratio{{{FLEET}}})"
_FIRST = f"bottomk({MOST}, {_LEFT})"

PANEL = table(
    "Budget left of 30 days",
    "How much of what a promise allows to go wrong in 30 days is left, and how fast it is used: at a burn of 1 it lasts "
    "exactly 30 days. The 20 promises with the least left; below 0 % the promise was broken.",
    rows(_FIRST),
    rows(f"max by (model, slo) (model:driftline_slo_burn:ratio1d{{{FLEET}}}) and on (model, slo) {_FIRST}"),
    columns={"model": "model", "slo": "promise", "Value #A": "left", "Value #B": "burn, 1 day"},
    sort="burn, 1 day",
    runbook="ModelBudgetBurnSlow",
    unit="percentunit",
    decimals=0,
    overrides=[
        to_model(),
        field(
            "left",
            thresholds=thresholds({0: "yellow", 0.25: "green"}, start="red"),
            custom__cellOptions={"type": "color-text"},
        ),
        field("burn, 1 day", unit="none", decimals=1),
    ],
)
