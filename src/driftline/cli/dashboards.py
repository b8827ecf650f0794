"""``driftline dashboards``: write the dashboards' JSON, or bring a Grafana to it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from driftline import files
from driftline.dashboards import DASHBOARDS
from driftline.dashboards.dashboard import rendered
from driftline.dashboards.push import push
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="write|push")
    write = commands.add_parser("write", help="write every dashboard as a file that Grafana imports")
    write.add_argument(
        "folder", type=Path, nargs="?", default=Path("dashboards"), help="where to (default: dashboards)"
    )
    push = commands.add_parser(
        "push",
        help="make or update them in a Grafana; needs driftline[grafana]",
        description="Make or update the dashboards in a Grafana. The token of a service account is read from"
        " GRAFANA_TOKEN: what stands on a command line is seen by others.",
    )
    push.add_argument(
        "--url", default=os.environ.get("GRAFANA_URL", ""), help="Grafana's root (default: GRAFANA_URL)"
    )
    push.add_argument("--folder", default="driftline", help="title of the folder, should it be made anew")
    push.add_argument("--prometheus", metavar="URL", help="make a data source for this Prometheus, too")
    push.add_argument(
        "--dry-run", action="store_true", help="change nothing, show what would be; 1 if anything"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write or push; 1 when a dry run found differences, 2 when it cannot be done."""
    return _write(arguments.folder) if arguments.action == "write" else _push(arguments)


def _write(folder: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for uid, dashboard in DASHBOARDS.items():
            path = folder / f"{uid}.json"
            files.write_text(path, rendered(dashboard))  # a Grafana may be watching the folder
            print(path)
    except OSError as error:
        raise DriftlineError(
            f"{folder} cannot be written to ({error.strerror}): name another folder"
        ) from error
    return 0


def _push(arguments: argparse.Namespace) -> int:
    changed = False
    for line in push(
        arguments.url,
        os.environ.get("GRAFANA_TOKEN", ""),
        folder=arguments.folder,
        prometheus=arguments.prometheus,
        dry_run=arguments.dry_run,
    ):
        print(line)
        changed = True
    if not changed:
        print(f"{arguments.url}: all as it should be")
    return int(changed and arguments.dry_run)
