"""The sender: when it sends, what it repeats, what it gives up, and that nobody waits for it."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

import driftline
from driftline import names
from driftline.instrumentation import problems, process, sender, transport
from driftline.instrumentation.parts import Row
from driftline.instrumentation.recorder import Recorder
from driftline.instrumentation.settings import Settings
from otlp_receiver import Receiver, partial_success


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.setattr(problems, "_logged", set())
    yield
    driftline.shutdown()


def predict(receiver, rows=1, *, model="m", columns=3, **settings):
    settings = Settings(endpoint=receiver.endpoint, **settings)
    with Recorder(model, "1", settings=settings).call(np.zeros((rows, columns))):
        pass


def running_sender():
    (running,) = (outlet.sender for outlet in process._outlets.values() if outlet.sender is not None)
    return running


def until(condition):
    """Wait for something that happens on another thread."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def test_by_itself(receiver):
    """A row arrives within a moment, without a flush."""
    predict(receiver)
    until(lambda: receiver.rows() == 1)


def test_full_batches_at_once(receiver, monkeypatch):
    """2,048 rows leave without waiting for the second to pass; what is over waits for more."""
    monkeypatch.setattr(sender, "FLUSH_SECONDS", 3600)
    recorder = Recorder("m", "1", settings=Settings(endpoint=receiver.endpoint))
    for _ in range(3):
        with recorder.call(np.zeros((1000, 3))):
            pass
    until(lambda: receiver.rows() == 2000)
    assert driftline.flush()
    assert receiver.rows() == 3000


def test_batches_of_one_call(receiver):
    """A call of many rows travels in batches of at most 2,048 rows and 1 MiB, in sequence."""
    predict(receiver, 5000)
    predict(receiver, 4000, columns=100, model="wide")
    driftline.flush()
    assert [batch.rows for batch in receiver.batches if batch.model == "m"] == [2048, 2048, 904]
    assert receiver.rows("wide") == 4000
    assert max(receiver.sizes) < 1.1 * 2**20
    for model in ("m", "wide"):
        sent = [batch for batch in receiver.batches if batch.model == model]
        assert [batch.sequence for batch in sent] == list(range(len(sent)))
        assert [batch.rows_total for batch in sent] == np.cumsum([batch.rows for batch in sent]).tolist()


def test_requests_never_too_long(receiver, monkeypatch):
    """A batch that comes out too long, which text can make it, is halved; no row is lost."""
    monkeypatch.setattr(sender, "MAX_REQUEST", 5000)
    texts = [f"{at:0100}" for at in range(200)]
    with Recorder("m", "1", settings=Settings(endpoint=receiver.endpoint)).call(
        [{"t": text} for text in texts]
    ):
        pass
    driftline.flush()
    assert max(receiver.sizes) <= 5000 < sum(receiver.sizes) / 2
    assert receiver.values("t") == texts
    assert receiver.sequences == list(range(len(receiver.sizes)))
    assert receiver.batches[-1].rows_total == 200


def test_stream(receiver):
    """All batches of a process are one random stream; a sender started anew is another."""
    predict(receiver)
    predict(receiver, model="other")
    driftline.flush()
    driftline.shutdown()
    predict(receiver)
    driftline.flush()
    first, second, third = (batch.stream for batch in receiver.batches)
    assert len(first) == 16
    assert first == second != third
    assert [batch.sequence for batch in receiver.batches] == [0, 0, 0]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retried(receiver, status):
    """What the receiver could not take now is sent again, the same batch under the same sequence."""
    receiver.answers.append((status, {}, b""))
    predict(receiver)
    assert driftline.flush(10)
    assert receiver.sequences == [0, 0]
    assert [(batch.rows, batch.rows_total, batch.dropped_rows_total) for batch in receiver.batches] == [
        (1, 1, 0)
    ]


