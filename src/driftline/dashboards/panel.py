"""What a panel is: plain dicts in the form that Grafana 10 to 13 import.

Grafana draws what these dicts say; what they leave out is Grafana's own default.
"""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Panel = dict[str, Any]
Query = dict[str, Any]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
REPOSITORY = "https://github.com/driftline/driftline/blob/main"

VERDICTS = {0: ("as in training", "green"), 1: ("drifting", "yellow"), 2: ("drifting far", "red")}
"""What :func:`driftline.dashboards.queries.verdict` returns, as a person reads it."""

HEALTH = {0: ("good", "green"), 1: ("ticket", "yellow"), 2: ("page", "red")}
"""What :func:`driftline.dashboards.queries.health` returns, as a person reads it."""


def ranged(expr: str, legend: str = "") -> Query:
    """Return a query over the dashboard's time, *legend* naming each series by its labels."""
    return {
        "datasource": DATASOURCE,
        "expr": expr,
        "legendFormat": legend,
        "range": True,
        "instant": False,
        "format": "time_series",
    }


def instant(expr: str, legend: str = "") -> Query:
    """Return a query of the latest moment."""
    return {**ranged(expr, legend), "range": False, "instant": True}


def rows(expr: str) -> Query:
    """Return a query of the latest moment whose series become the rows of a table, labels its columns."""
    return {**instant(expr), "format": "table"}


def panel(
    kind: str,
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    runbook: str,
    options: Mapping[str, Any],
    custom: Mapping[str, Any] | None = None,
    overrides: Sequence[Mapping[str, Any]] = (),
    transformations: Sequence[Mapping[str, Any]] = (),
    **defaults: Any,
) -> Panel:
    """Return a panel without its place; what a dashboard gives it is ``id`` and ``gridPos``.

    Args:
        kind: Grafana's name of the visualization.
        title: What it shows, as a person would ask for it.
        description: How to read it, in a sentence or three; Grafana shows it on hover.
        queries: What is drawn.
        unit: Grafana's name of the unit.
        runbook: An alert's name, or the heading of dashboards/README.md that says what to do.
        options: The visualization's own options.
        custom: The visualization's own options of a field.
        overrides: Options of single fields.
        transformations: What happens to the answers before they are drawn.
        defaults: Further options of every field, for instance ``min`` or ``mappings``.
    """
    page = f"dashboards/README.md#{runbook}" if runbook.islower() else f"alert-rules/runbooks/{runbook}.md"
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": [
            {"refId": letter, **query} for letter, query in zip(string.ascii_uppercase, queries, strict=False)
        ],
        "fieldConfig": {
            "defaults": {"unit": unit, **({"custom": dict(custom)} if custom else {}), **defaults},
            "overrides": [dict(override) for override in overrides],
        },
        "options": dict(options),
        "transformations": [dict(transformation) for transformation in transformations],
        "links": [{"title": "Runbook", "url": f"{REPOSITORY}/{page}", "targetBlank": True}],
    }


