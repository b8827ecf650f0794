"""What several stack tests share: the backfilled Prometheus, which takes half a minute to fill, and grafana-client.

grafana-client never enters the environment of the tests, for its dependencies replace urllib3: it is installed
into a folder of its own, which only the process that speaks with Grafana sees.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import pytest

import two_weeks
from driftline.cli import binaries
from stack.backfilled import Backfilled
from stack.grafana import TOKEN, Grafana
from stack.processes import Children

PINNED = "grafana-client==5.1.4"


@pytest.fixture(scope="session")
def fleets(tmp_path_factory):
    """Give what returns the backfilled Prometheus of the programs that ``binaries`` finds.

    Where several processes run the tests, the first that needs it fills it, and each serves its own copy.
    """
    own = tmp_path_factory.mktemp("two_weeks")
    run = tmp_path_factory.getbasetemp()
    shared = (run.parent if "PYTEST_XDIST_WORKER" in os.environ else run) / "filled"
    shared.mkdir(exist_ok=True)
    running = {}
    with contextlib.ExitStack() as open_children:

        def of(program):
            if program not in running:
                folder = own / str(len(running))
                folder.mkdir()
                shutil.copytree(_filled(shared, program), folder / "data", copy_function=os.link)
                running[program] = Backfilled(open_children.enter_context(Children(folder)), folder)
                running[program].start()
            return running[program]

        yield of


def _filled(shared, program):
    """Return the data of two weeks as *program* and its tools have made it."""

    def scrape(aside):
        with (aside / "scraped.txt").open("w") as file:
            file.writelines(two_weeks.Fleet().lines())

    def fill(aside):
        with Children(aside) as children:
            Backfilled(children, aside).fill(_once(shared / "scraped", scrape) / "scraped.txt")

    return _once(shared / quote(str(program), safe=""), fill) / "data"


def _once(folder, make):
    """Return *folder*, as *make* fills it: whoever comes while another process does that waits for it."""
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            aside = Path(tempfile.mkdtemp(dir=folder.parent))
            make(aside)
            aside.rename(folder)
    return folder


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
