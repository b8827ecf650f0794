"""The receiver: what it takes in, what it refuses and with which words, over real gRPC and HTTP."""

import gzip
import http.client
import json
import logging
import shlex
import socket
import threading
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

import driftline
from driftline.errors import ConfigurationError
from driftline.instrumentation.recorder import Recorder
from driftline.instrumentation.settings import Settings
from driftline.sidecar import receiver as module
from driftline.sidecar.receiver import Receiver, Security
from driftline.wire import Batch, encode

BATCH = Batch(model="fraud", version="1", rows=3, columns={"amount": np.array([1.0, 2.0, 3.0])})
BODY = encode(BATCH)
PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"


class Seen:
    """Keeps what a receiver observed and reported."""

    def __init__(self):
        self.batches = []
        self.requests = Counter()
        self.rejections = Counter()
        self.ignorations = 0
        self.sizes = [0]

    def request(self, transport, code):
        self.requests[transport, code] += 1

    def rejected(self, reason, count):
        self.rejections[reason] += count

    def ignored(self, count):
        self.ignorations += count

    def in_flight(self, size):
        self.sizes.append(size)


@pytest.fixture
def listening():
    """Start receivers that are stopped at the end of the test."""
    started = []

    def start(observe=None, security=None, *, ready=True, **settings):
        seen = Seen()
        receiver = Receiver(
            observe or seen.batches.append,
            **{"grpc": "127.0.0.1:0", "http": "127.0.0.1:0"} | settings,
            security=security or Security(),
            telemetry=seen,
        )
        started.append(receiver)
        receiver.start()
        receiver.ready = ready
        return receiver, seen

    yield start
    for receiver in started:
        receiver.stop(0)


def post(receiver, body, headers, path="/v1/logs", method="POST"):
    """Send one request over HTTP; return its status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", receiver.http_port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def call(receiver, body, channel=None, **options):
    """Send one request over gRPC; return the answer or raise what the client raises."""
    with channel or grpc.insecure_channel(f"127.0.0.1:{receiver.grpc_port}") as opened:
        return opened.unary_unary(METHOD)(body, timeout=20, **options)


def refusal(receiver, body=BODY, channel=None, **options):
    """Send one request over gRPC that is refused; return the code, the status and how long to wait."""
    with pytest.raises(grpc.RpcError) as caught:
        call(receiver, body, channel, **options)
    metadata = dict(caught.value.trailing_metadata() or ())
    status = Status.FromString(metadata.get("grpc-status-details-bin", b""))
    retry = RetryInfo()
    delay = status.details[0].Unpack(retry) and retry.retry_delay.seconds if status.details else None
    return caught.value.code(), status, delay


def record(*, model="fraud", rows=1, event="driftline.prediction.batch"):
    """Return a record in OTLP's JSON."""
    return {
        "eventName": event,
        "attributes": [
            {"key": "driftline.contract.version", "value": {"intValue": "1"}},
            {"key": "driftline.model.name", "value": {"stringValue": model}},
            {"key": "driftline.model.version", "value": {"stringValue": "1"}},
            {"key": "driftline.batch.rows", "value": {"intValue": rows}},
            {
                "key": "driftline.data",
                "value": {"kvlistValue": {"values": [{"key": "amount", "value": {"doubleValue": 1.5}}]}},
            },
        ],
    }


def request(*records):
    """Return a request of *records* in OTLP's JSON."""
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()


# --- taken in ---------------------------------------------------------------------------------


def test_grpc_counts(listening):
    """A batch over gRPC is observed, answered with an empty response, and nothing stays in flight."""
    receiver, seen = listening()
    assert call(receiver, BODY) == b""
    assert [(batch.model, batch.rows) for batch in seen.batches] == [("fraud", 3)]
    assert seen.requests == {("grpc", "OK"): 1}
    assert max(seen.sizes) == len(BODY)
    assert seen.sizes[-1] == 0


def test_grpc_gzip(listening):
    """A gzipped request over gRPC is inflated here."""
    receiver, seen = listening()
    body = encode(Batch(model="m", version="1", rows=5000, columns={"x": np.zeros(5000)}))
    call(receiver, body, compression=grpc.Compression.Gzip)
    assert seen.batches[0].rows == 5000
    assert max(seen.sizes) == len(body)


