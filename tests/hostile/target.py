"""A real sidecar under fire, and what holds of it whatever arrives.

Every test of a hostile input goes through :meth:`Target.unharmed`, which says in one place what "harmless" means.
"""

import contextlib
import http.client
import json
import sys
import urllib.request
from collections import Counter
from pathlib import Path

import grpc
import numpy as np
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

import driftline
from driftline.sidecar.receiver import EXPORT, JSON, PROTOBUF
from driftline.wire import encode
from stack.processes import READY_SECONDS, Children, eventually, free_ports
from watched import baseline, batch

MEMORY = 400 << 20
"""What one request may cost while it is read: 256 MiB of messages, the request itself, and what is made of it."""
ROWS = 5
_TIME_PASSES = (
    "driftline_sidecar_tick_seconds",
    "driftline_sidecar_scrape_seconds",
    "driftline_sidecar_state_timestamp_seconds",
    "driftline_sidecar_window_fill_ratio",
    "driftline_last_prediction_timestamp_seconds",
)
_A_TICK_LATER = (
    "driftline_sidecar_feature_",
    "driftline_sidecar_window_rows",
    "driftline_feature_overdispersion",
)
"""What follows from what was counted before, whenever the next tick comes; the bystander's is bit-equal all the same."""


class Doubler:
    """A model of one line, whose answers are known to the last bit."""

    def predict(self, rows):
        return np.asarray(rows)[:, 0] * 2.0 + 0.1


