"""``driftline sidecar``: receive batches, watch models, be scraped."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from driftline import config
from driftline.errors import BaselineError, ConfigurationError
from driftline.sidecar.app import Sidecar

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="driftline.yaml")


class _OneLine(logging.Formatter):
    """Writes a record as one line of what can be printed: senders choose the names of models."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Escape what would break the line or be obeyed by a terminal."""
        record.message = "".join(
            c if c.isprintable() else c.encode("unicode_escape").decode() for c in record.message
        )
        return super().formatMessage(record)


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop; 2 when it cannot start."""
    lines = logging.StreamHandler()
    lines.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[lines])
    try:
        Sidecar(config.load(arguments.config)).run()
    except (ConfigurationError, BaselineError) as error:
        for fault in error.faults:
            logging.error(fault)  # noqa: LOG015 - the program's own voice, before any part of it runs
        return 2
    return 0
