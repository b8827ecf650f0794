"""A service as it lives and ends: whatever becomes of it or of the sidecar, driftline does not hold it up."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from urllib.parse import urlsplit

import pytest

import driftline
from driftline.instrumentation.recorder import Recorder
from driftline.instrumentation.settings import Settings
from otlp_receiver import Receiver
from stack.processes import Children, eventually, sidecar
from stack.test_fleet import counter, scrape, settings
from watched import baseline, table

ENDING = """
import os, signal, sys, time
import driftline
model = driftline.instrument(lambda rows: rows[0]["a"], name="m", version="1", endpoint=sys.argv[1])
for at in range(500):
    model([{"a": at}])
def say():
    print(time.monotonic(), flush=True)
"""
ENDINGS = {
    "the end": ("say()", 0),
    "an exception": ("say(); raise ValueError", 1),
    "sys.exit": ("say(); sys.exit(3)", 3),
    "SIGTERM with a handler": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(4)); say(); os.kill(os.getpid(), 15); time.sleep(60)", 4,
    ),
}  # fmt: skip


def end(code, endpoint):
    """Run a service to its end; return its exit code and the seconds it took to end."""
    done = subprocess.run(
        [sys.executable, "-c", ENDING + code, endpoint], capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    return done.returncode, time.monotonic() - float(done.stdout.split()[0])


@pytest.mark.parametrize("ending", ENDINGS)
def test_rows_leave_at_the_end(ending):
    """A service that ends in an orderly way sends what it has."""
    code, status = ENDINGS[ending]
    with Receiver() as receiver:
        assert end(code, receiver.endpoint)[0] == status
        assert sorted(receiver.values("a")) == list(range(500))


@pytest.mark.parametrize(
    ("code", "status"),
    [("say(); os._exit(5)", 5), ("say(); os.kill(os.getpid(), 15); time.sleep(60)", -signal.SIGTERM)],
    ids=["os._exit", "SIGTERM without a handler"],
)
def test_a_process_that_is_cut_off(code, status):
    """What ends a process at once is not held up by driftline: it loses at most what the last second held."""
    with Receiver() as receiver:
        assert end("assert driftline.flush(20); " + code, receiver.endpoint)[0] == status
        assert sorted(receiver.values("a")) == list(range(500))


@pytest.mark.parametrize("state", ["down", "silent"])
def test_nobody_waits_at_the_end(state):
    """With nobody listening, or somebody who does not answer, a service ends within its budget of 2 s."""
    with Receiver() as receiver:
        if state == "down":
            receiver.close()
        receiver.gate.clear()
        status, seconds = end("say()", receiver.endpoint)
        receiver.gate.set()
    assert status == 0
    assert seconds < 6  # 2 s of ours, the interpreter's end and a busy machine


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "baselines").mkdir()
    baseline().save(tmp_path / "baselines")
    return tmp_path


def predict(rows, **given):
    data = table(rows)
    answers = data.pop("answer")
    with Recorder("fraud", "1", settings=Settings(**given)).call(data) as call:
        call.prediction = answers
    assert driftline.flush(20)
    driftline.shutdown()


def test_unix_socket(folder):
    """A service and its sidecar may meet at a socket in the file system; one left behind is no obstacle."""
    config, url, metrics = settings(folder)
    path = folder / "driftline.sock"
    config.write_text(config.read_text().replace(urlsplit(url).netloc, f"unix://{path}"))
    for expected in (700, 700):
        with Children(folder) as children:
            child = sidecar(children, config, metrics=metrics)
            predict(700, endpoint=f"unix://{path}")
            eventually(
                lambda expected=expected: counter(scrape(metrics), "driftline_predictions_total") == expected
            )
            child.process.kill()  # which leaves the socket behind
            child.process.wait()
        assert path.exists()