class Target:
    """A sidecar process, a bystander that was served before, and an application that is served meanwhile.

    Args:
        folder: Where its configuration, baselines and state are.
        settings: Merged into ``driftline.yaml``.
        wrapper: What the sidecar is started with, such as a limit of its files.
        certificates: What it and its callers speak TLS with.
    """

    def __init__(self, folder, *, settings=None, wrapper=(), certificates=None):
        self.folder = folder
        self._certificates = certificates
        self._scheme = "https" if certificates else "http"
        self._context = certificates and certificates.context()
        self.grpc, self.http, metrics = (f"127.0.0.1:{port}" for port in free_ports(3))
        self.metrics = metrics
        listen = {"grpc": self.grpc, "http": self.http, "metrics": metrics}
        if certificates:
            listen["tls"] = {
                "cert": str(certificates / "server.crt"),
                "key": str(certificates / "server.key"),
            }
        self.config = folder / "driftline.yaml"
        self.config.write_text(
            json.dumps(
                {
                    "environment": "prod",
                    "listen": listen,
                    "baselines": ["baselines/"],
                    "state": {"path": "state/"},
                    "windows": {"16m": "1s"},
                    "models": {"fraud": {"owner": "payments"}},
                }
                | (settings or {})
            )
        )
        baseline().save(folder / "baselines")
        self._wrapper = wrapper
        self._bare = Doubler()
        self._rows = np.random.default_rng(0).random((ROWS, 3))

    def __enter__(self):
        self._children = Children(self.folder).__enter__()
        command = (sys.executable, "-m", "driftline.cli", "sidecar", "--config", self.config)
        self.child = self._children.launch("sidecar", *self._wrapper, *command)
        eventually(self._answers, within=READY_SECONDS)
        trusts = {"ca_file": str(self._certificates / "authority.crt")} if self._certificates else {}
        self._app = driftline.instrument(
            Doubler(), name="app", version="1", endpoint=f"{self._scheme}://{self.http}", **trusts
        )
        self._app.predict(self._rows)
        assert driftline.flush(10)
        self.post(encode(batch(500)))
        eventually(lambda: "driftline_sidecar_feature_drift{" in self.page())
        self.page()
        return self

    def __exit__(self, *_):
        driftline.shutdown()
        self._children.__exit__()

    # --- sending --------------------------------------------------------------------------------

    def post(self, body, kind=PROTOBUF, **headers):
        """Send one request over HTTP; return its status and what it says."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if self._context:
            connection = http.client.HTTPSConnection(self.http, timeout=60, context=self._context)
        else:
            connection = http.client.HTTPConnection(self.http, timeout=60)
        try:
            connection.request("POST", "/v1/logs", body, {"content-type": kind} | headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.headers["content-type"] != kind:  # not the receiver's words
            return answer.status, content.decode()
        if kind == JSON:
            said = json.loads(content)
            return answer.status, said.get("message") or said.get("partialSuccess", {}).get(
                "errorMessage", ""
            )
        if answer.status != 200:
            return answer.status, Status.FromString(content).message
        return 200, ExportLogsServiceResponse.FromString(content).partial_success.error_message

    def call(self, body, **options):
        """Send one request over gRPC; return the name of its code and what it says."""
        unlimited = [("grpc.max_send_message_length", -1)]
        with (
            self._certificates.channel(self.grpc.rpartition(":")[2])
            if self._certificates
            else grpc.insecure_channel(self.grpc, unlimited)
        ) as channel:
            try:
                answer = channel.unary_unary(EXPORT)(body, timeout=60, **options)
            except grpc.RpcError as error:
                return error.code().name, error.details()
        return "OK", ExportLogsServiceResponse.FromString(answer).partial_success.error_message

    # --- looking --------------------------------------------------------------------------------

    def page(self, accept="text/plain"):
        return self._get("/metrics", accept).decode()

    def _get(self, path, accept="*/*"):
        request = urllib.request.Request(f"{self._scheme}://{self.metrics}{path}", headers={"accept": accept})
        with urllib.request.urlopen(request, timeout=30, context=self._context) as response:
            return response.read()

    def samples(self):
        """Return every series and its value, as Prometheus text; counters that are new were seen at 0 before."""
        self.page()
        text = self.page()
        found = Counter()
        for family in text_families(text):
            for sample in family.samples:
                key = sample.name, tuple(sorted(sample.labels.items()))
                assert key not in found, f"{key} stands twice"
                found[key] = sample.value
        assert {f.name for f in openmetrics_families(self.page("application/openmetrics-text"))}
        return found, [line for line in text.split("\n") if 'model="fraud"' in line and not _passes(line)]

    def said(self):
        return self.child.log.read_text(errors="replace")

    def _peak(self):
        status = Path(f"/proc/{self._pid()}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10

    def _pid(self):
        return self.child.process.pid

    # --- what holds -----------------------------------------------------------------------------

    @contextlib.contextmanager
    def unharmed(self, moves, *, memory=MEMORY, born=(), failing=False):
        """Fail unless what happens inside harms nobody.

        The process stays up and ready, and takes no more than *memory* on top. The application's predictions
        are bit-equal to the bare model's and each of its rows is counted. Of all series exactly *moves* move,
        by exactly so much; those of the model that nothing was sent for stay bit-equal. Both formats parse.

        Args:
            moves: Changes by series, as ``name{label=value}`` with the labels in order; several in a tuple,
                where chance decides between them.
            memory: Bytes.
            failing: Whether the state cannot be written meanwhile, which is counted every time.
            born: Models that these moves are not about: what they have of series is theirs.
        """
        before, bystander = self.samples()
        Path(f"/proc/{self._pid()}/clear_refs").write_text("5")  # the peak begins anew
        resting = self._peak()
        yield
        assert np.array_equal(self._app.predict(self._rows), self._bare.predict(self._rows))
        assert driftline.flush(10)
        assert self.child.process.poll() is None, self.child.said()
        assert self._get("/-/ready")
        assert self._peak() - resting < memory
        after, same = self.samples()
        assert same == bystander
        moved = {
            _shown(key): value - before[key]
            for key, value in after.items()
            if value != before[key]
            and not key[0].startswith((*_TIME_PASSES, *_A_TICK_LATER))
            and dict(key[1]).get("model") not in born
        }
        app = {key: moved.pop(key) for key in list(moved) if "model=app" in key}
        assert app["driftline_predictions_total{environment=prod,model=app,version=1}"] == ROWS
        moved = Counter(moved)
        moved.subtract(
            {
                "driftline_sidecar_batches_total{outcome=counted}": 1,
                "driftline_sidecar_rows_total{outcome=counted}": ROWS,
                "driftline_sidecar_requests_total{code=200,transport=http}": 1,
            }
        )
        if failing:
            del moved["driftline_sidecar_state_errors_total{operation=write}"]
        moved = {key: change for key, change in moved.items() if change}
        assert moved in (moves if isinstance(moves, tuple) else (moves,)), f"{moved}, not {moves}"

    def _answers(self):
        self._children.check()
        with contextlib.suppress(OSError):
            return self._get("/-/ready")


def answered(transport, code, count=1):
    """Return the move of one or more answers."""
    return {f"driftline_sidecar_requests_total{{code={code},transport={transport}}}": count}


def rejected(reason, count=1):
    """Return the moves of records refused whole."""
    return {
        f"driftline_sidecar_records_rejected_total{{reason={reason}}}": count,
        "driftline_sidecar_batches_total{outcome=rejected}": count,
    }


def dropped(rows, *, records=0, **reasons):
    """Return the moves of rows that are not counted, and of the records where that is the whole of them.

    *reasons* are those of no model; those of a model are in its own series.
    """
    found = {
        f"driftline_sidecar_rows_dropped_total{{environment=prod,model=,reason={reason},version=}}": many
        for reason, many in reasons.items()
    }
    found["driftline_sidecar_rows_total{outcome=dropped}"] = rows
    return found | ({"driftline_sidecar_batches_total{outcome=dropped}": records} if records else {})


def _shown(key):
    name, labels = key
    return name + "{" + ",".join(f"{label}={value}" for label, value in labels) + "}" if labels else name


def _passes(line):
    return line.startswith(_TIME_PASSES)
