"""``driftline dashboards``: write the dashboards' JSON."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from driftline.dashboards import DASHBOARDS
from driftline.dashboards.dashboard import rendered

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="write")
    write = commands.add_parser("write", help="write every dashboard as a file that Grafana imports")
    write.add_argument(
        "folder", type=Path, nargs="?", default=Path("dashboards"), help="where to (default: dashboards)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write one file a dashboard, named by its uid; 2 when the folder cannot be written to."""
    try:
        arguments.folder.mkdir(parents=True, exist_ok=True)
        for uid, dashboard in DASHBOARDS.items():
            path = arguments.folder / f"{uid}.json"
            path.write_text(rendered(dashboard))
            print(path)
    except OSError as error:
        print(
            f"{arguments.folder} cannot be written to ({error.strerror}): name another folder",
            file=sys.stderr,
        )
        return 2
    return 0
