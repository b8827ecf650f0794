"""Grafana's HTTP API by grafana-client, whose dependencies replace urllib3: an extra, and an environment of its own."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from driftline.errors import DriftlineError

OLDEST = 10
TIMEOUT = 30.0


class GrafanaRefused(DriftlineError):
    """Grafana cannot be reached or does not do what it is asked; the text says what to do about it."""


class Grafana:
    """Grafana's HTTP API, whose refusals say what to do."""

    def __init__(self, url: str, token: str) -> None:
        if not url:
            raise GrafanaRefused("say where Grafana is: --url or GRAFANA_URL")
        if not token:
            raise GrafanaRefused("set GRAFANA_TOKEN to the token of a service account that is Editor")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise GrafanaRefused(
                f"{url} is no address of a Grafana, give one such as https://grafana.example.com"
            )
        token = token.strip()  # a secret often ends with a line
        if not (token.isascii() and token.isprintable()):
            raise GrafanaRefused("the token holds what no token may: is there a line break in it?")
        try:
            from grafana_client import GrafanaApi
        except ImportError as error:
            raise GrafanaRefused(
                f"this needs {error.name}: pip install 'driftline[grafana]', in an environment of its own, for what"
                " comes with it replaces urllib3"
            ) from error
        self._url = url
        self._client = GrafanaApi.from_url(url.rstrip("/") + "/", credential=token, timeout=TIMEOUT).client

    def check_version(self) -> None:
        """Refuse what is no Grafana, or one too old.

        Raises:
            GrafanaRefused: It is either.
        """
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
