"""Dashboards as code: one file per panel, one per dashboard; ``driftline dashboards write`` writes their JSON."""

from __future__ import annotations

from driftline.dashboards import business, data_science, governance, model, operations

DASHBOARDS = {
    module.DASHBOARD["uid"]: module.DASHBOARD
    for module in (model, data_science, operations, business, governance)
}
"""Every dashboard by its uid, which is its file's name, too."""
