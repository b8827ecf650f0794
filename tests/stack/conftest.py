"""The backfilled Prometheus, one for each that the tests run on: filling it takes half a minute."""

import contextlib

import pytest

import two_weeks
from driftline.cli import binaries
from stack.backfilled import Backfilled
from stack.processes import Children


@pytest.fixture(scope="session")
def fleets(tmp_path_factory):
    """Give what returns the backfilled Prometheus of the programs that ``binaries`` finds."""
    root = tmp_path_factory.mktemp("two_weeks")
    scraped = root / "scraped.txt"
    running = {}
    with contextlib.ExitStack() as open_children:

        def of(program):
            if not scraped.exists():
                with scraped.open("w") as file:
                    file.writelines(two_weeks.Fleet().lines())
            if program not in running:
                folder = root / str(len(running))
                folder.mkdir()
                running[program] = Backfilled(open_children.enter_context(Children(folder)), folder)
                running[program].fill(scraped)
            return running[program]

        yield of


@pytest.fixture
def fleet(fleets):
    return fleets(binaries.need("prometheus"))
