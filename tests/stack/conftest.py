"""What several stack tests share: the backfilled Prometheus, which takes half a minute to fill, and grafana-client.

grafana-client never enters the environment of the tests, for its dependencies replace urllib3: it is installed
into a folder of its own, which only the process that speaks with Grafana sees.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import two_weeks
from driftline.cli import binaries
from stack.backfilled import Backfilled
from stack.grafana import TOKEN, Grafana
from stack.processes import Children

PINNED = "grafana-client==5.1.4"


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


@pytest.fixture(scope="session")
def client():
    """The folder of grafana-client and what comes with it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "driftline" / PINNED
    if not (cache / "grafana_client").exists():
        uv = shutil.which("uv")  # whose environments have no pip
        pip = (
            [uv, "pip", "install", "--python", sys.executable]
            if uv
            else [sys.executable, "-m", "pip", "install"]
        )
        install = [*pip, "-q", "--target", str(cache), PINNED]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = f"{PINNED} cannot be installed: {done.stderr[-300:]}"
            pytest.fail(reason) if os.environ.get("DRIFTLINE_REQUIRE_STACK") == "1" else pytest.skip(reason)
    return cache


@pytest.fixture
def grafana():
    with Grafana() as server:
        yield server
        server.shutdown()


@pytest.fixture
def grafana_command(client, grafana):
    """Run a command that speaks with the stand-in, in a process that has grafana-client."""

    def run(*command, url=None, token=TOKEN, packages=client):
        environment = {k: v for k, v in os.environ.items() if k not in ("GRAFANA_URL", "GRAFANA_TOKEN")}
        environment |= {"PYTHONPATH": os.pathsep.join([str(packages), *sys.path]), "GRAFANA_TOKEN": token}
        return subprocess.run(
            [sys.executable, "-m", "driftline.cli", *command, "--url", url or grafana.url],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run