def test_http_counts(listening):
    """A batch over HTTP is observed and answered in protobuf."""
    receiver, seen = listening()
    status, headers, body = post(receiver, BODY, PROTOBUF)
    assert (status, headers["content-type"], body) == (200, "application/x-protobuf", b"")
    assert len(seen.batches) == 1
    assert seen.requests == {("http", "200"): 1}
    assert seen.sizes[-1] == 0


@pytest.mark.parametrize("members", [1, 3], ids=["one member", "three members"])
def test_http_gzip(listening, members):
    """A gzipped body over HTTP is inflated, several members one after another too."""
    receiver, seen = listening()
    third = len(BODY) // members + 1
    body = b"".join(gzip.compress(BODY[at : at + third]) for at in range(0, len(BODY), third))
    assert post(receiver, body, PROTOBUF | {"content-encoding": "gzip"})[0] == 200
    assert seen.batches[0].columns["amount"].tolist() == [1, 2, 3]


def test_large_gzip_members(listening):
    """Members that inflate to more than a step each are read to their ends, and end."""
    receiver, seen = listening()
    body = encode(Batch(model="m", version="1", rows=60_000, columns={c: np.zeros(60_000) for c in "abcdef"}))
    half = len(body) // 2
    zipped = gzip.compress(body[:half]) + gzip.compress(body[half:])
    assert post(receiver, zipped, PROTOBUF | {"content-encoding": "gzip"})[0] == 200
    assert seen.batches[0].rows == 60_000


def test_http_chunked(listening):
    """A body without Content-Length is read to its end."""
    receiver, seen = listening()
    pieces = (BODY[at : at + 7] for at in range(0, len(BODY), 7))
    assert post(receiver, pieces, PROTOBUF)[0] == 200
    assert len(seen.batches) == 1


def test_http_json(listening):
    """JSON is read, whatever the parameters of its media type, and answered in JSON."""
    receiver, seen = listening()
    status, headers, body = post(
        receiver, request(record()), {"content-type": "Application/JSON; charset=utf-8"}
    )
    assert (status, headers["content-type"], body) == (200, "application/json", b"{}")
    assert seen.batches[0].columns["amount"].tolist() == [1.5]


def test_empty_requests_are_good(listening):
    """An empty request is a success in every encoding."""
    receiver, seen = listening()
    assert call(receiver, b"") == b""
    assert post(receiver, b"", PROTOBUF)[0] == 200
    assert post(receiver, b"{}", JSON)[0] == 200
    assert seen.batches == []


def test_keep_alive(listening):
    """One connection carries a good request after a refused one."""
    receiver, seen = listening()
    connection = http.client.HTTPConnection("127.0.0.1", receiver.http_port, timeout=20)
    for body, status in ((b"\xff", 400), (BODY, 200)):
        connection.request("POST", "/v1/logs", body, PROTOBUF)
        answer = connection.getresponse()
        assert (answer.status, answer.read() is None) == (status, False)
    connection.close()
    assert len(seen.batches) == 1


def test_partial_success(listening):
    """Bad records are told by their exact number and the first reason; the good one counts."""
    receiver, seen = listening()
    body = request(record(rows=0), record(), record(event="driftline.drift"), record(event="other"))
    status, _, answer = post(receiver, body, JSON)
    said = json.loads(answer)["partialSuccess"]
    assert (status, said["rejectedLogRecords"]) == (200, "2")
    assert said["errorMessage"] == ("attribute: driftline.batch.rows must be an integer, 1 to 65536, not 0")
    assert seen.rejections == {"attribute": 1, "unsupported_event": 1}
    assert (len(seen.batches), seen.ignorations) == (1, 1)


def test_partial_success_in_protobuf(listening):
    """Both transports say in protobuf what is wrong with a record."""
    receiver, _ = listening()
    message = ExportLogsServiceRequest.FromString(BODY)
    message.resource_logs[0].scope_logs[0].log_records[0].dropped_attributes_count = 2
    body = message.SerializeToString()
    for answer in (call(receiver, body), post(receiver, body, PROTOBUF)[2]):
        partial = ExportLogsServiceResponse.FromString(answer).partial_success
        assert partial.rejected_log_records == 1
        assert partial.error_message.startswith("attributes_dropped: 2 attributes were dropped")


