"""Bring a Grafana to what the code says: a folder, a data source where one is asked for, every dashboard.

What is there already and as it should be is left alone; what differs is changed only if nobody else changed it
in between.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from driftline.dashboards import DASHBOARDS
from driftline.dashboards.dashboard import rendered
from driftline.dashboards.grafana import Grafana

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = "driftline"
DATASOURCE = "driftline-prometheus"


def push(
    url: str, token: str, *, folder: str = "driftline", prometheus: str | None = None, dry_run: bool = False
) -> Iterator[str]:
    """Make the Grafana at *url* hold the dashboards; yield a line for everything that was not so already.

    Args:
        url: Where Grafana is, its sub-path included.
        token: Of a service account that may edit dashboards, and data sources if *prometheus* is given.
        folder: The title of the folder, should it have to be made; it is known by its uid.
        prometheus: The URL of the Prometheus to make a data source for; None leaves data sources alone.
        dry_run: Change nothing; yield what would be changed, dashboards as a diff.

    Raises:
        GrafanaRefused: The URL, the token or the version is wrong, or somebody else changed the same thing.
    """
    grafana = Grafana(url, token)
    grafana.check_version()
    prefix = "would be " if dry_run else ""
    if grafana.find(f"/folders/{FOLDER}") is None:
        if not dry_run:
            grafana.send("POST", "/folders", {"uid": FOLDER, "title": folder})
        yield f"folder {folder}: {prefix}created"
    if prometheus is not None:
        wanted = {
            "uid": DATASOURCE, "name": DATASOURCE, "type": "prometheus", "access": "proxy", "url": prometheus,
        }  # fmt: skip
        there = grafana.find(f"/datasources/uid/{DATASOURCE}")
        if there is None or any(there.get(key) != value for key, value in wanted.items()):
            if not dry_run:
                path = "/datasources" if there is None else f"/datasources/uid/{DATASOURCE}"
                grafana.send("POST" if there is None else "PUT", path, wanted)
            yield f"data source {DATASOURCE}: {prefix}{'created' if there is None else 'updated'}"
    for uid, dashboard in DASHBOARDS.items():
        yield from _push_dashboard(grafana, uid, dashboard, dry_run=dry_run)


def _push_dashboard(grafana: Grafana, uid: str, dashboard: dict[str, Any], *, dry_run: bool) -> Iterator[str]:
    found = grafana.find(f"/dashboards/uid/{uid}")
    there = found["dashboard"] if found else {}
    same = {key: there.get(key) for key in dashboard}
    moved = found is not None and found["meta"].get("folderUid") != FOLDER
    if same == dashboard and not moved:
        return
    if dry_run:
        yield f"{uid}: would be {'updated' if found else 'created'}{', moved to the folder' if moved else ''}"
        if found:
            yield from difflib.unified_diff(
                rendered(same).splitlines(),
                rendered(dashboard).splitlines(),
                "Grafana",
                "driftline",
                lineterm="",
            )
        return
    payload = {**dashboard, "id": there.get("id"), "version": there.get("version", 0)}
    message = {"dashboard": payload, "folderUid": FOLDER, "overwrite": False, "message": "driftline"}
    grafana.send("POST", "/dashboards/db", message)
    yield f"{uid}: {'updated' if found else 'created'}"
