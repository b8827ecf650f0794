"""The first ten minutes of somebody new: each of the usual mistakes leads to one clear line, never to silence."""

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest

import driftline
from driftline import config
from driftline.errors import ConfigurationError
from driftline.instrumentation import problems
from driftline.sidecar.receiver import Receiver, Security
from driftline.wire import Batch
from otlp_receiver import Receiver as Sink
from standin import Standin
from watched import Watched, baseline, batch


@contextmanager
def quiet(monkeypatch):
    """Let problems be logged as in a process that just began."""
    monkeypatch.setattr(problems, "_logged", set())
    try:
        yield
    finally:
        driftline.shutdown()


def lines(caplog, part):
    return [record.getMessage() for record in caplog.records if part in record.getMessage()]


class Nothing:
    def __getattr__(self, _):
        return lambda *_: None


@contextmanager
def receiving(**options):
    receiver = Receiver(
        lambda _: None,
        grpc="127.0.0.1:0",
        http="127.0.0.1:0",
        security=Security(),
        telemetry=Nothing(),
        **options,
    )
    receiver.start()
    receiver.ready = True
    try:
        yield receiver
    finally:
        receiver.stop(0)


def said_by_a_service(endpoint, caplog, monkeypatch):
    """Return what the log of a service holds that sends one row to *endpoint*, and is stopped."""
    monkeypatch.setattr("driftline.instrumentation.sender.RETRY_SECONDS", 0.1)
    with quiet(monkeypatch):
        model = driftline.instrument(lambda rows: rows, name="fraud", version="1", endpoint=endpoint)
        assert model([[1.0]]) == [[1.0]]
        driftline.flush(10)
    return lines(caplog, endpoint)


# --- the service ------------------------------------------------------------------------------