def test_stock_exporters(listening):
    """What OpenTelemetry's own log exporters send over either transport is read."""
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as Grpc
    from opentelemetry.exporter.otlp.proto.http._log_exporter import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as Http
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor

    receiver, seen = listening()
    endpoint = f"http://127.0.0.1:{receiver.http_port}/v1/logs"
    for exporter in (
        Grpc(endpoint=f"127.0.0.1:{receiver.grpc_port}", insecure=True),
        Http(endpoint=endpoint),
        Http(endpoint=endpoint, compression=Compression.Gzip),
    ):
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
        provider.get_logger("shop").emit(
            LogRecord(
                event_name="driftline.prediction.batch",
                severity_number=SeverityNumber.INFO,
                attributes={
                    "driftline.contract.version": 1,
                    "driftline.model.name": "fraud",
                    "driftline.model.version": "2",
                    "driftline.batch.rows": 2,
                    "driftline.data": {"amount": [1.5, None], "country": ["de", "fr"], "vip": [True, False]},
                    "driftline.data.flat": [1, 2],
                },
            )
        )
        provider.shutdown()
    assert len(seen.batches) == 3
    for batch in seen.batches:
        np.testing.assert_array_equal(batch.columns["amount"], [1.5, np.nan])
        assert batch.columns["country"].texts == ("de", "fr")
        assert batch.columns["vip"].tolist() == [True, False]
        assert batch.columns["flat"].tolist() == [1, 2]
        assert batch.resource["telemetry.sdk.language"] == "python"


def test_many_at_once(listening):
    """Requests on both transports at once are each counted once."""
    receiver, seen = listening()

    def send(number):
        body = encode(Batch(model=f"m{number}", version="1", rows=1, columns={"x": np.zeros(1)}))
        call(receiver, body) if number % 2 else post(receiver, body, PROTOBUF)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(40)))
    assert sorted(batch.model for batch in seen.batches) == sorted(f"m{number}" for number in range(40))
    assert seen.requests == {("grpc", "OK"): 20, ("http", "200"): 20}
    assert seen.sizes[-1] == 0


# --- refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xff\xff\xff",
        BODY[:-5],
        b"hello",
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0a\x02\x1a\x7f" * 100,
        BODY.replace(b"fraud", b"fr\xffud"),
    ],
    ids=["noise", "truncated", "text", "length beyond", "nested length", "no utf-8"],
)
def test_unparsable(listening, body):
    """What is no OTLP is a bad request on both transports, with a status that says so."""
    receiver, seen = listening()
    code, status, delay = refusal(receiver, body)
    assert (code, status.code, delay) == (grpc.StatusCode.INVALID_ARGUMENT, 3, None)
    http_status, headers, answer = post(receiver, body, PROTOBUF)
    assert (http_status, headers["content-type"]) == (400, "application/x-protobuf")
    told = Status.FromString(answer)
    assert (told.code, told.message) == (3, status.message)
    assert told.message.startswith("the body is no ExportLogsServiceRequest in protobuf")
    assert seen.requests == {("grpc", "INVALID_ARGUMENT"): 1, ("http", "400"): 1}
    assert seen.sizes[-1] == 0


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"resourceLogs": 1}', b"[" * 100_000])
def test_unparsable_json(listening, body):
    """What is no JSON, or not OTLP's, is a bad request, told in JSON."""
    receiver, _ = listening()
    status, headers, answer = post(receiver, body, JSON)
    told = json.loads(answer)
    assert (status, headers["content-type"], told["code"]) == (400, "application/json", 3)
    assert told["message"].startswith("the body")


