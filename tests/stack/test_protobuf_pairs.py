"""The oldest OpenTelemetry protos and protobuf that driftline promises to work with, beside the newest."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from driftline.columns import Coded
from driftline.wire import decode, decode_json

ROOT = Path(__file__).parents[2]
REQUESTS = sorted((ROOT / "tests/golden/wire").glob("*.request.*"))
OLDEST = ("opentelemetry-api==1.27.0", "opentelemetry-proto==1.27.0", "protobuf==4.25.*", "numpy==1.26.*")

AGAIN = """
import base64, json, sys
from driftline.wire import decode, decode_json, encode
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
assert "event_name" not in LogRecord.DESCRIPTOR.fields_by_name
for path in sys.argv[1:]:
    body = open(path, "rb").read()
    request = (decode_json if path.endswith(".json") else decode)(body)
    batches = [base64.b64encode(encode(batch)).decode() for batch in request.batches]
    print(json.dumps([batches, [[error.reason, str(error)] for error in request.rejected], request.ignored]))
"""
"""Reads requests and sends the batches on, with whatever protos the Python it runs in has."""


@pytest.fixture(scope="module")
def oldest():
    """Return a Python with the oldest pair, kept between runs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "driftline"
    name = f"opentelemetry-1.27-protobuf-4.25-python-{sys.version_info.major}.{sys.version_info.minor}"
    python = cache / name / "bin" / "python"
    if not python.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            made = Path(folder) / name
            for command in (
                [sys.executable, "-m", "venv", made],
                [
                    made / "bin" / "python",
                    "-m",
                    "pip",
                    "install",
                    "-q",
                    "--disable-pip-version-check",
                    *OLDEST,
                ],
            ):
                run = subprocess.run(command, capture_output=True, text=True, timeout=250, check=False)
                if run.returncode:
                    missing = f"{' with '.join(OLDEST)} cannot be installed: {run.stderr.strip()[-300:]}"
                    if os.environ.get("DRIFTLINE_REQUIRE_STACK") == "1":
                        pytest.fail(missing)
                    pytest.skip(missing)
            shutil.rmtree(cache / name, ignore_errors=True)
            made.rename(cache / name)
    return python


@pytest.fixture(scope="module")
def again(oldest):
    """Return what the oldest pair read in every request, and sent on."""
    run = subprocess.run(
        [oldest, "-c", AGAIN, *REQUESTS],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": str(ROOT / "src")},
    )
    assert run.returncode == 0, run.stderr
    return dict(zip(REQUESTS, map(json.loads, run.stdout.splitlines()), strict=True))


def plain(column):
    """Return a column in a form that can be compared, type included."""
    if isinstance(column, Coded):
        return [None if code < 0 else column.texts[code] for code in column.codes.tolist()]
    if column.dtype == object:
        return column.tolist()
    return column.dtype.str, np.asarray(column).tobytes()


def described(batch):
    """Return all of a batch in a form that can be compared."""
    said = {name: getattr(batch, name) for name in batch.__slots__ if name not in ("columns", "counts")}
    counts = {name: plain(found) for name, found in (batch.counts or {}).items()}
    return said, counts, {name: plain(column) for name, column in batch.columns.items()}


@pytest.mark.stack(needs=())
@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.name)
def test_the_oldest_pair_reads_and_sends_the_same(again, path):
    """What the oldest pair read and sent on, the newest reads as it reads the original."""
    request = (decode_json if path.suffix == ".json" else decode)(path.read_bytes())
    sent, rejected, ignored = again[path]
    arrived = [decode(base64.b64decode(body)) for body in sent]
    assert [described(batch) for one in arrived for batch in one.batches] == [
        described(batch) for batch in request.batches
    ]
    assert rejected == [[error.reason, str(error)] for error in request.rejected]
    assert ignored == request.ignored


@pytest.mark.stack(needs=())
def test_the_oldest_pair_sends_event_names(again, oldest, record_property):
    """The event's name is sent by a class that has no field for it."""
    for path, (sent, _, _) in again.items():
        event = (
            b"driftline.histogram.batch" if path.name.startswith("counts") else b"driftline.prediction.batch"
        )
        for body in sent:
            assert event in base64.b64decode(body)
    code = "from importlib.metadata import version as v; print(v('protobuf'), 'with opentelemetry-proto', v('opentelemetry-proto'))"
    pair = subprocess.run([oldest, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    record_property("tested_with", ("protobuf, the oldest", pair))
