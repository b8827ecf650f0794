"""``driftline alertmanager``: write who is told of which alert, from the contacts in ``driftline.yaml``."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from driftline import config, routing
from driftline.cli.shipped import shipped_rules
from driftline.errors import ConfigurationError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="write")
    write = commands.add_parser(
        "write",
        help="write alertmanager.yml, and beside it the templates of its messages",
        description="Write the Alertmanager configuration that driftline.yaml describes under alerting:. 1 when it is"
        " written and a model's owner has no contact.",
    )
    write.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="driftline.yaml, with a section alerting:"
    )
    write.add_argument(
        "--output", "-o", type=Path, metavar="FILE", help="where to (default: shown, without the templates)"
    )
    write.add_argument(
        "--alertmanager",
        type=_version,
        default=routing.OLDEST,
        metavar="VERSION",
        help="the oldest Alertmanager that will read it (default: 0.25); jira and teams need 0.28",
    )


def _version(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"v?(\d+)\.(\d+)(\.\d+)?", text)
    if not found or (int(found[1]), int(found[2])) < routing.OLDEST:
        raise argparse.ArgumentTypeError(f'"{text}" is no Alertmanager from 0.25 on, write for instance 0.28')
    return int(found[1]), int(found[2])


def run(arguments: argparse.Namespace) -> int:
    """Write it: 0 good, 1 an owner has no contact, 2 it cannot be written."""
    try:
        read = config.load(arguments.config)
        if read.alerting is None:
            raise ConfigurationError(  # noqa: TRY301 - said as the others are
                f"{arguments.config}: alerting: is required here; alert-rules/alertmanager/driftline.yaml shows one"
            )
        text = routing.alertmanager(read.alerting, version=arguments.alertmanager)
        if arguments.output is None:
            print(text, end="")
        else:
            templates = shipped_rules() / "alertmanager" / routing.TEMPLATES
            arguments.output.parent.mkdir(parents=True, exist_ok=True)
            arguments.output.with_name(routing.TEMPLATES).write_bytes(templates.read_bytes())
            arguments.output.write_text(text)
            print(arguments.output)
            print(arguments.output.with_name(routing.TEMPLATES))
    except ConfigurationError as error:
        print("\n".join(error.faults), file=sys.stderr)
        return 2
    except OSError as error:
        print(f"{error.filename}: cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    for line in read.untold:
        print(line, file=sys.stderr)
    return 1 if read.untold else 0
