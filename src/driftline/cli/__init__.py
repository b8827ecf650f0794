"""The ``driftline`` command: one module a command, loaded when it is called."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import NamedTuple

from driftline.errors import DriftlineError


class Command(NamedTuple):
    """A command, known without loading it: help must not need what the command needs.

    Attributes:
        module: Has ``add_arguments(parser)`` and ``run(arguments) -> exit code``; a ``DriftlineError`` out of it is said, and 2.
        help: What it does.
        extra: What has to be installed for it: ``pip install 'driftline[extra]'``.
    """

    module: str
    help: str
    extra: str


COMMANDS = {
    "sidecar": Command(
        "driftline.cli.sidecar",
        "run the sidecar that counts what services send and that Prometheus scrapes",
        "sidecar",
    ),
    "check-config": Command(
        "driftline.cli.check", "check driftline.yaml and its baselines, and whether the sidecar runs", "sidecar"
    ),
    "baseline": Command(
        "driftline.cli.baseline", "build a baseline from training data, show it, check it", "baseline"
    ),
    "compare": Command(
        "driftline.cli.compare", "say whether rows have moved away from others, feature by feature", "baseline"
    ),
    "alertmanager": Command(
        "driftline.cli.alertmanager",
        "write who is told of which alert, from the contacts in driftline.yaml",
        "sidecar",
    ),
    "report": Command(
        "driftline.cli.report", "write one page about a model, for a ticket or an audit", "report"
    ),
    "kubernetes": Command(
        "driftline.cli.kubernetes", "write what a cluster takes: sidecar, scrape, rules and dashboards", "sidecar"
    ),
    "dashboards": Command("driftline.cli.dashboards", "write the Grafana dashboards as JSON, or push them to a Grafana", "grafana"),
    "annotate": Command(
        "driftline.cli.annotate", "mark on the dashboards what happened: a deployment, an incident, an event", "grafana"
    ),
    "demo": Command(
        "driftline.cli.demo",
        "watch a model meet data it does not know, until the phone rings; needs driftline[demo]",
        "demo",
    ),
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run the command that *arguments* name.

    Returns:
        Its exit code: 0 good, 1 something was found (drift, faults), 2 it could not run.

    Raises:
        SystemExit: With 2 where the arguments are wrong, with 0 where they ask for help or the version.
    """
    given = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(
        prog="driftline",
        description="Production models, watched; exit code 0 good, 1 something was found, 2 it could not run.",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    parsers = {
        name: commands.add_parser(name, help=command.help, description=f"{command.help[0].upper()}{command.help[1:]}.")
        for name, command in COMMANDS.items()
    }  # fmt: skip
    name = given[0] if given else ""
    if name not in COMMANDS:
        if parser.parse_args(given).version:
            from importlib.metadata import version

            print(f"driftline {version('driftline')}")
            return 0
        parser.error("say which command; driftline --help lists them")
    try:
        module = importlib.import_module(COMMANDS[name].module)
    except ImportError as error:
        if (error.name or "driftline").startswith("driftline"):
            raise
        print(
            f"driftline {name} needs {error.name}: pip install 'driftline[{COMMANDS[name].extra}]'",
            file=sys.stderr,
        )
        return 2
    module.add_arguments(parsers[name])
    try:
        code = int(module.run(parser.parse_args(given)))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read it, such as head, has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except DriftlineError as error:  # a line for every fault
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return code
