"""Marks on the dashboards for what Prometheus cannot know: deployments, incidents of data, events outside."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

if TYPE_CHECKING:
    from driftline.dashboards.grafana import Grafana

TAG = "driftline"
KINDS = {
    "deployment": "a version was released, a threshold or a feature pipeline changed",
    "incident": "data were wrong, late or missing",
    "event": "something outside of everything here: a campaign, a holiday, a new law",
}


class Mark(NamedTuple):
    """What happened.

    Attributes:
        kind: One of ``KINDS``.
        text: What people read.
        start: When, in seconds since 1970; None, which needs a *given*, for now, or for what was said before.
        end: When it was over; None for a moment, for what is not over yet, and for what was said before.
        labels: What it is about: ``model``, ``environment``, ``version``; none of all models.
        given: What whoever tells it calls it, such as a pipeline's run; None where it has no name.
    """

    kind: str
    text: str
    start: float | None
    end: float | None
    labels: dict[str, str]
    given: str | None

    @property
    def name(self) -> str:
        """What it is known by, so that telling it again does not double it."""
        if self.given is not None:
            return self.given
        said = "\x00".join(
            (self.kind, self.text, f"{self.start or 0:.0f}", *map("=".join, sorted(self.labels.items())))
        )
        return hashlib.sha256(said.encode()).hexdigest()[:12]


def annotate(grafana: Grafana, mark: Mark) -> str:
    """Make *mark* an annotation of the organisation, or bring the one that is there up to date.

    Returns:
        What was done: created, updated, or there already.

    Raises:
        GrafanaRefused: The URL, the token or the version is wrong.
    """
    grafana.check_version()
    name = f"id:{mark.name}"
    asked = urlencode({"tags": [TAG, name], "type": "annotation", "limit": 1}, doseq=True)
    there: dict[str, Any] = next(iter(grafana.send("GET", f"/annotations?{asked}")), {})
    start = there.get("time", time.time() * 1000) if mark.start is None else mark.start * 1000
    end = there.get("timeEnd", start) if mark.end is None else mark.end * 1000
    tags = [TAG, mark.kind, name, *(f"{label}:{value}" for label, value in mark.labels.items())]
    wanted: dict[str, Any] = {"time": int(start), "timeEnd": int(end), "tags": tags, "text": mark.text}
    if not there:
        grafana.send("POST", "/annotations", wanted)
        return "created"
    same = sorted(there.get("tags") or []) == sorted(tags)
    if same and all(there.get(key) == wanted[key] for key in ("time", "timeEnd", "text")):
        return "there already"
    grafana.send("PUT", f"/annotations/{there['id']}", wanted)
    return "updated"
