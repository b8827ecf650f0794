"""``driftline alertmanager``: write who is told of which alert, from the contacts in ``driftline.yaml``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from driftline import config, contacts, files, routing
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
        default=contacts.OLDEST,
        metavar="VERSION",
        help="the oldest Alertmanager that will read it (default: 0.25); jira and teams need 0.28",
    )


def _version(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"v?(\d+)\.(\d+)(\.\d+)?", text)
    if not found or (int(found[1]), int(found[2])) < contacts.OLDEST:
        raise argparse.ArgumentTypeError(f'"{text}" is no Alertmanager from 0.25 on, write for instance 0.28')
    return int(found[1]), int(found[2])


def run(arguments: argparse.Namespace) -> int:
    """Write it: 0 good, 1 an owner has no contact, 2 it cannot be written."""
    read = config.load(arguments.config)
    if read.alerting is None:
        raise ConfigurationError(
            f"{arguments.config}: alerting: is required here; alert-rules/alertmanager/driftline.yaml shows one"
        )
    text = routing.alertmanager(read.alerting, version=arguments.alertmanager)
    if arguments.output is None:
        print(text, end="")
    else:
        try:
            _write(arguments.output, text)
        except OSError as error:
            raise ConfigurationError(f"{error.filename}: cannot be written: {error.strerror}") from error
    for line in read.untold:
        print(line, file=sys.stderr)
    return 1 if read.untold else 0


def _write(output: Path, text: str) -> None:
    """Write the configuration, and its templates beside it; what somebody has changed stays as it is.

    Raises:
        ConfigurationError: What is there is somebody's own, or was made for another driftline.
    """
    if output.exists() and not _is_as_written(_read(output)):
        raise ConfigurationError(
            f"{output}: was not written by driftline, or was changed since, so it stays: move it away, or write elsewhere"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    shipped = _read(shipped_rules() / "alertmanager" / routing.TEMPLATES)
    templates = output.with_name(routing.TEMPLATES)
    kept = _read(templates) if templates.exists() else shipped
    if kept == shipped or _is_as_written(kept):
        written = [templates]
        _place(templates, routing.sealed(shipped))
    else:
        written = _keep(templates, kept, routing.sealed(shipped), text)
    _place(output, text)
    print(output, *written, sep="\n")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _place(path: Path, text: str) -> None:
    """Write *path* whole or not at all: half of a configuration would pass for one changed by hand, and stay."""
    # Through a link to where it is kept; pathlib raises what is no OSError where it leads round in a circle.
    files.write_text(Path(os.path.realpath(path)), text)


def _is_as_written(text: str) -> bool:
    return routing.SEAL.search(text) is not None and routing.sealed(text) == text


def _keep(templates: Path, kept: str, shipped: str, text: str) -> list[Path]:
    """Leave changed *templates* alone; where they began as others than *shipped*, put those beside them.

    Returns:
        What was written.

    Raises:
        ConfigurationError: The configuration *text* uses a template that they have not.
    """
    began, now = routing.SEAL.search(kept), routing.SEAL.search(shipped)
    if began and now and began[0] == now[0]:
        return []
    beside = templates.with_name(f"{templates.name}.new")
    _place(beside, shipped)
    used = dict.fromkeys(re.findall(r'template "(driftline[.][a-z]+)"', text))
    absent = [name for name in used if f'define "{name}"' not in kept]
    if absent:
        raise ConfigurationError(
            f"{templates}: was changed by hand, and has no {', '.join(absent)}, which messages now need: take it from {beside}"
        )
    print(f"{templates}: was changed by hand, so it stays; driftline's own is {beside} now", file=sys.stderr)
    return [beside]
