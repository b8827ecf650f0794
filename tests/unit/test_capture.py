"""``driftline baseline capture``: what is served becomes a baseline, over real OTLP, or is refused as unstable."""

import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import grpc
import numpy as np
import pytest

import watched
from driftline.baseline import Baseline
from driftline.cli import capture, main
from driftline.cli.capture import Capture, stable
from driftline.columns import Coded
from driftline.errors import BaselineError
from driftline.sidecar.receiver import EXPORT
from driftline.wire import Batch, encode


class Running:
    """The command as a process, and a client of it."""

    def __init__(self, folder, *options, certificates=None, token=""):
        self.certificates, self.token = certificates, token
        command = [sys.executable, "-m", "driftline.cli", "baseline", "capture", "--model", "fraud"]
        ports = ("--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0")
        self.process = subprocess.Popen(
            [*command, "--version", "1", *ports, *options, "--output", str(folder)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        line = self.process.stdout.readline()
        self.grpc, self.http = map(int, re.findall(r"port (\d+)", line))

    def send(self, batch):
        """Send over HTTP, or, where its sequence is odd, over gRPC."""
        secure = self.certificates
        authorization = {"authorization": f"Bearer {self.token}"}
        if (batch.sequence or 0) % 2:
            with (
                secure.channel(self.grpc) if secure else grpc.insecure_channel(f"127.0.0.1:{self.grpc}")
            ) as channel:
                channel.unary_unary(EXPORT)(encode(batch), timeout=10, metadata=[*authorization.items()])
            return
        headers = {"content-type": "application/x-protobuf"} | authorization
        address = f"{'https' if secure else 'http'}://127.0.0.1:{self.http}/v1/logs"
        request = urllib.request.Request(address, encode(batch), headers)
        urllib.request.urlopen(request, timeout=10, context=secure and secure.context()).close()

    def ends(self):
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture
def running(tmp_path):
    started = []

    def start(*options, **guard):
        started.append(Running(tmp_path, *options, **guard))
        return started[-1]

    yield start
    for run in started:
        run.process.kill()
        run.process.stdout.close()
        run.process.stderr.close()
        run.process.wait()


def batches(number=10, rows=400, shift=lambda _: 0.0):
    for sequence in range(number):
        yield watched.batch(
            rows, seed=sequence, shift=shift(sequence), stream=b"s" * 16, sequence=sequence,
            extra={"@latency": np.full(rows, 0.01)},
        )  # fmt: skip


def test_a_baseline_of_what_is_served(running, tmp_path):
    """Rows that came once, of this model, and were answered are in it; it is of the form of any other."""
    run = running("--rows", "4000")
    failed = watched.batch(100, seed=77, extra={"@error": Coded(np.zeros(100, np.int8), ("Timeout",))})
    run.send(failed)
    run.send(Batch(model="other", version="1", rows=5, columns={"x": np.zeros(5)}))
    for number, batch in enumerate(batches()):
        run.send(batch)
        if number < 9:
            run.send(batch)
    code, out, err = run.ends()
    assert (code, err) == (0, ""), out
    assert "  100 rows of failed calls were left out\n" in out
    found = Baseline.load(tmp_path / "fraud@1.baseline.json")
    assert (found.rows, found.task) == (4000, "regression")
    assert found.dataset_version.startswith("captured 20")
    expected = watched.baseline()
    assert {name: feature.kind for name, feature in found.features.items()} == {
        name: feature.kind for name, feature in expected.features.items()
    }
    plan = found.features["plan"]
    assert plan.counts.sum() == 4000
    rows = sum((watched.columns(400, seed)["plan"].codes == 0).sum() for seed in range(10))
    assert plan.counts[plan.categories.index("basic")] == rows


def test_a_period_in_which_something_moved_is_refused(running, tmp_path):
    """What drifted between its halves is named, with the remedy, and no file is written."""
    run = running("--rows", "4000")
    for batch in batches(shift=lambda number: 1.5 * (number >= 5)):
        run.send(batch)
    code, _, err = run.ends()
    assert code == 2
    moved, remedy = err.splitlines()
    assert re.fullmatch(r"amount: PSI \d\.\d\d between the first half of the period and the second", moved)
    assert remedy.startswith("no baseline is written: capture a longer period")
    assert not list(tmp_path.iterdir())


def test_it_can_be_ended(running):
    """Told to stop, it builds from what came, and says so where that is too little."""
    run = running()
    run.send(Batch(model="fraud", version="2", rows=5, columns={"x": np.zeros(5)}))
    run.process.send_signal(signal.SIGTERM)
    code, _, err = run.ends()
    assert code == 2
    assert err == "0 rows of fraud 1 came, and 1000 are needed; there came 5 of fraud 2\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--for", "1 hour"], '--for: "1 hour" is not a duration, write for instance "1h" or "15m"'),
        (["--rows", "10"], "--rows: 10 rows make no baseline, give 1000 or more"),
        (
            ["--http", "0.0.0.0:4338"],
            "can be reached from elsewhere: give --cert and --key, or --token-file, or say --insecure\n",
        ),
        (["--key", "k.pem"], "--cert and --key go together, and --client-ca with them"),
        (["--client-ca", "ca.pem"], "--cert and --key go together, and --client-ca with them"),
        (["--cert", "c.pem", "--key", "k.pem"], "--cert, --key: c.pem: there is no such file"),
        (["--token-file", "none"], "--token-file: none cannot be read as a token: "),
        (["--output", "none/b.json"], "none is no folder that can be written to"),
    ],
)
def test_what_was_asked_wrongly(options, said, capsys, tmp_path, monkeypatch):
    """It is said before anything is listened for."""
    monkeypatch.chdir(tmp_path)
    assert main(["baseline", "capture", "--model", "m", "--version", "1", *options]) == 2
    assert said in capsys.readouterr().err


