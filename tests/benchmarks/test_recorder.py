"""What recording a call costs a service, beside a span and beside the peers. `make bench` prints it.

With DRIFTLINE_WRITE=1 its section of docs/benchmarks.md is written. No test fails for being slow.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, TraceIdRatioBased

import driftline
from benchmarks import page, peers
from driftline.instrumentation import durations, problems

SCRIPT = str(Path(__file__).with_name("peer_recorder.py"))
REPETITIONS = 21


class Nowhere(SpanExporter):
    def export(self, _spans):
        return SpanExportResult.SUCCESS

    def shutdown(self):
        pass


class Estimator:
    def predict(self, rows):
        return rows[:, 0]


class Broken:
    def __getattr__(self, name):
        raise RuntimeError(name)


def tracers(sampler):
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    return provider


def interleaved(works, calls=1000):
    """Return the median and the least CPU of this thread for one call of each of *works*, in microseconds, run in turn."""
    found = {name: [] for name in works}
    for repetition in range(REPETITIONS + 1):
        for name, work in works.items():
            driftline.flush(5)
            began = time.thread_time()
            for _ in range(calls):
                work()
            if repetition:
                found[name].append((time.thread_time() - began) / calls * 1e6)
    return {name: (statistics.median(times), min(times)) for name, times in found.items()}


def fail(*_args, **_kwargs):
    raise RuntimeError("broken")


@pytest.fixture
def receiver(receiver, monkeypatch):
    """A receiver, and a process in which the unnamed row was spoken of and the instruments are made anew."""
    monkeypatch.setattr(problems, "_logged", {("unnamed", "m")})
    durations.histogram.cache_clear()
    yield receiver
    driftline.shutdown()
    durations.histogram.cache_clear()


def test_beside_a_span(receiver, monkeypatch):
    """Every figure of a call can be measured, and is above 0."""
    on, one_percent = tracers(ALWAYS_ON), tracers(ParentBased(TraceIdRatioBased(0.01)))
    meters = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    monkeypatch.setattr(metrics, "get_meter", meters.get_meter)
    no_sdk = trace.get_tracer

    def model(get_tracer, model=lambda _: 0.5):
        monkeypatch.setattr(trace, "get_tracer", get_tracer)
        return driftline.instrument(model, name="m", version="1", endpoint=receiver.endpoint)

    alone, estimator = Estimator(), model(no_sdk, Estimator())
    plain, sampled, thinned = model(no_sdk), model(on.get_tracer), model(one_percent.get_tracer)
    broken = model(lambda *_: Broken())
    tracer, nobody = on.get_tracer("bench"), no_sdk("bench")
    row = np.random.default_rng(20261121).normal(size=(1, 50))
    named, many = {f"f{number}": 0.5 for number in range(50)}, np.tile(row, (1000, 1))
    unlike = cycle((row, row.astype(np.float32)))
    found = interleaved(
        {
            "a bare span, sampled": lambda: tracer.start_span("s").end(),
            "a call, its span sampled": lambda: sampled(row),
            "a call, 1 % of spans sampled": lambda: thinned(row),
            "a bare span without an SDK": lambda: nobody.start_span("s").end(),
            "a call without an SDK, a numpy row": lambda: plain(row),
            "a call without an SDK, a dictionary": lambda: plain(named),
            "an estimator's predict, alone": lambda: alone.predict(row),
            "an estimator's predict without an SDK, a numpy row": lambda: estimator.predict(row),
            "a call without an SDK, rows of two forms in turn": lambda: plain(next(unlike)),
        }
    )
    of_many = interleaved({"": lambda: plain(many)}, 20)[""]
    found["a row of a call of 1,000 without an SDK"] = tuple(each / 1000 for each in of_many)
    for part in ("buffer.Buffer.reserve", "durations.Durations.add", "problems._counter"):
        monkeypatch.setattr(f"driftline.instrumentation.{part}", fail)
    found["a call of which every part of ours fails"] = interleaved({"": lambda: broken(row)})[""]
    span, span_best = found["a bare span, sampled"]
    lines = ["| one call with 50 features, on its thread | µs | best | x a span | best |"]
    lines.append("| --- | ---: | ---: | ---: | ---: |")
    for what, (median, best) in found.items():
        assert median > 0
        lines.append(f"| {what} | {median:.3g} | {best:.3g} | {median / span:.2f} | {best / span_best:.2f} |")
    bare, alone = found["a bare span without an SDK"], found["an estimator's predict, alone"]
    lines.append("")
    for what, call, besides in (
        ("A numpy row", found["a call without an SDK, a numpy row"], (bare,)),
        ("A row of an estimator", found["an estimator's predict without an SDK, a numpy row"], (bare, alone)),
        ("A dictionary", found["a call without an SDK, a dictionary"], (bare,)),
    ):
        beyond, best = (call[i] - sum(each[i] for each in besides) for i in (0, 1))
        met = "met" if beyond <= 3 else "**not met**"
        lines.append(f"{what} beyond its span: {beyond:.2f} µs, {best:.2f} at best; budget 3, {met}.")
    page.put("beside a span", lines)
    for provider in (on, one_percent, meters):
        provider.shutdown()


def test_beside_peers(receiver):
    """Every peer that installs is measured by the same script, in the same run."""
    lines = [
        "| one row of 50 features, all threads of the process | µs a row |",
        "| --- | ---: |",
    ]
    machine = []
    for peer in ("driftline", "boxkite", "bentoml", "whylogs"):
        try:
            told = own(receiver.endpoint) if peer == "driftline" else peers.measure(peer, SCRIPT, peer)
        except peers.Refused as refused:
            lines.append(f"| {peer}: {str(refused).splitlines()[0][:100]} | |")
            continue
        machine.append(told["reference"])
        for what, microseconds in told["figures"].items():
            figure = microseconds if isinstance(microseconds, str) else f"{microseconds:.3g}"
            lines.append(f"| {peer} {told['version']}: {what} | {figure} |")
    spread = f"The same loop took {min(machine):,.0f} to {max(machine):,.0f} µs in these processes."
    page.put("beside peers", [*lines, "", spread])


def own(endpoint):
    run = subprocess.run(
        [sys.executable, SCRIPT, "driftline", endpoint],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return json.loads(run.stdout.splitlines()[-1])
