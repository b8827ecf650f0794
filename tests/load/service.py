"""One sidecar under load, as a process of its own, and what it costs: rows, answers, CPU and memory."""

import http.client
import json
import os
import time

import grpc
import numpy as np

from driftline.baseline import Baseline
from driftline.sidecar.receiver import EXPORT
from driftline.wire import Batch, encode
from stack.processes import free_ports, sidecar
from stack.test_fleet import counter, scrape

FEATURES = 50
ROWS = 1024
_TICKS = os.sysconf("SC_CLK_TCK")


class Service:
    """A sidecar of one model of 50 features, and senders over gRPC and HTTP."""

    def __init__(self, folder, children):
        self.grpc, self.http, metrics = (f"127.0.0.1:{port}" for port in free_ports(3))
        self.metrics = metrics
        rng = np.random.default_rng(1)
        self.data = {f"f{n}": rng.normal(size=4 * ROWS).astype(np.float32) for n in range(FEATURES)}
        self.data["@prediction"] = rng.normal(size=4 * ROWS)
        trained = {f"f{n}": rng.normal(size=20_000) for n in range(FEATURES)} | {"y": rng.normal(size=20_000)}
        built = Baseline.build(trained, model="m", version="1", prediction="y", task="regression")
        (folder / "baselines").mkdir()
        built.save(folder / "baselines")
        settings = {
            "environment": "load",
            "listen": {"grpc": self.grpc, "http": self.http, "metrics": metrics},
            "baselines": ["baselines/"],
            "state": {"path": "state/", "every": "10s"},
            "windows": {"1m": "5s", "24m": "1m"},  # so that panes close and leave while it lasts
        }
        (folder / "driftline.yaml").write_text(json.dumps(settings))
        self.child = sidecar(children, folder / "driftline.yaml", metrics=metrics)
        self.stream, self.sequence, self.total = os.urandom(16), 0, 0
        self._channel = grpc.insecure_channel(self.grpc)
        self._export = self._channel.unary_unary(EXPORT)
        self._http = http.client.HTTPConnection(self.http, timeout=30)
        self.scrape()  # counters were seen at 0

    def close(self):
        self._channel.close()
        self._http.close()

    def batch(self, rows=ROWS):
        """Return the next batch as it is sent; each is another one of one stream."""
        sequence, self.sequence = self.sequence, self.sequence + 1
        self.total += rows
        columns = {name: values[:rows] for name, values in self.data.items()}
        return encode(
            Batch(
                model="m", version="1", rows=rows, columns=columns,
                stream=self.stream, sequence=sequence, rows_total=self.total,
            )
        )  # fmt: skip

    def send(self):
        """Send a batch, over gRPC and HTTP in turn; return OK or what was answered instead."""
        body = self.batch()
        return self.by_http(body) if self.sequence % 2 else self.by_grpc(body)

    def by_grpc(self, body):
        try:
            self._export(body, timeout=30)
        except grpc.RpcError as error:
            return error.code().name
        return "OK"

    def by_http(self, body, connection=None):
        connection = connection or self._http
        connection.request("POST", "/v1/logs", body, {"content-type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        return "OK" if answer.status == 200 else str(answer.status)

    def scrape(self):
        return scrape(self.metrics)

    def rows(self):
        """Return the rows that the sidecar has counted."""
        return counter(self.scrape(), "driftline_predictions_total")

    def cpu(self):
        """Return the seconds of CPU that the sidecar has used."""
        with open(f"/proc/{self.child.process.pid}/stat") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def megabytes(self):
        """Return the memory that the sidecar holds now."""
        with open(f"/proc/{self.child.process.pid}/status") as file:  # noqa: PTH123
            return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


def pace(until, every):
    """Yield once every so many seconds until a moment; what is late is not made up for."""
    due = time.monotonic()
    while time.monotonic() < until:
        yield
        due = max(due + every, time.monotonic() - every)
        time.sleep(max(0.0, due - time.monotonic()))
