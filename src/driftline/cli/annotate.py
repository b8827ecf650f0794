"""``driftline annotate``: tell the dashboards what happened, from a deployment pipeline or by hand."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from driftline.cli.moments import moment
from driftline.dashboards.annotate import KINDS, Mark, annotate
from driftline.dashboards.grafana import Grafana
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.epilog = (
        "The token of a service account is read from GRAFANA_TOKEN. What is told"
        " again with the same --id, or with the same words and --at, is one mark, brought up to date."
    )
    parser.add_argument(
        "kind", choices=KINDS, help="; ".join(f"{kind}: {what}" for kind, what in KINDS.items())
    )
    parser.add_argument("--text", required=True, help="what people read")
    for label in ("model", "environment", "version"):
        parser.add_argument(f"--{label}", metavar="NAME", help="what it is about; none of all models")
    parser.add_argument(
        "--at", metavar="TIME", help="when, such as 2026-03-02T12:00 (UTC unless it says); default: now"
    )
    parser.add_argument("--until", metavar="TIME", help="when it was over")
    parser.add_argument("--id", metavar="ID", help="what you call it, such as the pipeline's run")
    parser.add_argument(
        "--url", default=os.environ.get("GRAFANA_URL", ""), help="Grafana's root (default: GRAFANA_URL)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Make the mark: 0 it is there, 2 it cannot be made."""
    mark = _mark(arguments)
    done = annotate(Grafana(arguments.url, os.environ.get("GRAFANA_TOKEN", "")), mark)
    print(f"{mark.kind} {mark.name}: {done}")
    return 0


def _mark(arguments: argparse.Namespace) -> Mark:
    start = moment("--at", arguments.at) if arguments.at else None if arguments.id else time.time()
    end = moment("--until", arguments.until) if arguments.until else None
    if start is not None and end is not None and end < start:
        raise DriftlineError("--until is before --at: give them in the order in which they were")
    if arguments.kind != "event" and not arguments.model:
        raise DriftlineError(f"a {arguments.kind} is of a model, say --model; what is of none is an event")
    about = {label: getattr(arguments, label) for label in ("model", "environment", "version")}
    labels = {label: value for label, value in about.items() if value}
    return Mark(arguments.kind, arguments.text, start, end, labels, arguments.id)
