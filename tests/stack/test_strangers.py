"""Senders that share no code with us: the documentation's examples, counted by a real sidecar as our own sender is."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

import built
from driftline.wire import Batch
from stack.collectors import Collector
from stack.processes import Children, eventually, free_ports, sidecar
from stack.test_fleet import scrape, send
from watched import PLANS, baseline, columns

CLIENT = Path(__file__).parents[2] / "docs" / "examples" / "python" / "send.py"
ROWS = 240
COUNTERS = (
    "driftline_feature_values_total{",
    "driftline_feature_faults_total{",
    "driftline_predictions_total{",
    "driftline_undeclared_values_total{",
)


def rows(seed):
    """Return columns of what a service sees, some values missing, and one category that no baseline has."""
    data = columns(ROWS, seed=seed)
    plan = [PLANS[code] for code in data["plan"].codes]
    amount = data["amount"].tolist()
    amount[3], plan[5], plan[7] = None, None, "gold"
    return {
        "amount": amount,
        "plan": plan,
        "member": data["member"].tolist(),
        "@prediction": data["@prediction"].tolist(),
    }


class Listening:
    """A sidecar on all its ports that knows the model ``fraud``, and what its counters rose by."""

    def __init__(self, children, folder):
        (folder / "baselines").mkdir()
        baseline().save(folder / "baselines")
        grpc, http, metrics = (f"127.0.0.1:{port}" for port in free_ports(3))
        file = folder / "driftline.yaml"
        listen = {"grpc": grpc, "http": http, "metrics": metrics}
        file.write_text(json.dumps({"environment": "prod", "listen": listen, "baselines": ["baselines/"]}))
        sidecar(children, file, metrics=metrics)
        self.grpc, self.http, self._metrics = grpc, f"http://{http}", metrics
        self._before = self.counters()

    def counters(self):
        lines = (
            line.rpartition(" ") for line in scrape(self._metrics).splitlines() if line.startswith(COUNTERS)
        )
        return {series: float(value) for series, _, value in lines}

    def risen(self):
        """Return by how much each counter that rose did since this was last asked."""
        now = self.counters()
        found = {series: value - self._before.get(series, 0.0) for series, value in now.items()}
        self._before = now
        return {series: value for series, value in found.items() if value}

    def rows(self):
        return sum(
            value - self._before.get(series, 0.0)
            for series, value in self.counters().items()
            if series.startswith("driftline_predictions_total{")
        )


@pytest.fixture(scope="module")
def listening(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strangers")
    with Children(folder) as children:
        yield Listening(children, folder)


def as_our_own(listening, data):
    """Count *data* as our own sender sends it; return what rose."""
    ours = {name: np.array(values, object) for name, values in data.items()}
    listening.risen()
    send(listening.http + "/v1/logs", Batch(model="fraud", version="1", rows=ROWS, columns=ours))
    return listening.risen()


def stranger(listening, data, form, transport, *options):
    endpoint = listening.grpc if transport == "grpc" else listening.http
    command = [sys.executable, CLIENT, endpoint, "--form", form, "--transport", transport, *options]
    done = subprocess.run(command, input=json.dumps(data), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("options", [(), ("--gzip",)], ids=["plain", "gzip"])
@pytest.mark.parametrize("transport", ["http", "json", "grpc"])
@pytest.mark.parametrize("form", ["packed", "array", "scalar", "flat"])
def test_python_of_the_text_alone(listening, form, transport, options):
    """A client written from the contract's text is counted series for series as our own sender, in every form."""
    data = rows(seed=5)
    wanted = as_our_own(listening, data)
    stranger(listening, data, form, transport, *options)
    assert listening.risen() == wanted
    assert wanted['driftline_predictions_total{environment="prod",model="fraud",version="1"}'] == ROWS
    for feature in ("amount", "plan", "member", "@prediction"):
        of_feature = [
            value
            for series, value in wanted.items()
            if f'feature="{feature}"' in series and 'fault="out_of_range"' not in series  # in a bin as well
        ]
        assert sum(of_feature) == ROWS, feature


def test_the_client_shares_nothing_with_us():
    """It imports neither us nor numpy: what it knows is in the contract's text."""
    code = f"import runpy, sys; runpy.run_path({str(CLIENT)!r}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"driftline", "numpy"} & set(done.stdout.split())


def test_a_refusal_is_an_error(listening):
    """The client says what the sidecar says of a record that breaks the contract."""
    data = {"plan": ["pro"]}
    command = [sys.executable, CLIENT, listening.http, "--model", "x" * 200]
    done = subprocess.run(command, input=json.dumps(data), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "driftline.model.name" in done.stderr


def serve(children, name, endpoint):
    """Start an example service that sends to *endpoint*; return its process and address."""
    port = free_ports(1)[0]
    program = Path(built.need(name)) / name
    address = str(port) if name == built.NODE_SERVICE else f"127.0.0.1:{port}"
    child = children.launch(
        name, program, address, environment={"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": endpoint}
    )
    return child, f"http://127.0.0.1:{port}/predict"


def ask(url, features):
    request = urllib.request.Request(url, json.dumps(features).encode())
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.loads(response.read())
    except urllib.error.URLError:
        return None


@pytest.mark.parametrize(
    "through", ["straight", pytest.param("collector", marks=pytest.mark.stack(built.COLLECTOR))]
)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.stack(name)) for name in (built.NODE_SERVICE, built.GO_SERVICE)],
)
def test_stock_sdks(tmp_path, listening, name, through):
    """A service with a stock SDK, one record a prediction: every row is counted, straight and through a Collector."""
    data = rows(seed=6)
    requests = [
        {key: data[key][row] for key in ("amount", "plan", "member") if data[key][row] is not None}
        for row in range(ROWS)
    ]
    with Children(tmp_path) as children:
        over_http, over_grpc = listening.http, listening.grpc
        if through == "collector":
            collector = Collector(children, SIDECAR=listening.grpc)
            over_http, over_grpc = collector.url, collector.grpc
        listening.risen()
        endpoint = f"{over_http}/v1/logs" if name == built.NODE_SERVICE else f"http://{over_grpc}"
        service, url = serve(children, name, endpoint)
        first = eventually(lambda: ask(url, requests[0]))
        data["@prediction"] = [first, *(ask(url, features) for features in requests[1:])]
        assert children.stop(service) == 0
        eventually(lambda: listening.rows() >= ROWS)
    found = listening.risen()
    assert found == as_our_own(listening, data)
