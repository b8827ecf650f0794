"""A small model that is watched: its baseline, its settings, its rows. For tests of the sidecar."""

from contextlib import contextmanager

import numpy as np

import driftline
from driftline import config
from driftline.baseline import Baseline
from driftline.columns import Coded
from driftline.sidecar.baselines import Baselines
from driftline.sidecar.exposition import Exposition
from driftline.sidecar.monitor import Monitor
from driftline.sidecar.receiver import Receiver, Security
from driftline.sidecar.telemetry import Telemetry
from driftline.wire import Batch

START = 1_800_000_000.0
PLANS = ("basic", "plus", "pro")


class Clock:
    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now


def table(rows=4000, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    return {
        "amount": rng.normal(shift, 1.0, rows),
        "plan": np.array(PLANS, object)[rng.choice(3, rows, p=[0.6, 0.3, 0.1])],
        "member": rng.random(rows) < 0.5,
        "answer": rng.normal(10, 2, rows),
    }


def baseline(version="1", *, rows=4000, seed=0, shift=0.0, **options):
    return Baseline.build(
        table(rows, seed, shift),
        model="fraud",
        version=version,
        prediction="answer",
        task="regression",
        **options,
    )


def columns(rows=4000, seed=1, shift=0.0):
    data = table(rows, seed, shift)
    return {
        "amount": data["amount"],
        "plan": Coded(np.array([PLANS.index(p) for p in data["plan"]], np.int8), PLANS),
        "member": data["member"],
        "@prediction": data["answer"],
    }


def batch(rows=4000, *, version="1", seed=1, shift=0.0, extra=None, **fields):
    return Batch(
        model="fraud",
        version=version,
        rows=rows,
        columns={**columns(rows, seed, shift), **(extra or {})},
        **fields,
    )


class Watched:
    """A monitor with its clock, exposition and telemetry, all real."""

    def __init__(self, *baselines, settings="environment: prod", folder="/nowhere", clock=None):
        from pathlib import Path

        self.config = config.parse(settings, folder=Path(folder))
        self.clock = clock or Clock()
        self.telemetry = Telemetry()
        known = Baselines([(Path(f"{number}.json"), b) for number, b in enumerate(baselines)])
        self.monitor = Monitor(self.config, known, self.telemetry, self.clock, self.clock)
        self.exposition = Exposition(self.monitor, self.telemetry)

    @contextmanager
    def listening(self):
        """Receive over HTTP, as a sidecar does; give the address."""
        receiver = Receiver(
            self.monitor.observe, grpc=None, http="127.0.0.1:0", security=Security(), telemetry=self.telemetry
        )
        receiver.start()
        receiver.ready = True
        try:
            yield f"http://127.0.0.1:{receiver.http_port}"
        finally:
            driftline.shutdown()
            receiver.stop(0)

    def scrape(self, *, openmetrics=False):
        """Return the exposition as {(name, sorted labels): value}, read by prometheus_client."""
        from prometheus_client.openmetrics.parser import (
            text_string_to_metric_families as openmetrics_families,
        )
        from prometheus_client.parser import text_string_to_metric_families

        text = self.exposition.render(openmetrics=openmetrics).decode()
        read = openmetrics_families if openmetrics else text_string_to_metric_families
        samples = [sample for family in read(text) for sample in family.samples]
        found = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}
        assert len(found) == len(samples), "a series stands twice"
        return found

    def values(self, name, **labels):
        """Return {remaining labels: value} of the series *name* that carry *labels*, scraped twice."""
        self.scrape()
        return select(self.scrape(), name, **labels)


def select(scrape, name, **labels):
    found = {}
    for (series, pairs), value in scrape.items():
        have = dict(pairs)
        if series == name and all(have.get(key) == wanted for key, wanted in labels.items()):
            rest = tuple(
                v for k, v in pairs if k not in labels and k not in ("environment", "model", "version")
            )
            found[rest[0] if len(rest) == 1 else rest] = value
    return found