def test_retry_after(receiver, monkeypatch):
    """The receiver's wish is honoured; beyond the budget the batch is given up at once."""
    receiver.gate.clear()
    receiver.answers += [(503, {"Retry-After": "7"}, b""), (503, {"Retry-After": "31"}, b"")]
    predict(receiver)
    waits = []
    monkeypatch.setattr(running_sender()._stopping, "wait", waits.append)
    receiver.gate.set()
    assert driftline.flush(10)
    assert waits == [7.0]
    predict(receiver)
    driftline.flush()
    (batch,) = receiver.batches
    assert (batch.sequence, batch.rows_total, batch.dropped_rows_total) == (1, 2, 1)


@pytest.mark.parametrize(
    "answer",
    [(400, {}, b"bad"), (413, {}, b""), (404, {}, b""), (200, {}, partial_success("no such model"))],
    ids=["400", "413", "404", "partial_success"],
)
def test_refused(receiver, answer, caplog):
    """What the receiver refuses is not repeated; the next batch says how many rows were lost, the log why."""
    receiver.answers += [answer] * 2
    for rows in (5, 2, 3):
        predict(receiver, rows)
        driftline.flush()
    (batch,) = receiver.batches
    assert receiver.sequences == [0, 1, 2]
    assert (batch.rows, batch.rows_total, batch.dropped_rows_total) == (3, 10, 7)
    assert caplog.text.count("a batch was dropped") == 1


class Rude:
    """Listens, reads a little, answers what it is told to, and hangs up."""

    def __init__(self, answer):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, args=(answer,), daemon=True).start()

    def _serve(self, answer):
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, suppress(OSError):
                    connection.recv(64)
                    answer(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.close()


def says(text):
    """Return a receiver that hears the request out and then says *text*."""

    def answer(connection):
        connection.settimeout(0.05)
        with suppress(TimeoutError):
            while connection.recv(1 << 20):
                pass
        connection.sendall(text)

    return answer


def endlessly(connection):
    says(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")(connection)
    while True:
        connection.sendall(bytes(65536))


@pytest.mark.parametrize(
    ("answer", "again"),
    [
        (lambda _: None, True),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"), True),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), True),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\ngarbage"), False),
        (lambda _: time.sleep(1), True),
        (endlessly, False),
    ],
    ids=["closing in the request", "closing in the answer", "no HTTP", "no protobuf", "silent", "endless"],
)
def test_rude_receivers(monkeypatch, caplog, answer, again):
    """Whatever answers there, the batch is given up or repeated, the log says so, and the thread goes on."""
    monkeypatch.setattr(transport, "ATTEMPT_SECONDS", 0.2)
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(sender, "RETRY_SECONDS", 0.5)
    with Rude(answer) as rude:
        predict(rude, 100, columns=200)
        assert driftline.flush(20)
        assert ("driftline tries again" in caplog.text) == again
        predict(rude)
        assert driftline.flush(20)
        assert running_sender()._thread.is_alive()
    assert "a batch was dropped" in caplog.text
    assert running_sender().buffer._used == 0


def test_given_up(receiver, monkeypatch):
    """A batch that could not be sent within its budget is dropped and counted, and the next one tried."""
    monkeypatch.setattr(sender, "RETRY_SECONDS", 0)
    receiver.answers.append((503, {}, b""))
    predict(receiver, 5)
    driftline.flush()
    predict(receiver, 2)
    driftline.flush()
    (batch,) = receiver.batches
    assert (batch.rows, batch.rows_total, batch.dropped_rows_total) == (2, 7, 5)


def test_receiver_comes_back(monkeypatch):
    """Rows recorded while nobody listens arrive once somebody does, on the same address."""
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(sender, "LONGEST_PAUSE", 0.05)
    gone = Receiver()
    gone.close()
    predict(gone, 3)
    assert not driftline.flush(0.1)
    with Receiver(port=gone.port) as receiver:
        assert driftline.flush(20)
        assert receiver.rows() == 3