@pytest.mark.parametrize("body", [BODY, gzip.compress(BODY)[:-3], b"", gzip.compress(BODY) + b"rest"])
def test_no_gzip(listening, body):
    """What claims to be gzip and is not, or not all of it, is a bad request."""
    receiver, seen = listening()
    status, _, answer = post(receiver, body, PROTOBUF | {"content-encoding": "gzip"})
    assert status == 400
    assert "gzip" in Status.FromString(answer).message
    assert (seen.batches, seen.sizes[-1]) == ([], 0)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({}, "content-type is absent; send application/x-protobuf or application/json"),
        ({"content-type": "text/plain"}, "content-type is text/plain"),
        (PROTOBUF | {"content-encoding": "deflate"}, "content-encoding is deflate; send gzip or none"),
        (PROTOBUF | {"content-encoding": "gzip, gzip"}, "content-encoding is gzip, gzip"),
    ],
)
def test_unsupported(listening, headers, told):
    """Another type or encoding is 415, and the answer names those that are read."""
    receiver, seen = listening()
    status, _, answer = post(receiver, BODY, headers)
    message = (
        Status.FromString(answer).message if "content-encoding" in headers else json.loads(answer)["message"]
    )
    assert (status, message[: len(told)]) == (415, told)
    assert seen.requests == {("http", "415"): 1}


def test_path_and_method(listening):
    """Another path is 404, another method 405, another gRPC method unimplemented."""
    receiver, _ = listening()
    assert post(receiver, BODY, PROTOBUF, path="/v1/traces")[0] == 404
    status, headers, _ = post(receiver, None, {}, method="GET")
    assert (status, headers["allow"]) == (405, "POST")
    with grpc.insecure_channel(f"127.0.0.1:{receiver.grpc_port}") as channel:
        other = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        with pytest.raises(grpc.RpcError) as caught:
            other(b"", timeout=20)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def bomb(size):
    """Return a request of *size* bytes that is tiny in gzip."""
    message = ExportLogsServiceRequest()
    message.resource_logs.add().schema_url = "x" * size
    return message.SerializeToString()


def test_too_large(listening):
    """A request beyond the limit is refused for good, announced, chunked, inflated or over gRPC."""
    receiver, seen = listening(in_flight_bytes=1 << 20)
    large = bomb(2 << 20)
    zipped = gzip.compress(large)
    pieces = (large[at : at + 65536] for at in range(0, len(large), 65536))
    for body, headers in (
        (large, PROTOBUF),
        (pieces, PROTOBUF),
        (zipped, PROTOBUF | {"content-encoding": "gzip"}),
    ):
        status, answered, answer = post(receiver, body, headers)
        assert (status, answered.get("retry-after")) == (413, None)
        told = Status.FromString(answer)
        assert (told.code, told.message) == (8, "the request is larger than 1048576 bytes")
    assert refusal(receiver, large)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    code, status, delay = refusal(receiver, large, compression=grpc.Compression.Gzip)
    assert (code, status.code, delay) == (grpc.StatusCode.RESOURCE_EXHAUSTED, 8, None)
    assert max(seen.sizes) <= 1 << 20
    assert (seen.batches, seen.sizes[-1]) == ([], 0)


def test_bomb(listening):
    """A body that inflates a thousandfold is cut off at the limit, wherever its pieces end."""
    receiver, seen = listening(in_flight_bytes=8 << 20)
    body = gzip.compress(bytes(256 << 20), 9)
    assert post(receiver, body, PROTOBUF | {"content-encoding": "gzip"})[0] == 413
    assert refusal(receiver, body)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert max(seen.sizes) <= 8 << 20
    assert seen.sizes[-1] == 0


def test_json_is_smaller(listening):
    """JSON may hold 8 MiB, inflated or not, where protobuf may hold more."""
    receiver, _ = listening()
    body = b" " * (8 << 20) + b"{}"
    assert post(receiver, body, JSON)[0] == 413
    assert post(receiver, gzip.compress(body), JSON | {"content-encoding": "gzip"})[0] == 413
    assert post(receiver, body[2:], JSON)[0] == 200
    assert post(receiver, bomb(9 << 20), PROTOBUF)[0] == 200


