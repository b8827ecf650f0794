"""The ``driftline`` command: one module a command, loaded when it is called."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "sidecar": "driftline.cli.sidecar",
    "check-config": "driftline.cli.check",
    "baseline": "driftline.cli.baseline",
    "demo": "driftline.cli.demo",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command that *arguments* name; return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="driftline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, module in COMMANDS.items():
        if given[:1] not in ([name], ["-h"], ["--help"], []):
            commands.add_parser(name)
            continue
        loaded = importlib.import_module(module)
        loaded.add_arguments(commands.add_parser(name, help=loaded.HELP, description=loaded.HELP))
    parsed = parser.parse_args(given)
    return int(importlib.import_module(COMMANDS[parsed.command]).run(parsed))
