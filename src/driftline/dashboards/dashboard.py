"""The frame around the panels: variables, annotations, links, and where each panel stands."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from driftline.dashboards.panel import DATASOURCE, REPOSITORY, Panel
from driftline.dashboards.queries import FLEET, ONE, VERSIONS, psi

Dashboard = dict[str, Any]
Row = tuple[int, Sequence[tuple[Panel, int]]]
"""A row's height, and its panels with their widths, which add up to 24."""

TAG = "driftline"
SCHEMA = 39  # imports in Grafana 10 to 13

_DATASOURCE = {
    "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "regex": "",
    "hide": 0, "multi": False, "includeAll": False, "options": [], "refresh": 1,
}  # fmt: skip


def dashboard(
    uid: str,
    title: str,
    description: str,
    *rows: Row,
    about: Literal["model", "feature", "fleet"],
    since: str,
    version: bool = True,
) -> Dashboard:
    """Return a whole dashboard.

    Args:
        uid: Fixed, for alerts and other dashboards link to it.
        title: Its name.
        description: Whose questions it answers.
        rows: Its panels.
        about: One model, one feature of one model, or any number of models.
        since: How far back it opens, for instance ``now-7d``.
        version: Whether the versions can be chosen.
    """
    model = FLEET if about == "fleet" else ONE
    variables = [
        _DATASOURCE,
        _variable(
            "environment", "Environment", "label_values(model:driftline_model_owner:info, environment)"
        ),
        _variable(
            "model",
            "Model",
            'label_values(model:driftline_model_owner:info{environment="$environment"}, model)',
            several=about == "fleet",
        ),
    ]
    if version:
        variables.append(
            _variable(
                "version", "Version", f"label_values(driftline_model_info{{{model}}}, version)", several=True
            )
        )
    if about == "feature":
        # the one furthest from training comes first, so that it is the one the dashboard opens with
        variables.append(
            _variable(
                "feature", "Feature", f"query_result(sort_desc(max by (feature) ({psi('24h', ONE, VERSIONS)})))",
                regex='/feature="((?:[^"\\\\]|\\\\.)*)"/', sort=0,
            )
        )  # fmt: skip
        variables.append(
            _variable(
                "segment",
                "Segment",
                f"label_values(driftline_segment_predictions_total{{{ONE}}}, segment)",
                several=True,
            )
        )
    return {
        "uid": uid,
        "title": title,
        "description": description,
        "tags": [TAG],
        "schemaVersion": SCHEMA,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": since, "to": "now"},
        "refresh": "5m",
        "templating": {"list": variables},
        "annotations": {
            "list": [
                _releases(model),
                _incidents(model),
                _told("Deployments and incidents told", "purple", *((TAG, "model:$model") if model == ONE else (TAG,))),
                *([_told("Events", "purple", TAG, "event")] if model == ONE else []),
            ]
        },
        "links": [
            {
                "type": "dashboards", "title": "driftline", "tags": [TAG], "asDropdown": True, "icon": "",
                "includeVars": True, "keepTime": True, "targetBlank": False, "tooltip": "", "url": "",
            },
            {
                "type": "link", "title": "Runbooks", "url": f"{REPOSITORY}/alert-rules/README.md", "tags": [],
                "asDropdown": False, "icon": "doc", "includeVars": False, "keepTime": False,
                "targetBlank": True, "tooltip": "What each alert means and what to do",
            },
        ],
        "panels": _placed(rows),
    }  # fmt: skip


def rendered(dashboard: Dashboard) -> str:
    """Return the text of a dashboard's file."""
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def _placed(rows: Sequence[Row]) -> list[Panel]:
    placed: list[Panel] = []
    y = 0
    for height, panels in rows:
        x = 0
        for panel, width in panels:
            place = {"x": x, "y": y, "w": width, "h": height}
            placed.append({"id": len(placed) + 1, "gridPos": place, **panel})
            x += width
        y += height
    return placed


def _variable(
    name: str, label: str, query: str, *, several: bool = False, regex: str = "", sort: int = 1
) -> dict[str, Any]:
    every = {"current": {"text": ["All"], "value": ["$__all"]}, "allValue": ".+"} if several else {}
    return {
        "type": "query", "name": name, "label": label, "datasource": DATASOURCE,
        "query": query, "definition": query, "regex": regex, "sort": sort, "refresh": 2, "hide": 0,
        "multi": several, "includeAll": several, **every,
    }  # fmt: skip


def _releases(model: str) -> dict[str, Any]:
    """A version that was not there in the day before; a sidecar's pause is no release."""
    info = f"driftline_model_info{{{model}}}"
    return _annotation(
        "Releases", "blue",
        f"group by (environment, model, version) ({info})"
        f" unless group by (environment, model, version) (last_over_time({info}[1d] offset $__interval))",
        title="{{model}} {{version}}", text="First prediction of version {{version}} for a day or longer",
    )  # fmt: skip


def _incidents(model: str) -> dict[str, Any]:
    return _annotation(
        "Incidents", "red",
        f'count by (environment, model, alertname, priority) (ALERTS{{{model}, alertstate="firing"}})',
        title="{{alertname}} {{priority}}", text="{{model}}",
    )  # fmt: skip


def _told(name: str, color: str, *tags: str) -> dict[str, Any]:
    """Return the marks that ``driftline annotate`` made with all of *tags*, which Grafana keeps itself."""
    return {
        "name": name, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True, "hide": False,
        "iconColor": color, "target": {"type": "tags", "tags": [*tags], "matchAny": False, "limit": 100},
    }  # fmt: skip


def _annotation(name: str, color: str, expr: str, *, title: str, text: str) -> dict[str, Any]:
    return {
        "name": name, "datasource": DATASOURCE, "enable": True, "hide": False, "iconColor": color,
        "expr": expr, "step": "5m", "titleFormat": title, "textFormat": text, "tagKeys": "version,alertname",
        "useValueForTime": False,
    }  # fmt: skip