def test_busy(listening):
    """Above the bytes in flight, senders are asked to come back; afterwards there is room again."""
    entered, leave = threading.Event(), threading.Event()

    def observe(batch):
        entered.set()
        assert leave.wait(20)

    receiver, seen = listening(observe, in_flight_bytes=1000)
    rows = 100
    body = encode(Batch(model="m", version="1", rows=rows, columns={"x": np.zeros(rows, "f4")}))
    assert 500 < len(body) < 1000
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(call, receiver, body)
        assert entered.wait(20)
        status, headers, answer = post(receiver, body, PROTOBUF)
        assert (status, headers["retry-after"]) == (429, "2")
        assert Status.FromString(answer).code == 14
        code, told, delay = refusal(receiver, body)
        assert (code, told.code, delay) == (grpc.StatusCode.UNAVAILABLE, 14, 2)
        leave.set()
        assert first.result() == b""
    assert post(receiver, body, PROTOBUF)[0] == 200
    assert seen.sizes[-1] == 0


def test_not_ready(listening):
    """Before it is ready nothing is taken in, and senders are asked to come back."""
    receiver, seen = listening(ready=False)
    status, headers, answer = post(receiver, BODY, PROTOBUF)
    assert (status, headers["retry-after"]) == (503, "2")
    assert Status.FromString(answer).message == "the sidecar is not ready yet"
    code, told, delay = refusal(receiver)
    assert (code, told.message, delay) == (grpc.StatusCode.UNAVAILABLE, "the sidecar is not ready yet", 2)
    assert seen.batches == []


