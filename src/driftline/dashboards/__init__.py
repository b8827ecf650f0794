"""Dashboards as code: one file per panel, one per dashboard; ``driftline dashboards write`` writes their JSON."""

from __future__ import annotations

from driftline.dashboards import data_science, model

DASHBOARDS = {dashboard["uid"]: dashboard for dashboard in (model.DASHBOARD, data_science.DASHBOARD)}
"""Every dashboard by its uid, which is its file's name, too."""
