"""Operations: do all sidecars answer?"""

from __future__ import annotations

from driftline.dashboards.panel import instant, stat

PANEL = stat(
    "Sidecars",
    "Targets of the job driftline that answer Prometheus, and how many there are. While one is down, the models that it "
    "alone serves are not watched; their services are not affected.",
    instant('sum(up{job="driftline"})', "up"),
    instant('count(up{job="driftline"})', "known"),
    unit="none",
    runbook="DriftlineSidecarDown",
)