def test_slow_body(listening, monkeypatch):
    """A body that never ends does not hold a place for ever."""
    monkeypatch.setattr(module, "READ_SECONDS", 0.1)
    monkeypatch.setattr(module, "_LINGER_SECONDS", 0.1)
    receiver, seen = listening()
    with socket.create_connection(("127.0.0.1", receiver.http_port), timeout=20) as sender:
        sender.sendall(
            b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
            b"content-length: 100\r\n\r\nbegun"
        )
        answer = b"".join(iter(lambda: sender.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert seen.sizes[-1] == 0


def test_sender_gone(listening):
    """A sender that leaves amid its body gives back what it held, and no one is told a lie."""
    left = threading.Event()
    receiver, seen = listening()
    seen.request = lambda transport, code: (seen.requests.update([(transport, code)]), left.set())
    with socket.create_connection(("127.0.0.1", receiver.http_port), timeout=20) as sender:
        sender.sendall(
            b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
            b"content-length: 100\r\n\r\nbegun"
        )
    assert left.wait(20)
    assert seen.requests == {("http", "499"): 1}
    assert (seen.batches, seen.sizes[-1]) == ([], 0)


def test_large_headers(listening):
    """Headers beyond any sender's need are refused on both transports."""
    receiver, _ = listening()
    with socket.create_connection(("127.0.0.1", receiver.http_port), timeout=20) as sender:
        sender.sendall(b"POST /v1/logs HTTP/1.1\r\nx-long: " + b"x" * 70_000)
        assert sender.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert refusal(receiver, metadata=(("x-long", "x" * 100_000),))[0] is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert post(receiver, BODY, PROTOBUF)[0] == 200


def test_observe_fails(listening, caplog):
    """A failure to count is answered as such, logged with the model, and the next batch still counts."""
    counted = []

    def observe(batch):
        if batch.model == "broken":
            raise ZeroDivisionError
        counted.append(batch.model)

    receiver, seen = listening(observe)
    body = request(record(model="broken"), record(model="well"))
    with caplog.at_level(logging.ERROR):
        status, _, answer = post(receiver, body, JSON)
        assert (status, json.loads(answer)["code"]) == (500, 13)
        broken = encode(Batch(model="broken", version="1", rows=1, columns={"x": np.zeros(1)}))
        assert refusal(receiver, broken)[0] is grpc.StatusCode.INTERNAL
    assert "a batch of broken@1 could not be counted" in caplog.text
    assert post(receiver, request(record(model="later")), JSON)[0] == 200
    assert counted == ["well", "later"]
    assert seen.requests["http", "500"] == 1


def test_decode_fails(listening, monkeypatch, caplog):
    """Even a fault in reading is answered and logged, and the receiver lives on."""
    receiver, seen = listening()
    with monkeypatch.context() as broken:
        broken.setattr("driftline.sidecar.intake.decode", lambda _: 1 / 0)
        with caplog.at_level(logging.ERROR):
            assert post(receiver, BODY, PROTOBUF)[0] == 500
            assert refusal(receiver)[0] is grpc.StatusCode.INTERNAL
    assert f"a request of {len(BODY)} bytes could not be decoded" in caplog.text
    assert post(receiver, BODY, PROTOBUF)[0] == 200
    assert seen.sizes[-1] == 0


@pytest.mark.parametrize("host", ["[", "a:b:c", "\xff"])
def test_odd_host(listening, host):
    """A Host header that is no host harms nobody."""
    receiver, seen = listening()
    assert post(receiver, BODY, PROTOBUF | {"host": host})[0] == 200
    assert len(seen.batches) == 1


# --- who may send -----------------------------------------------------------------------------


def test_token(listening):
    """With a token, who does not send it is refused before anything is read."""
    receiver, seen = listening(security=Security(None, None, None, "s3cret"))
    for given in (None, "s3cret", "Bearer wrong", "Bearer", "Basic s3cret", "Bearer s3cre\xe9"):
        headers = PROTOBUF if given is None else PROTOBUF | {"authorization": given}
        status, answered, answer = post(receiver, BODY, headers)
        assert (status, answered["www-authenticate"]) == (401, "Bearer")
        assert Status.FromString(answer).code == 16
    for metadata in ((), (("authorization", "Bearer wrong"),)):
        code, told, _ = refusal(receiver, metadata=metadata)
        assert (code, told.code) == (grpc.StatusCode.UNAUTHENTICATED, 16)
    assert (max(seen.sizes), seen.batches) == (0, [])
    assert post(receiver, BODY, PROTOBUF | {"authorization": "bearer s3cret"})[0] == 200
    assert call(receiver, BODY, metadata=(("authorization", "Bearer s3cret"),)) == b""


def post_securely(receiver, certificates, client=None):
    """Post over TLS, with the certificate of *client*; return the status."""
    message = urllib.request.Request(
        f"https://127.0.0.1:{receiver.http_port}/v1/logs", BODY, PROTOBUF, method="POST"
    )
    with urllib.request.urlopen(message, timeout=20, context=certificates.context(client)) as answer:
        return answer.status


def test_tls(listening, certificates):
    """With a certificate both transports speak TLS and nothing else."""
    security = Security(certificates / "server.crt", certificates / "server.key", None, None)
    receiver, seen = listening(security=security)
    assert post_securely(receiver, certificates) == 200
    assert call(receiver, BODY, certificates.channel(receiver.grpc_port)) == b""
    assert len(seen.batches) == 2
    with pytest.raises((http.client.HTTPException, OSError)):
        post(receiver, BODY, PROTOBUF)
    assert refusal(receiver)[0] is grpc.StatusCode.UNAVAILABLE


def test_mutual_tls(listening, certificates):
    """With an authority for clients, only those it signed get in."""
    security = Security(
        certificates / "server.crt", certificates / "server.key", certificates / "authority.crt", None
    )
    receiver, seen = listening(security=security)
    assert post_securely(receiver, certificates, "client") == 200
    assert call(receiver, BODY, certificates.channel(receiver.grpc_port, "client")) == b""
    for client in (None, "intruder"):
        with pytest.raises(OSError, match=r"(?i)alert|certificate|reset|closed|EOF"):
            post_securely(receiver, certificates, client)
        code, _, _ = refusal(receiver, BODY, certificates.channel(receiver.grpc_port, client))
        assert code is grpc.StatusCode.UNAVAILABLE
    assert len(seen.batches) == 2


def test_our_own_sender_passes_every_guard(listening, certificates, tmp_path):
    """Driftline's sender shows its certificate and its token, and trusts the private authority."""
    (tmp_path / "token").write_text("s3cret\n")
    guarded = (
        certificates / "server.crt", certificates / "server.key", certificates / "authority.crt", "s3cret"
    )  # fmt: skip
    receiver, seen = listening(security=Security(*guarded))
    endpoint = f"https://127.0.0.1:{receiver.http_port}"
    own = {"cert_file": str(certificates / "client.crt"), "key_file": str(certificates / "client.key")}
    given = {"ca_file": str(certificates / "authority.crt"), "token_file": str(tmp_path / "token"), **own}
    for missing in ("cert_file", "token_file", "ca_file", None):
        settings = Settings(endpoint=endpoint, **{k: v for k, v in given.items() if k != missing})
        with Recorder("m", missing or "whole", settings=settings).call({"a": 1.0}):
            pass
    driftline.shutdown()
    assert [batch.version for batch in seen.batches] == ["whole"]


def test_bad_certificate(listening, certificates):
    """A certificate without its key, or no certificate at all, is named when it starts."""
    for certificate, key in (("server.crt", "client.key"), ("absent.crt", "server.key")):
        with pytest.raises(ConfigurationError, match=rf"listen\.tls: .*{certificate}"):
            listening(security=Security(certificates / certificate, certificates / key, None, None))


# --- life -------------------------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_port_taken(listening, transport):
    """A taken port is named with the setting and the remedy, and the other port is free again."""
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        free = other.getsockname()
        other.close()
        spare = "http" if transport == "grpc" else "grpc"
        with pytest.raises(ConfigurationError, match=rf"listen\.{transport}: {address} .*another port"):
            listening(**{transport: address, spare: f"127.0.0.1:{free[1]}"})
        socket.create_server(free).close()


@pytest.mark.parametrize("transport", ["grpc", "http"])
def test_one_transport(listening, transport):
    """Without an address a transport is not served."""
    spare = "http" if transport == "grpc" else "grpc"
    receiver, _ = listening(**{spare: None})
    assert getattr(receiver, f"{spare}_port") is None
    assert getattr(receiver, f"{transport}_port") > 0


def test_stop_drains(listening):
    """What is under way when it stops is finished and counted; what is new is refused."""
    entered, leave = threading.Event(), threading.Event()
    counted = []

    def observe(batch):
        entered.set()
        assert leave.wait(20)
        counted.append(batch)

    receiver, _ = listening(observe)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(post, receiver, BODY, PROTOBUF)
        assert entered.wait(20)
        stopping = pool.submit(receiver.stop, 20)
        while not receiver._stopping:
            pass
        status, headers, answer = post(receiver, BODY, PROTOBUF)
        assert (status, headers["retry-after"]) == (503, "2")
        assert Status.FromString(answer).message == "the sidecar is stopping"
        assert refusal(receiver)[0] is grpc.StatusCode.UNAVAILABLE
        leave.set()
        assert first.result()[0] == 200
        stopping.result()
    assert len(counted) == 1
    with pytest.raises(OSError, match="refused"):
        post(receiver, BODY, PROTOBUF)


def test_stop_has_an_end(listening):
    """What does not finish within the grace is left behind."""
    entered, leave = threading.Event(), threading.Event()

    def observe(batch):
        entered.set()
        leave.wait(20)

    receiver, _ = listening(observe)
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(post, receiver, BODY, PROTOBUF)
        assert entered.wait(20)
        receiver.stop(0.1)
        assert not leave.is_set()
        leave.set()
        assert lost.result()[0] == 503


# --- the documentation ------------------------------------------------------------------------


def test_the_documented_line_works(listening):
    """The curl line of docs/wire-contract.md is counted as the page says."""
    page = (Path(__file__).parents[2] / "docs" / "wire-contract.md").read_text()
    line = page.partition("```sh\n")[2].partition("```")[0]
    words = shlex.split(line)
    assert words[:3] == ["curl", "-sS", "http://127.0.0.1:4328/v1/logs"]
    name, _, kind = words[words.index("-H") + 1].partition(": ")
    receiver, seen = listening()
    status, _, answer = post(receiver, words[words.index("-d") + 1].encode(), {name: kind})
    assert (status, answer) == (200, b"{}")
    (batch,) = seen.batches
    assert (batch.model, batch.version, batch.rows) == ("fraud", "2.3.1", 1)
    assert list(batch.columns) == ["amount", "country", "vip", "@prediction", "@latency"]
