"""Operations: is a promise being broken now?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, furthest

PANEL = timeseries(
    "Budgets burning",
    "How many times faster than allowed each promise uses its error budget, over an hour: the ten fastest. At 1 it lasts "
    "30 days; dashed, where ModelBudgetBurnFast pages.",
    ranged(
        furthest(
            f"max by (model, slo) (model:driftline_slo_burn:ratio1h{{{FLEET}}})", by="model, slo", most=10
        ),
        "{{model}} {{slo}}",
    ),
    ranged(f"14.4 * group(model:driftline_slo_budget:ratio{{{FLEET}}})", "pages"),
    unit="none",
    runbook="ModelBudgetBurnFast",
    dashed="pages",
    min=0,
    decimals=1,
)
