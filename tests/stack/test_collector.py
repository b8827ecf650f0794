"""The shipped Collector configurations in a real Collector: nothing is touched, mixed up or lost on the way."""

import gzip
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
import yaml
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import built
from driftline.wire import decode_json, encode
from stack.collectors import CONFIG, EXPORT, Collector, GrpcSink, HttpSink
from stack.processes import Children, eventually, free_ports, sidecar
from stack.test_fleet import counter, scrape
from watched import batch

VECTORS = Path(__file__).parents[1] / "golden" / "wire"
NEEDS = pytest.mark.stack(built.COLLECTOR)


def post(url, body, *, kind="application/x-protobuf", compress=False, path="/v1/logs"):
    headers = {"content-type": kind}
    if compress:
        headers["content-encoding"], body = "gzip", gzip.compress(body)
    request = urllib.request.Request(url + path, body, headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status


def call(address, body, *, compress=False):
    with grpc.insecure_channel(address) as channel:
        export = channel.unary_unary(
            f"/{EXPORT}/Export", response_deserializer=ExportLogsServiceResponse.FromString
        )
        return export(body, timeout=30, compression=grpc.Compression.Gzip if compress else None)


def records(bodies):
    """Return every record of *bodies* with its resource and scope, as text that compares.

    What is not there, a body or the value of a column, the Collector writes as one with nothing set: the
    same to every reader, and to this one.
    """
    found = []
    for of in (of for body in bodies for of in ExportLogsServiceRequest.FromString(body).resource_logs):
        for within in of.scope_logs:
            for record in within.log_records:
                record.body.SetInParent()
                for column in (
                    column for pair in record.attributes for column in pair.value.kvlist_value.values
                ):
                    column.value.SetInParent()
                parts = (of.resource, within.scope, record)
                found.append("".join(map(str, parts)))
    return sorted(found)


@NEEDS
@pytest.mark.parametrize("overlays", [(), ("balanced.yaml",), ("redaction.yaml",)], ids=str)
def test_the_configurations_are_valid(overlays):
    """The Collector's own validation takes what is shipped, with nothing set in the environment."""
    program = Path(built.need(built.COLLECTOR)) / built.COLLECTOR
    files = [f"--config={CONFIG / name}" for name in ("gateway.yaml", *overlays)]
    done = subprocess.run([program, "validate", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_one_version_is_pinned():
    """The builder and every component it builds in are of one version."""
    text = (CONFIG / "builder.yaml").read_text()
    components = yaml.safe_load(text)
    versions = {
        entry["gomod"].partition(" ")[2]
        for kind in ("receivers", "processors", "exporters", "extensions")
        for entry in components[kind]
    }
    assert versions == {built.PINS["builder"]}
    assert f"builder@{built.PINS['builder']}" in text


@NEEDS
@pytest.mark.parametrize("overlays", [(), ("redaction.yaml",)], ids=["plain", "redaction"])
def test_batches_pass_untouched(tmp_path, overlays):
    """Every form of the contract, over gRPC and HTTP, with and without gzip, leaves as it came."""
    bodies = [(VECTORS / f"{name}.request.bin").read_bytes() for name in ("packed", "arrays", "flat")]
    with Children(tmp_path) as children, GrpcSink() as sink:
        collector = Collector(children, *overlays, SIDECAR=sink.address)
        for compress in (False, True):
            for body in bodies:
                post(collector.url, body, compress=compress)
                assert call(collector.grpc, body, compress=compress).partial_success.rejected_log_records == 0
        sent = records(bodies * 4)
        eventually(lambda: len(records(sink.requests)) >= len(sent))
    assert records(sink.requests) == sent


@NEEDS
def test_a_card_number_in_a_prediction_stays(tmp_path):
    """The redaction processor masks what a service logs, and no value of a prediction."""
    number = "4111111111111111"
    with Children(tmp_path) as children, GrpcSink() as sink, HttpSink() as logs:
        collector = Collector(children, "redaction.yaml", SIDECAR=sink.address, LOGS=logs.url)
        post(collector.url, scalar_row(number) + ordinary_log(number))
        eventually(lambda: sink.requests and logs.requests)
    assert number.encode() in b"".join(sink.requests)
    assert number.encode() not in b"".join(body for _, body in logs.requests)


def scalar_row(text):
    message = ExportLogsServiceRequest()
    record = message.resource_logs.add().scope_logs.add().log_records.add()
    record.event_name = "driftline.prediction.batch"
    for key, value in {"contract.version": 1, "batch.rows": 1}.items():
        record.attributes.add(key=f"driftline.{key}").value.int_value = value
    for key, value in {"model.name": "m", "model.version": "1", "data.card": text}.items():
        record.attributes.add(key=f"driftline.{key}").value.string_value = value
    return message.SerializeToString()


def ordinary_log(text):
    message = ExportLogsServiceRequest()
    record = message.resource_logs.add().scope_logs.add().log_records.add()
    record.attributes.add(key="card").value.string_value = text
    return message.SerializeToString()


@NEEDS
def test_json_passes(tmp_path):
    """JSON in the stock mapping reaches the sidecar as protobuf, every form of it."""
    bodies = [(VECTORS / f"{name}.request.bin").read_bytes() for name in ("packed", "arrays", "flat")]
    with Children(tmp_path) as children, GrpcSink() as sink:
        collector = Collector(children, SIDECAR=sink.address)
        for body in bodies:
            text = MessageToJson(ExportLogsServiceRequest.FromString(body))
            post(collector.url, text.encode(), kind="application/json")
        eventually(lambda: len(records(sink.requests)) >= len(records(bodies)))
    assert records(sink.requests) == records(bodies)


@NEEDS
def test_null_in_json_is_the_sidecars_alone(tmp_path):
    """A request with ``null``, which the sidecar takes, the Collector refuses whole: the document says so."""
    body = (VECTORS / "json.request.json").read_bytes()
    assert decode_json(body).batches
    with Children(tmp_path) as children:
        collector = Collector(children)
        with pytest.raises(urllib.error.HTTPError) as refused:
            post(collector.url, body, kind="application/json")
    with refused.value as error:
        assert error.code == 400


@NEEDS
def test_each_signal_keeps_to_its_own(tmp_path):
    """Predictions go to the sidecar; traces, metrics and the service's logs where they went before."""
    trace, metric = ExportTraceServiceRequest(), ExportMetricsServiceRequest()
    trace.resource_spans.add().scope_spans.add().spans.add(
        name="predict fraud", trace_id=b"1" * 16, span_id=b"1" * 8
    )
    point = (
        metric.resource_metrics.add().scope_metrics.add().metrics.add(name="driftline.prediction.duration")
    )
    point.gauge.data_points.add(as_double=0.5)
    prediction, log = encode(batch(20)), ordinary_log("said")
    with Children(tmp_path) as children, GrpcSink() as sink, HttpSink() as rest:
        collector = Collector(
            children,
            SIDECAR=sink.address,
            TRACES=rest.url,
            METRICS=f"{rest.url}/api",
            LOGS=f"{rest.url}/otlp",
        )
        post(collector.url, trace.SerializeToString(), path="/v1/traces")
        post(collector.url, metric.SerializeToString(), path="/v1/metrics")
        post(collector.url, prediction + log)  # one request: messages merge by concatenation
        eventually(lambda: sink.requests and len(rest.requests) >= 3)
    assert records(sink.requests) == records([prediction])
    arrived = dict(rest.requests)
    assert sorted(path for path, _ in rest.requests) == ["/api/v1/metrics", "/otlp/v1/logs", "/v1/traces"]
    assert records([arrived["/otlp/v1/logs"]]) == records([log])
    assert b"predict fraud" in arrived["/v1/traces"]
    assert b"driftline.prediction.duration" in arrived["/api/v1/metrics"]


def configure(folder, name, http, metrics, otlp):
    """Write the settings of one sidecar that knows no model; return their file."""
    (folder / name).mkdir()
    file = folder / name / "driftline.yaml"
    listen = {"grpc": f"127.0.0.1:{otlp}", "http": f"127.0.0.1:{http}", "metrics": f"127.0.0.1:{metrics}"}
    file.write_text(json.dumps({"environment": "prod", "listen": listen, "baselines": []}))
    return file


class Sidecars:
    """Three sidecars on ports of their own, and what each of them counted."""

    def __init__(self, children, folder):
        self._children = children
        ports = free_ports(9)
        self.otlp = [f"127.0.0.1:{port}" for port in ports[:3]]
        self.metrics = [f"127.0.0.1:{port}" for port in ports[3:6]]
        self._files = [configure(folder, f"s{n}", ports[6 + n], ports[3 + n], ports[n]) for n in range(3)]
        self.running = [self.start(n) for n in range(3)]

    def start(self, number):
        return sidecar(
            self._children, self._files[number], metrics=self.metrics[number], name=f"sidecar{number}"
        )

    def counted(self, number):
        """Return the rows of each model that this sidecar counted since it started."""
        found = {}
        for line in scrape(self.metrics[number]).splitlines():
            if line.startswith("driftline_predictions_total{"):
                model = line.partition('model="')[2].partition('"')[0]
                found[model] = found.get(model, 0) + int(float(line.rpartition(" ")[2]))
        return {model: rows for model, rows in found.items() if rows}


def of_model(name, rows, sequence):

    return encode(
        replace(batch(rows, seed=sequence), model=name, stream=name.encode().ljust(16), sequence=sequence)
    )


@NEEDS
@pytest.mark.timeout(180)
def test_three_sidecars_share_the_models(tmp_path):
    """Each model has one sidecar; while one is dead its models wait, and all that came later is counted once.

    What the dead one had counted went into Prometheus with its last scrape: counters begin at 0.
    """
    models = [f"model-{n}" for n in range(24)]
    with Children(tmp_path) as children:
        three = Sidecars(children, tmp_path)
        addresses = {f"SIDECAR_{n + 1}": address for n, address in enumerate(three.otlp)}
        collector = Collector(children, "balanced.yaml", **addresses)

        def send(sequences):
            for sequence in sequences:  # every model in one request, as another Collector would send them
                post(collector.url, b"".join(of_model(name, 10, sequence) for name in models))

        def totals():
            return [three.counted(n) for n in range(3)]

        send(range(5))
        before = eventually(lambda: (t := totals()) and sum(map(len, t)) == 24 and whole(t, 50) and t)
        assert all(before), "every sidecar has models"
        assert sum(map(len, before)) == 24, "no model has two"

        children.stop(three.running[1], signal.SIGKILL)
        send(range(5, 10))
        eventually(lambda: all(set(three.counted(n).values()) == {100} for n in (0, 2)))
        three.start(1)
        send(range(10, 12))
        after = eventually(
            lambda: (t := totals()) and sum(map(sum_of, t)) >= expected(before) and t, within=60
        )
    assert after == [
        dict.fromkeys(before[0], 120),
        dict.fromkeys(before[1], 70),  # 50 of each died with it
        dict.fromkeys(before[2], 120),
    ]


def sum_of(counted):
    return sum(counted.values())


def expected(before):
    return 120 * 24 - 50 * len(before[1])


def whole(counted, rows):
    return all(set(one.values()) == {rows} for one in counted)


@NEEDS
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("environment", "pause", "reason"),
    [({}, 0.0, b"queue"), ({"MEMORY_MIB": "50"}, 0.1, b"memory")],  # memory is looked at once a second
    ids=["queue", "memory"],
)
def test_an_outage_is_waited_out_in_bounded_memory(tmp_path, environment, pause, reason):
    """Without its sidecar the Collector keeps what it may and then refuses; what it took is counted, all of it."""
    body = encode(batch(65_000))
    queue = 64 * 1024 * 1024 // len(body)
    with Children(tmp_path) as children:
        ports = free_ports(3)
        file = configure(tmp_path, "alone", *ports)
        collector = Collector(children, SIDECAR=f"127.0.0.1:{ports[2]}", **environment)
        taken, status, said = until_refused(collector.url, body, most=2 * queue, pause=pause)
        assert status in {429, 503}
        assert reason in said
        assert 0.1 * queue < taken < 1.1 * queue
        assert resident_mib(collector.process.pid) < 512
        metrics = f"127.0.0.1:{ports[1]}"
        sidecar(children, file, metrics=metrics)
        eventually(
            lambda: counter(scrape(metrics), "driftline_predictions_total") >= taken * 65_000, within=60
        )
        assert counter(scrape(metrics), "driftline_predictions_total") == taken * 65_000
        eventually(lambda: until_refused(collector.url, body, most=1, pause=0)[0])


def until_refused(url, body, *, most, pause):
    """Post *body* until it is refused, or *most* times; return how many were taken, the status, what was said."""
    for taken in range(most):
        try:
            post(url, body)
        except urllib.error.HTTPError as error:
            with error:
                return taken, error.code, error.read()
        time.sleep(pause)
    return most, 200, b""


def resident_mib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