@pytest.mark.parametrize(("rows", "calls"), [(100, 3000), (1, 30_000)])
def test_nobody_waits(receiver, monkeypatch, rows, calls):
    """While the receiver holds a request, calls go on, memory stays bounded, and the sample is uniform."""
    monkeypatch.setattr("driftline.instrumentation.transport.ATTEMPT_SECONDS", 60)
    receiver.gate.clear()
    recorder = Recorder("m", "1", settings=Settings(endpoint=receiver.endpoint))
    features = np.zeros((rows, 50))
    tracemalloc.start()
    for at in range(calls):  # many times the buffer; the receiver answers nothing meanwhile
        features[:] = at
        with suppress(ZeroDivisionError), recorder.call(features):
            at % 10 or 1 // 0  # a tenth of the calls fail
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    receiver.asked.wait(10)
    assert receiver.rows() == 0
    assert held < 20 << 20
    receiver.gate.set()
    assert driftline.flush(20)
    predict(receiver)
    driftline.flush()
    last = receiver.batches[-1]
    assert last.rows_total == rows * calls + 1 == receiver.rows() + last.dropped_rows_total
    assert last.dropped_rows_total > 0
    assert last.error_rows_total == rows * calls // 10
    assert running_sender().buffer._used == 0
    rates = [batch.sample_rate for batch in receiver.batches[:-1]]
    assert min(rates) < max(rates) == rates[0] == 1
    # never oldest-first nor newest-first: both ends of the outage are there
    seen = receiver.values("x0")
    assert min(seen) == 0
    assert max(value for value in seen if value is not None) > 0.9 * calls


def test_latency_of_a_sampled_call(receiver):
    """A call of which some rows are kept has its latency, once, whichever rows they are."""
    recorder = Recorder("m", "1", settings=Settings(endpoint=receiver.endpoint))
    buffer = recorder.outlet.open().buffer
    buffer.reserve(1, 4 << 20)  # half full
    for _ in range(20):
        with recorder.call(np.arange(50.0).reshape(-1, 1)):
            pass
    assert driftline.flush(10)
    firsts = [value for value in receiver.values("@latency") if value is not None]
    assert receiver.batches[0].sample_rate < 1
    assert len(firsts) == 20
    assert receiver.rows() < 1000


def test_five_million_rows(receiver):
    """A huge call is thinned before it is copied: bounded memory, all of it represented, its rate stated."""
    features = np.broadcast_to(np.arange(5_000_000.0)[:, np.newaxis], (5_000_000, 50))
    recorder = Recorder("m", "1", settings=Settings(endpoint=receiver.endpoint))
    tracemalloc.start()
    with recorder.call(features) as call:
        call.prediction = features[:, 0]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20
    assert driftline.flush(20)
    (rate,) = {batch.sample_rate for batch in receiver.batches}
    assert abs(receiver.rows() - 5_000_000 * rate) < 6 * (5_000_000 * rate) ** 0.5
    quarters = np.histogram(receiver.values("x0"), bins=4, range=(0, 5_000_000))[0] / receiver.rows()
    assert quarters == pytest.approx([0.25] * 4, abs=0.03)
    assert receiver.values("@prediction") == receiver.values("x0")
    assert receiver.batches[-1].rows_total == receiver.batches[-1].rows + sum(
        batch.rows for batch in receiver.batches[:-1]
    ) + (5_000_000 - receiver.rows())


def test_exit_budget(receiver):
    """A shutdown waits no longer than it may, though the receiver holds the request."""
    receiver.gate.clear()
    predict(receiver)
    assert driftline.shutdown(0.05) is False
    receiver.gate.set()


def test_unused():
    """Where nothing was recorded, there is no thread, and flush and shutdown have nothing to do."""
    before = {*threading.enumerate()}  # one of a test before may not be over
    driftline.instrument(len, name="m", version="1", endpoint="http://127.0.0.1:9")
    assert {*threading.enumerate()} <= before
    assert driftline.flush(0)
    assert driftline.shutdown(0)


def test_resource(receiver, monkeypatch):
    """The service's name and attributes come from the environment, and from the SDK where there is one."""
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES", "service.name=a,deployment.environment.name=pr%20od,broken"
    )
    predict(receiver)
    driftline.flush()
    monkeypatch.setenv("OTEL_SERVICE_NAME", "payments")
    predict(receiver)
    driftline.flush()
    provider = TracerProvider(
        resource=Resource({"service.name": "sdk", "service.instance.id": "i-1", "n": 3})
    )
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    predict(receiver)
    driftline.flush()
    environment = {names.ATTR_ENVIRONMENT: "pr od"}
    assert [dict(batch.resource) for batch in receiver.batches] == [
        {"service.name": "a", **environment},
        {"service.name": "payments", **environment},
        {"service.name": "sdk", "service.instance.id": "i-1", **environment},
    ]
    provider.shutdown()