def test_it_is_guarded_as_the_sidecar_is(running, certificates, tmp_path):
    """With a certificate and a token it may be reached from elsewhere, over both transports, and by nobody else."""
    (tmp_path / "token").write_text("s3cret\n")
    files = {
        "--cert": certificates / "server.crt",
        "--key": certificates / "server.key",
        "--token-file": tmp_path / "token",
    }
    guard = [str(part) for pair in files.items() for part in pair]
    run = running("--rows", "2000", "--http", "0.0.0.0:0", *guard, certificates=certificates, token="wrong")
    odd, even = watched.batch(1000, seed=1, sequence=1), watched.batch(1000, seed=2, sequence=2)
    with pytest.raises(grpc.RpcError, match="UNAUTHENTICATED"):
        run.send(odd)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        run.send(even)
    run.token, run.certificates = "s3cret", None
    with pytest.raises(OSError, match=r"(?i)reset|closed|EOF|remote end"):
        run.send(even)
    run.certificates = certificates
    run.send(odd)
    run.send(even)
    code, _, err = run.ends()
    assert (code, err) == (0, "")
    assert Baseline.load(tmp_path / "fraud@1.baseline.json").rows == 2000


def test_where_the_network_is_the_guard(running):
    """It listens for everybody once that is said."""
    assert running("--grpc", "0.0.0.0:0", "--insecure").grpc


def test_what_is_kept_is_a_sample_in_order(monkeypatch):
    """Of more rows than are kept every stretch has its share, in the order of arrival, whatever the batches."""
    monkeypatch.setattr(capture, "KEPT_ROWS", 2000)
    found = Capture("m", "1", seed=1)
    start = 0
    for rows in [1, 7, 300, 4000, *[50] * 400]:
        found.observe(Batch(model="m", version="1", rows=rows, columns={"x": np.arange(start, start + rows)}))
        start += rows
        assert len(found.columns()["x"]) <= 4000
    kept = found.columns()["x"]
    assert found.rows == start
    assert (np.diff(kept) > 0).all()
    share = np.histogram(kept, np.linspace(0, start, 11))[0] / len(kept)
    assert share == pytest.approx(0.1, abs=0.04)


def test_a_column_that_comes_and_goes():
    """Rows of records without a column miss it; every row is counted once, scores of classes and all."""
    found = Capture("m", "1")
    rng = np.random.default_rng(0)
    for number in range(20):
        columns = {"@score.a": rng.random(100), "@score.b": rng.random(100), "a": rng.normal(size=100)}
        if number % 2:
            columns["b"] = Coded(rng.integers(0, 2, 100), ("x" * 300, "y"))
        found.observe(Batch(model="m", version="1", rows=100, columns=columns))
    built = stable(found, "now")
    assert list(built.features) == ["a", "b", "@score.a", "@score.b"]
    assert built.features["b"].faults["missing"] == 1000
    assert len(built.features["b"].categories[0]) <= 128


def test_a_column_of_errors_without_any():
    """A sender that always has the column, and nothing in it, has no failed rows."""
    found = Capture("fraud", "1")
    for nobody in (np.full(3, np.nan), Coded(np.full(3, -1), ()), Coded(np.zeros(3, np.intp), ("",))):
        found.observe(
            Batch(model="fraud", version="1", rows=3, columns={"a": np.arange(3.0), "@error": nobody})
        )
    assert (found.rows, found.failed) == (9, 0)


def test_counts_alone_make_no_baseline():
    """A service in bins-only mode sends no values: that is what is said, not that nothing came."""
    found = Capture("fraud", "1")
    latency = {"@latency": np.full(2000, 0.1)}
    counts = {"a": np.array([0, 0, 0, 0, 2000])}
    found.observe(Batch(model="fraud", version="1", rows=2000, columns=latency, counts=counts))
    with pytest.raises(BaselineError, match="2000 of fraud 1 as counts alone, by DRIFTLINE_BASELINE"):
        stable(found, "captured")


def test_outputs_that_cannot_stand_together():
    """One score and scores of classes: the one is taken, the others are left out."""
    found = Capture("m", "1")
    rows = np.random.default_rng(0).random(2000)
    found.observe(
        Batch(model="m", version="1", rows=2000, columns={"@score": rows, "@score.a": rows, "x": rows})
    )
    assert list(stable(found, "now").features) == ["x", "@score"]


def test_too_few_rows():
    """What came of other models is said, for a name is easily mistaken."""
    with pytest.raises(BaselineError, match=r"0 rows of m 1 came, and 1000 are needed$"):
        stable(Capture("m", "1"), "now")
