"""Landing page: what were the last 30 days?"""

from __future__ import annotations

from driftline.dashboards.panel import VERDICTS, mapped, ranged, states
from driftline.dashboards.queries import furthest, psi, verdict

PANEL = states(
    "Drift by feature",
    "Green, yellow and red as in the first panel, for the ten features and outputs whose PSI rose highest. A step is a "
    "deployment or a broken source, a slope is the world; compare with the blue marks of releases.",
    ranged(furthest(verdict(), ranked=psi("24h"), most=10), "{{feature}}"),
    runbook="ModelFeatureDrift",
    mappings=mapped(VERDICTS),
)
