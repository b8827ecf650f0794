"""For data scientists: what moved, against which reference, since when, and is it more than chance?"""

from __future__ import annotations

from driftline.dashboards.dashboard import dashboard
from driftline.dashboards.panels import (
    attribution,
    bins_over_time,
    confidence,
    dependence,
    distribution,
    faults_of_feature,
    psi_heatmap,
    psi_of_sidecars,
    psi_outputs,
    psi_references,
    scores_table,
    segments_of_feature,
)

DASHBOARD = dashboard(
    "driftline-ds",
    "driftline / Data science",
    "What moved, against which reference, since when, and is it more than chance?",
    (9, [(scores_table.PANEL, 24)]),
    (10, [(psi_heatmap.PANEL, 14), (psi_outputs.PANEL, 10)]),
    (9, [(psi_references.PANEL, 12), (distribution.PANEL, 12)]),
    (9, [(bins_over_time.PANEL, 12), (faults_of_feature.PANEL, 12)]),
    (9, [(segments_of_feature.PANEL, 12), (confidence.PANEL, 12)]),
    (8, [(attribution.PANEL, 10), (psi_of_sidecars.PANEL, 7), (dependence.PANEL, 7)]),
    about="feature",
    since="now-7d",
)
