"""Landing page: is the model doing as expected?"""

from __future__ import annotations

from driftline.dashboards.panel import VERDICTS, instant, mapped, stat
from driftline.dashboards.queries import verdict

PANEL = stat(
    "Data of this model",
    "The worst feature or output of the last 24 hours, judged as the alert judges: beyond chance, beyond the "
    "calendar, and above its own threshold (yellow: P3, red: P2). Empty until eight hours of rows are in.",
    instant(f"max({verdict()})"),
    unit="none",
    runbook="ModelFeatureDrift",
    steps={1: "yellow", 2: "red"},
    empty="no score yet",
    mappings=mapped(VERDICTS),
)
