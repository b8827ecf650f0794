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


def run(arguments: argparse.Namespace) -> int:
    """Run until told to stop; 2 when it cannot start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        Sidecar(config.load(arguments.config)).run()
    except (ConfigurationError, BaselineError) as error:
        for fault in error.faults:
            logging.error(fault)  # noqa: LOG015 - the program's own voice, before any part of it runs
        return 2
    return 0
