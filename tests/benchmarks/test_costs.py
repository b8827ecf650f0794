"""What driftline costs, in CPU time. `make bench` prints it; with DRIFTLINE_WRITE=1 docs/benchmarks.md is written.

Each figure is the median of several repetitions, each of them long enough to be measured; the spread beside
it says how far the machine can be trusted. No test fails for being slow.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

import driftline
from driftline import histogram, wire
from driftline.baseline import Baseline
from driftline.wire import Batch
from otlp_receiver import Receiver
from watched import Watched

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
REPETITIONS = 7
FEATURES = 50
COUNT_TO = 128

INTRODUCTION = (
    f"Written by `DRIFTLINE_WRITE=1 make bench`: CPU time of the calling thread, the median of {REPETITIONS} "
    "repetitions and the worst of them, on a machine that others use too."
)

rng = np.random.default_rng(20261120)


def cpu(work, times, of=1):
    """Return the median and the largest of REPETITIONS, as microseconds of CPU for one of *of* * *times*."""
    work()
    found = []
    for _ in range(REPETITIONS):
        driftline.flush(5)
        began = time.thread_time()
        for _ in range(times):
            work()
        found.append((time.thread_time() - began) / times / of * 1e6)
    return statistics.median(found), max(found)


def watched(features=100):
    built = Baseline.build(
        {f"f{n}": rng.normal(size=20_000) for n in range(features)}, model="m", version="1"
    )
    return Watched(built, settings="environment: bench")


def rows(count, features=FEATURES):
    columns = {f"f{n}": rng.normal(size=count).astype(np.float32) for n in range(features)}
    return Batch(
        model="m", version="1", rows=count, columns={**columns, "@prediction": rng.normal(size=count)}
    )


def counting():
    values = rng.normal(size=100_000)
    edges = np.concatenate(([-np.inf], np.quantile(values, np.arange(1, COUNT_TO) / COUNT_TO), [np.inf]))
    interior = edges[1:-1]
    yield (
        "count 100,000 float64 into 128 bins, with sums",
        "ns a value",
        1e3,
        partial(histogram.count, values, edges),
        5,
        1e5,
    )
    yield (
        "the same by searchsorted and bincount, without sums", "ns a value", 1e3,
        lambda: np.bincount(np.searchsorted(interior, values), minlength=COUNT_TO), 3, 1e5,
    )  # fmt: skip
    yield (
        "the same by np.histogram, without sums",
        "ns a value",
        1e3,
        lambda: np.histogram(values, edges),
        5,
        1e5,
    )


def the_wire():
    for count in (1, 1024, 4096):
        batch = rows(count)
        body = wire.encode(batch)
        times = max(2, 4096 // count)
        yield f"encode {count:,} rows of 51 columns", "µs a row", 1, partial(wire.encode, batch), times, count
        yield f"decode them ({len(body):,} bytes)", "µs a row", 1, partial(wire.decode, body), times, count


def the_sidecar():
    for count in (1, 1024, 4096):
        monitor, batch = watched().monitor, rows(count)
        times = max(2, 1024 // count)
        yield (
            f"count {count:,} rows of 51 columns",
            "µs a row",
            1,
            partial(monitor.observe, batch),
            times,
            count,
        )
    full = watched()
    for _ in range(14):
        full.monitor.observe(rows(2048, features=100))
        full.monitor.tick()
        full.clock.now += 300
    yield "tick: 100 features, 4 windows, 4 statistics, p and phi", "ms", 1e-3, full.monitor.tick, 5, 1
    samples = full.exposition.render().count(b"\n")
    yield f"exposition of {samples:,} lines", "ms", 1e-3, full.exposition.render, 5, 1


def answer(_):
    return 0.5


def the_service(endpoint):
    tracer = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False).get_tracer("bench")
    model = driftline.instrument(answer, name="m", version="1", endpoint=endpoint)
    row = rng.normal(size=(1, FEATURES))
    named = {f"f{n}": 0.5 for n in range(FEATURES)}
    many = rng.normal(size=(1000, FEATURES))
    yield "a bare span of the SDK, for comparison", "µs", 1, lambda: tracer.start_span("s").end(), 2000, 1
    yield "a call, one numpy row of 50, no SDK", "µs", 1, lambda: model(row), 2000, 1
    yield "a call, one dictionary of 50, no SDK", "µs", 1, lambda: model(named), 2000, 1
    yield "a call, 1,000 numpy rows of 50, no SDK", "µs a row", 1, lambda: model(many), 20, 1000


def import_milliseconds():
    code = (
        "import numpy, opentelemetry.trace, opentelemetry.metrics, time; t = time.process_time(); import driftline; "
        "print((time.process_time() - t) * 1e3)"
    )
    run = partial(subprocess.run, [sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = [float(run().stdout) for _ in range(REPETITIONS)]
    return statistics.median(found), max(found)


def test_costs():
    """Every figure can be measured, and is above 0."""
    lines = ["| what | median | worst | |", "| --- | ---: | ---: | --- |"]
    with Receiver() as receiver:
        for topic in (counting, the_wire, the_sidecar, partial(the_service, receiver.endpoint)):
            for what, unit, factor, work, times, of in topic():
                median, worst = (value * factor for value in cpu(work, times, of))
                assert median > 0
                lines.append(f"| {what} | {median:.3g} | {worst:.3g} | {unit} |")
        driftline.shutdown()
    median, worst = import_milliseconds()
    lines.append(
        f"| `import driftline`, beyond numpy and the OpenTelemetry API | {median:.3g} | {worst:.3g} | ms |"
    )
    print("\n".join(lines))
    if os.environ.get("DRIFTLINE_WRITE"):
        DOCUMENT.write_text(document(lines))


def document(lines):
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "opentelemetry-sdk", "protobuf"))
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return "\n".join(
        [
            "# Benchmarks",
            "",
            INTRODUCTION,
            "",
            f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {versions}; load {load}.",
            "",
            *lines,
            "",
            "Peers are not measured in the same run yet.",
            "",
        ]
    )
