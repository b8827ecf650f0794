"""The examples of docs/serving.md under the servers they are for."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from otlp_receiver import Receiver
from stack.processes import eventually, free_ports

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples" / "serving"
SERVERS = {
    "uvicorn": ("uvicorn", "fastapi_service:app", "--log-level", "warning", "--port"),
    "gunicorn": ("gunicorn", "flask_service:app", "--workers", "2", "--bind"),
    "gunicorn preload": ("gunicorn", "flask_service:app", "--preload", "--workers", "2", "--threads", "4", "--bind"),
}  # fmt: skip
CALLS = 60


def start(command, receiver):
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=EXAMPLES,
        env={**os.environ, "DRIFTLINE_ENDPOINT": receiver.endpoint},
    )


def post(port, rows):
    body = json.dumps(rows).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/price", body, {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


@pytest.mark.parametrize("server", SERVERS)
def test_servers(server):
    """Every row of every worker arrives, once, and a stop by SIGTERM loses none."""
    (port,) = free_ports(1)
    *command, option = SERVERS[server]
    with Receiver() as receiver:
        process = start(
            [*command, option, f"127.0.0.1:{port}" if option == "--bind" else str(port)], receiver
        )
        try:
            eventually(lambda: answers(port), within=60)
            with ThreadPoolExecutor(8) as pool:
                found = list(pool.map(lambda at: post(port, [{"km": at}, {"km": at + 0.5}]), range(CALLS)))
            process.send_signal(signal.SIGTERM)
            process.wait(30)
        finally:
            process.kill()
            process.wait()
        assert found == [[9.5 + at, 10.0 + at] for at in range(CALLS)]
        expected = sorted([-1.0, *(at / 2 for at in range(2 * CALLS))])
        assert sorted({*receiver.values("km")}) == expected
        assert len(receiver.values("km")) - receiver.values("km").count(-1.0) == 2 * CALLS


def answers(port):
    try:
        return post(port, [{"km": -1.0}])
    except OSError:
        return None


def run(example, receiver, *arguments):
    subprocess.run(
        [sys.executable, EXAMPLES / example, *arguments],
        env={**os.environ, "DRIFTLINE_ENDPOINT": receiver.endpoint}, check=True, timeout=120,
    )  # fmt: skip


def test_batch_job(tmp_path):
    """A job of fifty thousand rows sends them all before it ends."""
    (tmp_path / "trips.csv").write_text("km,night\n" + "\n".join(f"{at},{at % 2}" for at in range(50_000)))
    with Receiver() as receiver:
        run("batch_job.py", receiver, tmp_path / "trips.csv")
        assert receiver.values("km") == list(range(50_000))
        assert receiver.values("@prediction") == [9.5 + at for at in range(50_000)]


def test_notebook():
    """A cell's rows are there when its flush returns."""
    with Receiver() as receiver:
        run("notebook.py", receiver)
        assert receiver.values("@prediction") == [12.5, 14.0]


def test_the_document_shows_what_is_run():
    """docs/serving.md prints the examples as they are."""
    printed = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "serving.md").read_text(), re.DOTALL)
    assert sorted(printed) == sorted(path.read_text() for path in EXAMPLES.glob("*.py"))