@pytest.mark.parametrize("text", ["my-secret\nand another", "my-secr\u2019et"])
def test_a_token_that_is_none(receiver, tmp_path, text):
    """What cannot be sent as a token is told with its remedy, and is in no log."""
    token = tmp_path / "token"
    token.write_text(text)
    answer = transport.Transport(Settings(endpoint=receiver.endpoint, token_file=str(token))).send(b"")
    assert (answer.delivered, answer.retry) == (False, False)
    assert "DRIFTLINE_TOKEN_FILE holds what no token may" in answer.text
    assert "secr" not in answer.text


def test_token(receiver, tmp_path):
    """A bearer token is read anew for each request: tokens are exchanged while a service runs."""
    token = tmp_path / "token"
    for text in ("first\n", "second"):
        token.write_text(text)
        predict(receiver, token_file=str(token))
        driftline.flush()
    assert [headers["Authorization"] for headers in receiver.headers] == ["Bearer first", "Bearer second"]
    assert {headers["Content-Type"] for headers in receiver.headers} == {"application/x-protobuf"}
    assert not any("Content-Encoding" in headers for headers in receiver.headers)


def test_private_ca(certificates, monkeypatch):
    """Https is checked against the given certificates; without them nothing is sent."""
    monkeypatch.setattr(sender, "RETRY_SECONDS", 0)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates / "server.crt", certificates / "server.key")
    with Receiver(tls) as receiver:
        predict(receiver)
        driftline.flush(10)
        assert receiver.rows() == 0
        predict(receiver, ca_file=str(certificates / "authority.crt"))
        driftline.flush(10)
        assert receiver.rows() == 1
        driftline.shutdown()


def test_own_requests_are_not_instrumented(receiver, monkeypatch):
    """Other instrumentations find the key that tells them to leave our requests alone, and only there."""
    seen = []
    request = http.client.HTTPConnection.request
    monkeypatch.setattr(
        http.client.HTTPConnection,
        "request",
        lambda *args: (seen.append(context.get_value("suppress_instrumentation")), request(*args))[1],
    )
    predict(receiver)
    driftline.flush()
    assert seen == [True]
    assert context.get_value("suppress_instrumentation") is None


def test_one_takes_no_other_with_it(receiver, monkeypatch):
    """A call whose rows cannot be joined is dropped and counted by itself; those beside it in the batch arrive."""
    join = Row.join
    monkeypatch.setattr(
        Row,
        "join",
        staticmethod(lambda parts: 1 / 0 if any(p.values["a"] == 7 for p in parts) else join(parts)),
    )
    recorder = Recorder("m", "1", settings=Settings(endpoint=receiver.endpoint))
    for at in range(20):
        with recorder.call({"a": at}):
            pass
    assert driftline.flush(10)
    with recorder.call({"a": 20}):
        pass
    assert driftline.flush(10)
    assert sorted(receiver.values("a")) == [at for at in range(21) if at != 7]
    last = receiver.batches[-1]
    assert (last.rows_total, last.dropped_rows_total) == (21, 1)


def test_failing_once(receiver, monkeypatch):
    """Rows that cannot be encoded are dropped and counted; those after them arrive."""
    import driftline.wire

    encode = driftline.wire.encode
    failures = iter([True])

    def failing(batch, **more):
        if next(failures, False):
            raise MemoryError
        return encode(batch, **more)

    monkeypatch.setattr(driftline.wire, "encode", failing)
    predict(receiver, 4)
    driftline.flush()
    predict(receiver, 2)
    driftline.flush()
    (batch,) = receiver.batches
    assert (batch.sequence, batch.rows_total, batch.dropped_rows_total) == (0, 6, 4)
