"""Bring a Grafana to what the code says: a folder, a data source where one is asked for, every dashboard.

What is there already and as it should be is left alone; what differs is changed only if nobody else changed it
in between. Needs grafana-client, whose dependencies replace urllib3: an extra, and an environment of its own.
"""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from driftline.dashboards import DASHBOARDS
from driftline.dashboards.dashboard import rendered
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from collections.abc import Iterator

OLDEST = 10
FOLDER = "driftline"
DATASOURCE = "driftline-prometheus"
TIMEOUT = 30.0


class GrafanaRefused(DriftlineError):
    """Grafana cannot be reached or does not do what it is asked; the text says what to do about it."""


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
    grafana = _Grafana(url, token)
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


def _push_dashboard(
    grafana: _Grafana, uid: str, dashboard: dict[str, Any], *, dry_run: bool
) -> Iterator[str]:
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


class _Grafana:
    """Grafana's HTTP API, whose refusals say what to do."""

    def __init__(self, url: str, token: str) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise GrafanaRefused(
                f"{url} is no address of a Grafana, give one such as https://grafana.example.com"
            )
        from grafana_client import GrafanaApi

        self._url = url
        self._client = GrafanaApi.from_url(url.rstrip("/") + "/", credential=token, timeout=TIMEOUT).client

    def check_version(self) -> None:
        settings = self.find("/frontend/settings")
        version = settings.get("buildInfo", {}).get("version") if isinstance(settings, dict) else None
        if settings is None or (version is None and "buildInfo" not in settings):
            raise GrafanaRefused(
                f"{self._url} answers, but is no Grafana: give its root, with its sub-path if it has one"
            )
        if version and int(version.split(".")[0]) < OLDEST:
            raise GrafanaRefused(f"{self._url} is Grafana {version}, these dashboards need {OLDEST} or later")

    def find(self, path: str) -> Any:
        """Return what is at *path*; None when it is not there."""
        return self.send("GET", path, absent_is_none=True)

    def send(self, method: str, path: str, body: Any = None, *, absent_is_none: bool = False) -> Any:
        """Return Grafana's answer to *method* on *path*."""
        from grafana_client.client import GrafanaException

        try:
            return getattr(self._client, method)(path, json=body)
        except GrafanaException as error:
            if error.status_code == 404 and absent_is_none:
                return None
            raise GrafanaRefused(self._remedy(error, method, path)) from error
        except json.JSONDecodeError as error:
            raise GrafanaRefused(f"{self._url} does not answer as a Grafana does: {error}") from error
        except OSError as error:  # niquests' own errors are such
            raise GrafanaRefused(f"{self._url} cannot be reached: {error}") from error

    def _remedy(self, error: Any, method: str, path: str) -> str:
        said = error.response.get("message", "") if isinstance(error.response, dict) else ""
        remedies = {
            401: "the token is not valid here: make one for a service account of this Grafana",
            403: f"the token may not {method} {path}: its service account needs the role Editor, Admin for data sources",
            404: "there is no such thing; is the URL that of Grafana's root?",
            409: "something else has this name: rename it, or leave --prometheus out",
            412: "somebody changed it in the meantime, or another dashboard has its title: look, then push again",
        }
        remedy = remedies.get(error.status_code, f"it answered {error.status_code or 'nothing in time'}")
        return f"{self._url}: {remedy}" + (f" (Grafana says: {said})" if said else "")