def test_the_sidecar_does_not_run(caplog, monkeypatch):
    """The service says once where it tried, what happened, and what to look at."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    said = said_by_a_service(endpoint, caplog, monkeypatch)
    assert said
    assert all(
        f"{endpoint}: Connection refused: is the sidecar running there? DRIFTLINE_ENDPOINT says where to"
        in line
        for line in said
    )


def test_the_grpc_port(caplog, monkeypatch):
    """The port of the other transport is told from one that is down."""
    with receiving() as receiver:
        (line, *_) = said_by_a_service(f"http://127.0.0.1:{receiver.grpc_port}", caplog, monkeypatch)
    assert "it speaks no HTTP/1.1; is that the gRPC port? OTLP over HTTP is on 4328" in line


def test_https_where_there_is_none(caplog, monkeypatch):
    """A scheme too much is said."""
    with receiving() as receiver:
        (line, *_) = said_by_a_service(f"https://127.0.0.1:{receiver.http_port}", caplog, monkeypatch)
    assert "it speaks no TLS; is the address http:// instead of https://?" in line


@pytest.mark.parametrize("setting", ["DRIFTLINE_TOKEN_FILE", "DRIFTLINE_CA_FILE"])
def test_a_file_that_is_not_there(setting, caplog, monkeypatch):
    """A path of a token or a certificate that is wrong is named, and not taken for a sidecar that is down."""
    monkeypatch.setenv(setting, "/nowhere/secret")
    with receiving() as receiver:
        (line, *_) = said_by_a_service(f"https://127.0.0.1:{receiver.http_port}", caplog, monkeypatch)
    assert "/nowhere/secret cannot be read: No such file or directory: DRIFTLINE_*_FILE say where" in line


def test_the_path_twice(caplog, monkeypatch):
    """An endpoint that ends in /v1/logs is answered with where to send, and the answer reaches the log."""
    with receiving() as receiver:
        endpoint = f"http://127.0.0.1:{receiver.http_port}/v1/logs"
        (line, *_) = said_by_a_service(endpoint, caplog, monkeypatch)
    assert f"{endpoint}: HTTP 404: send to /v1/logs; a batch was dropped" in line


def test_a_server_of_another_kind(caplog, monkeypatch):
    """What answers, and not as a sidecar does, is asked after; so is a name that nobody knows."""
    with Standin(http.server.BaseHTTPRequestHandler) as other:
        (line, *_) = said_by_a_service(other.url, caplog, monkeypatch)
    assert "as no sidecar answers; is it one that listens there? DRIFTLINE_ENDPOINT says where to" in line
    (line, *_) = said_by_a_service("http://nobody.invalid:4328", caplog, monkeypatch)
    assert "http://nobody.invalid:4328: " in line
    assert ": DRIFTLINE_ENDPOINT says where to" in line


@pytest.mark.parametrize("endpoint", ["127.0.0.1:4328", "grpc://127.0.0.1:4327", "localhost", "http://"])
def test_no_address(endpoint, caplog, monkeypatch):
    """In code it is refused at once; in the environment it is said, and the service runs on."""
    with pytest.raises(ConfigurationError, match=r"is no .*, write http://127\.0\.0\.1:4328"):
        driftline.instrument(lambda rows: rows, name="fraud", version="1", endpoint=endpoint)
    monkeypatch.setenv("DRIFTLINE_ENDPOINT", endpoint)
    with quiet(monkeypatch):
        assert driftline.instrument(lambda rows: rows, name="fraud", version="1")(3) == 3
    assert lines(caplog, "nothing is observed")


# --- what is sent -----------------------------------------------------------------------------


def sent_by(call):
    """Return the batches that *call* leads a service to send."""
    with Sink() as sink:
        call(sink.endpoint)
        assert driftline.flush(10)
        driftline.shutdown()
        return sink.batches


def observed(endpoint):
    with driftline.observe("fraud", "1", np.zeros((5, 3)), endpoint=endpoint) as call:
        call.prediction = np.zeros(5)


def instrumented(endpoint):
    model = driftline.instrument(lambda rows: rows[:, 0], name="fraud", version="1", endpoint=endpoint)
    model(np.zeros((5, 3)))


@pytest.mark.parametrize("call", [observed, instrumented])
def test_numpy_without_names(call, caplog):
    """Columns that come without names match no baseline: the sidecar says so once, and how they get some."""
    watched = Watched(baseline())
    for sent in [*sent_by(call)] * 3:
        watched.monitor.observe(sent)
    assert lines(caplog, "match none") == [
        (
            "model fraud, version 1: its columns come without names (x0, x1, ...) and match none: "
            "send a DataFrame or dictionaries"
        )
    ]
    assert len(lines(caplog, "is not sent")) == 3


def test_other_names(caplog):
    """Misspelt columns are told by what is missing, never by the names that arrived: these may be anything."""
    watched = Watched(baseline())
    sent = batch(5)
    columns = {"Amount" if name == "amount" else name: column for name, column in sent.columns.items()}
    for _ in range(2):
        watched.monitor.observe(Batch(model="fraud", version="1", rows=5, columns=columns))
    assert [record.getMessage() for record in caplog.records] == [
        "model fraud, version 1: column 'amount' is not sent",
        "model fraud, version 1: 1 columns that arrive are not in its baseline: are the names right?",
    ]


def test_nothing_is_said_of_what_is_right(caplog):
    """A service that sends what its baseline has leaves no line."""
    watched = Watched(baseline())
    watched.monitor.observe(batch(50))
    assert caplog.records == []


def test_a_model_without_a_baseline(caplog):
    """It is said that the model is learning, and how to end that."""
    Watched().monitor.observe(batch(5))
    (line,) = lines(caplog, "learning")
    assert "there is none for this model; make one with driftline baseline build, or capture" in line


def test_a_baseline_of_another_version(caplog):
    """It is said which versions have one."""
    Watched(baseline("1"), baseline("2")).monitor.observe(batch(5, version="3"))
    (line,) = lines(caplog, "learning")
    assert "model fraud, version 3 has no baseline and is learning; there are some for 1, 2; make one" in line


# --- the command line -------------------------------------------------------------------------


def command(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-m", "driftline.cli", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_an_id_column(tmp_path):
    """A column of ids is left out of the baseline by name, with the reason and how to keep it."""
    rows = ["customer_id,amount,y", *(f"{n * 7919 + 10**6},{n % 97},{n % 13}" for n in range(600))]
    (tmp_path / "train.csv").write_text("\n".join(rows))
    done = command("baseline", "build", "train.csv", "--model", "fraud", "--prediction", "y", folder=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "customer_id" in line]
    assert "skipped, as it looks like ids" in line
    assert "name it in features to watch it all the same" in line


@pytest.mark.parametrize("port", ["grpc", "http", "metrics"])
def test_a_port_that_is_taken(tmp_path, port):
    """The sidecar does not start, and names the setting, the address, and what to do."""
    with ExitStack() as stack:
        taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        listen = {"grpc": None, "http": None, "metrics": "127.0.0.1:0"}
        listen[port] = f"127.0.0.1:{taken.getsockname()[1]}"
        (tmp_path / "driftline.yaml").write_text(json.dumps({"environment": "dev", "listen": listen}))
        done = command("sidecar", "--config", "driftline.yaml", folder=tmp_path)
    assert done.returncode == 2
    assert f"listen.{port}: {listen[port]} cannot be bound" in done.stderr
    assert "stop what holds it or choose another port" in done.stderr
    assert done.stderr.splitlines()[-1].count(listen[port]) == 1
    assert "Traceback" not in done.stderr


def test_a_demo_without_prometheus(tmp_path):
    """Where neither the PATH nor apt has it, the demo runs, and says from the beginning what it goes without."""
    with subprocess.Popen(
        [sys.executable, "-m", "driftline.cli", "demo"],
        env={**os.environ, "DRIFTLINE_BIN_DIR": str(tmp_path)},
        stdout=subprocess.PIPE, text=True,
    ) as demo:  # fmt: skip
        said = []
        for line in demo.stdout:
            said.append(line)
            if "serving PCs of 1993" in line:
                demo.send_signal(signal.SIGINT)
                break
        assert demo.wait(60) == 130
    (line,) = [line for line in said if line.split()[:1] == ["without"]]
    assert "prometheus and alertmanager, so without the alert; the end says how to have it" in line


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("enviroment: prod", "enviroment: is no setting of this release; did you mean environment?"),
        (
            "environment: prod\nbaseline: [b/]",
            "baseline: is no setting of this release; did you mean baselines?",
        ),
        (
            "environment: prod\nmodels: {fraud: {treshold: {}}}",
            "models.fraud.treshold: is no setting of this release; did you mean thresholds?",
        ),
        ("environment: prod\ncolour: red", "colour: is no setting of this release"),
    ],
)
def test_a_misspelt_setting(text, meant, tmp_path):
    """It is named, with the one that was meant where that can be told."""
    with pytest.raises(ConfigurationError) as caught:
        config.parse(text, folder=tmp_path)
    assert any(fault.endswith(meant) for fault in caught.value.faults), caught.value.faults