def timeseries(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    runbook: str,
    stacked: bool = False,
    dashed: str = "",
    logarithmic: bool = False,
    **defaults: Any,
) -> Panel:
    """Return lines over time; those whose names match the regular expression *dashed* are what is allowed."""
    lines = {"drawStyle": "line", "lineWidth": 1 if stacked else 2, "fillOpacity": 60 if stacked else 0}
    return panel(
        "timeseries", title, description, *queries, unit=unit, runbook=runbook,
        custom={
            **lines,
            "showPoints": "auto",
            "spanNulls": False,
            **({"stacking": {"mode": "normal", "group": "A"}} if stacked else {}),
            **({"scaleDistribution": {"type": "log", "log": 10}} if logarithmic else {}),
        },
        options={
            "legend": {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull"], "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        overrides=[
            {
                "matcher": {"id": "byRegexp", "options": dashed},
                "properties": [
                    {"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 8]}},
                    {"id": "custom.lineWidth", "value": 1},
                ],
            }
        ] if dashed else (),
        **defaults,
    )  # fmt: skip


def stat(
    title: str,
    description: str,
    *queries: Query,
    unit: str,
    runbook: str,
    steps: Mapping[float, str] | None = None,
    empty: str = "none",
    overrides: Sequence[Mapping[str, Any]] = (),
    **defaults: Any,
) -> Panel:
    """Return one large number a series; *steps* maps the value a colour begins at to that colour."""
    return panel(
        "stat", title, description, *queries, unit=unit, runbook=runbook,
        options={
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "background" if steps else "value",
            "graphMode": "none",
            "textMode": "auto",
            "justifyMode": "center",
            "orientation": "auto",
        },
        noValue=empty,
        color={"mode": "thresholds"},
        thresholds=thresholds(steps or {}, start="green" if steps else "text"),
        overrides=overrides,
        **defaults,
    )  # fmt: skip


def table(
    title: str,
    description: str,
    *queries: Query,
    columns: Mapping[str, str],
    runbook: str,
    sort: str,
    unit: str = "none",
    overrides: Sequence[Mapping[str, Any]] = (),
    **defaults: Any,
) -> Panel:
    """Return rows of labels and values, one query a column of values, the largest of *sort* first.

    *columns* are what is shown, in order: a field (a label, or ``Value #A`` and so on) and its heading.
    """
    return panel(
        "table", title, description, *queries, unit=unit, runbook=runbook,
        options={"showHeader": True, "cellHeight": "sm", "sortBy": [{"displayName": sort, "desc": True}]},
        custom={"align": "auto", "filterable": False},
        transformations=_joined(columns),
        overrides=overrides,
        noValue="",
        **defaults,
    )  # fmt: skip


def bars(
    title: str, description: str, *queries: Query, columns: Mapping[str, str], unit: str, runbook: str,
    **defaults: Any,
) -> Panel:  # fmt: skip
    """Return groups of bars: the first of *columns* names the groups, each further one is a bar of it."""
    return panel(
        "barchart", title, description, *queries, unit=unit, runbook=runbook,
        options={
            "xField": next(iter(columns.values())),
            "orientation": "vertical",
            "stacking": "none",
            "showValue": "never",
            "barWidth": 0.97,
            "groupWidth": 0.7,
            "xTickLabelRotation": 0,
            "legend": {"displayMode": "list", "placement": "bottom", "calcs": [], "showLegend": True},
            "tooltip": {"mode": "multi", "sort": "none"},
        },
        custom={"fillOpacity": 80, "lineWidth": 0},
        transformations=[*_joined(columns), _sorted(next(iter(columns.values())))],
        **defaults,
    )  # fmt: skip


def states(title: str, description: str, *queries: Query, runbook: str, **defaults: Any) -> Panel:
    """Return a strip of colours over time for every series, equal neighbours merged."""
    return panel(
        "state-timeline", title, description, *queries, unit="none", runbook=runbook,
        options={
            "mergeValues": True,
            "showValue": "never",
            "rowHeight": 0.85,
            "legend": {"displayMode": "list", "placement": "bottom", "calcs": [], "showLegend": True},
            "tooltip": {"mode": "single", "sort": "none"},
        },
        custom={"fillOpacity": 80, "lineWidth": 0, "spanNulls": False},
        **defaults,
    )  # fmt: skip


def heatmap(title: str, description: str, query: Query, *, runbook: str, highest: float) -> Panel:
    """Return a row of cells for every series, darker for larger values up to *highest*."""
    return panel(
        "heatmap", title, description, query, unit="none", runbook=runbook,
        options={
            "calculate": False,
            "color": {
                "mode": "scheme", "scheme": "YlOrRd", "fill": "dark-orange", "exponent": 0.5, "steps": 64,
                "reverse": False, "min": 0, "max": highest,
            },
            "cellGap": 1,
            "cellValues": {"unit": "none", "decimals": 2},
            "rowsFrame": {"layout": "auto"},
            "showValue": "never",
            "filterValues": {"le": -1},
            "legend": {"show": True},
            "tooltip": {"mode": "single", "yHistogram": False},
            "yAxis": {"axisPlacement": "left", "reverse": False},
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
        },
        custom={"hideFrom": {"legend": False, "tooltip": False, "viz": False}},
    )  # fmt: skip


def thresholds(steps: Mapping[float, str], start: str = "green") -> dict[str, Any]:
    """Return colours by value: *start* from below, then each of *steps* from its value on."""
    further = [{"value": value, "color": color} for value, color in steps.items()]
    return {"mode": "absolute", "steps": [{"value": None, "color": start}, *further]}


def mapped(values: Mapping[int, tuple[str, str]]) -> list[dict[str, Any]]:
    """Return the mapping of numbers to a text and its colour."""
    return [
        {
            "type": "value",
            "options": {
                str(value): {"text": text, "color": color, "index": number}
                for number, (value, (text, color)) in enumerate(values.items())
            },
        }
    ]


def field(name: str, **options: Any) -> dict[str, Any]:
    """Return the override of the one field *name*; ``custom__x`` stands for ``custom.x``."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key.replace("__", "."), "value": value} for key, value in options.items()],
    }


def to_feature(name: str = "feature") -> dict[str, Any]:
    """Return the override that makes the field *name* a link to that feature's own page."""
    kept = "${environment:queryparam}&${model:queryparam}&${version:queryparam}&${datasource:queryparam}"
    url = f"/d/driftline-ds?{kept}&var-feature=${{__value.raw}}&${{__url_time_range}}"
    return field(name, links=[{"title": "This feature", "url": url, "targetBlank": False}])


def to_model(name: str = "model") -> dict[str, Any]:
    """Return the override that makes the field *name* a link to that model's landing page."""
    kept = "${environment:queryparam}&${datasource:queryparam}"
    url = f"/d/driftline-model?{kept}&var-model=${{__value.raw}}"
    return field(name, links=[{"title": "This model", "url": url, "targetBlank": False}])


def _joined(columns: Mapping[str, str]) -> list[dict[str, Any]]:
    return [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {},
                "indexByName": {name: place for place, name in enumerate(columns)},
                "renameByName": {name: shown for name, shown in columns.items() if name != shown},
            },
        },
    ]


def _sorted(name: str) -> dict[str, Any]:
    return {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": name, "desc": False}]}}
