"""What the sidecar costs, beside the peers. `make bench` prints it; with DRIFTLINE_WRITE=1 docs/benchmarks.md is written.

Each figure is the median of several repetitions of CPU time, each long enough to be measured. A loop that is
the same everywhere is timed before each, so that a figure of a bad moment can be told from a bad figure. No test
fails for being slow.
"""

import cProfile
import dataclasses
import json
import os
import platform
import pstats
import statistics
import subprocess
import sys
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from benchmarks import page, peers
from driftline import histogram, names, wire
from driftline.baseline import Baseline
from driftline.columns import Coded, of
from driftline.drift import Expected
from driftline.layout import Layout
from driftline.window import Window
from driftline.wire import Batch
from load.service import Service
from stack.processes import Children
from watched import Watched

REPETITIONS = 7
FEATURES = 50
MANY = 100_000
FIVE = ("psi", "kolmogorov_smirnov", "wasserstein", "jensen_shannon", "chi_square")
FOLDER = Path(__file__).parent

rng = np.random.default_rng(20261120)
references = []


def microseconds(work, times=1):
    """Return the median and the largest of REPETITIONS, as microseconds of CPU of this thread for one of *times*."""
    references.append(peers.reference())
    work()
    found = []
    for _ in range(REPETITIONS):
        began = time.thread_time()
        for _ in range(times):
            work()
        found.append((time.thread_time() - began) / times * 1e6)
    return statistics.median(found), max(found)


class Table:
    """Rows of a table: what, median, worst, unit, budget and whether it is met."""

    def __init__(self):
        self.lines = ["| what | median | worst | | budget | |", "| --- | ---: | ---: | --- | ---: | --- |"]

    def add(self, what, figures, unit, budget=None):
        median, worst = figures
        assert median > 0
        met = "" if budget is None else "met" if median <= budget else "**not met**"
        said = "" if budget is None else f"{budget:g}"
        self.lines.append(f"| {what} | {median:.3g} | {worst:.3g} | {unit} | {said} | {met} |")

    def time(self, what, work, *, of=1, times=1, unit="µs", factor=1.0, budget=None):
        self.add(what, tuple(x * factor / of for x in microseconds(work, times)), unit, budget)


def trained(features=100, rows=20_000, **options):
    columns = {f"f{n}": rng.normal(size=rows) for n in range(features)}
    return Baseline.build(columns, model="m", version="1", **options)


def rows(count, features=FEATURES, **fields):
    columns = {f"f{n}": rng.normal(size=count).astype(np.float32) for n in range(features)}
    columns["@prediction"] = rng.normal(size=count)
    return Batch(model="m", version="1", rows=count, columns=columns, **fields)


def stock(count):
    """Return what a stock SDK sends: a record a prediction, each value an attribute of its own."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for _ in range(count):
        record = records.add(event_name=names.EVENT_BATCH)
        for key, value in ((names.ATTR_CONTRACT_VERSION, 1), (names.ATTR_ROWS, 1)):
            record.attributes.add(key=key).value.int_value = value
        for key, text in ((names.ATTR_MODEL_NAME, "m"), (names.ATTR_MODEL_VERSION, "1")):
            record.attributes.add(key=key).value.string_value = text
        columns = record.attributes.add(key=names.ATTR_DATA).value.kvlist_value.values
        for name in (*(f"f{n}" for n in range(FEATURES)), "@prediction"):
            columns.add(key=name).value.double_value = float(rng.normal())
    return request.SerializeToString()


def hottest(work, times):
    """Return where the time of *work* goes: the share of the six functions that take the most themselves."""
    work()
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    for _ in range(times):
        work()
    profile.disable()
    told = pstats.Stats(profile).stats
    whole = sum(own for _, _, own, _, _ in told.values())
    first = sorted(told.items(), key=lambda item: -item[1][2])[:6]
    return ", ".join(
        f"{name.removeprefix('<method ').removeprefix('<built-in method ').rstrip('>')} {own / whole:.0%}"
        for (_, _, name), (_, _, own, _, _) in first
    ).replace("|", "/")


@pytest.mark.timeout(900)
def test_counting():
    """Every figure of counting and scoring can be measured."""
    table = Table()
    values = rng.normal(size=MANY)
    inner = np.quantile(values, np.arange(1, 128) / 128)
    edges = np.concatenate(([-np.inf], inner, [np.inf]))
    low, high = np.quantile(values, [0.001, 0.999])
    per_value = partial(table.time, of=MANY, times=3, unit="ns a value", factor=1e3)
    per_value(
        "count 100,000 float64 into 128 bins, with sums",
        partial(histogram.count, values, edges, low, high),
        budget=3,
    )
    per_value("the same by `np.histogram`, without sums", partial(np.histogram, values, edges))
    per_value(
        "the same by `searchsorted` and `bincount`, without sums",
        lambda: np.bincount(np.searchsorted(inner, values), minlength=128),
    )
    per_value("only sorting them", partial(np.sort, values))
    per_value("only sorting them as float32", lambda: np.sort(values.astype(np.float32)))
    per_value("only copying them", values.copy)

    expected = Expected(Layout(trained(20)))
    layout = expected.layout
    columns = {name: rng.normal(0.1, 1, MANY) for name in layout.names}

    def five():
        window = Window(2.0, 1.0, layout.empty(), 0.0)
        window.add(layout.count(columns, MANY))
        return expected.score(window, FIVE)

    table.time("PSI, KS, W1, JS and chi2 of 100,000 raw rows", five, of=20, unit="µs a feature", budget=600)
    texts = tuple(f"category_{number:02d}" for number in range(50))
    codes = rng.integers(0, 50, MANY).astype(np.int8)
    items = np.array(texts, object)[codes].tolist()
    kind = Baseline.build({"c": items}, model="m", features=["c"], categorical=["c"]).features["c"]
    table.time("count 100,000 texts of 50 categories", lambda: kind.count(of(items)), budget=2500)
    table.time("the same as codes", lambda: kind.count(Coded(codes, texts)), budget=250)
    page.put("counting", [*table.lines, "", f"100,000 raw rows to scores: {hottest(five, 3)}."])


@pytest.mark.timeout(900)
def test_ingest(tmp_path):
    """Every figure from the wire to the windows can be measured, that of a whole sidecar among them."""
    table = Table()
    watched = Watched(trained(FEATURES, prediction=None))
    notes = []
    for count in (1, 1024, 4096):
        batch = rows(count)
        body = wire.encode(batch)
        times = max(2, 2048 // count)
        of_rows = partial(table.time, of=count, times=times, unit="µs a row")
        of_rows(f"decode a batch of {count:,} rows of 51 values", partial(wire.decode, body))
        observe = partial(watched.monitor.observe, batch)
        of_rows(f"count it: {count:,} rows", observe)
        notes.append(f"- Counting a batch of {count:,}: {hottest(observe, times)}.")
    single = stock(512)

    def singly():
        for batch in wire.decode(single).batches:
            watched.monitor.observe(batch)

    table.time(
        "512 records of one row, as a stock SDK sends them", singly, of=512, unit="µs a row", budget=60
    )
    notes.append(f"- Records of one row: {hottest(singly, 3)}.")
    with Children(tmp_path) as children:
        service = Service(tmp_path, children)
        for what, count, requests, budget in (
            ("gRPC to windows, a sidecar's whole CPU, 1,024 rows a batch", 1024, 150, 2.0),
            ("the same, 4,096 rows a batch", 4096, 60, 1.0),
            ("the same, 1 row a batch of our own sender", 1, 400, None),
            ("the same, 512 records of one row of a stock SDK", 512, 12, 60.0),
        ):
            found = []
            references.append(peers.reference())
            for repetition in range(5):
                bodies = [single if count == 512 else service.batch(count) for _ in range(requests)]
                began = service.cpu()
                assert {service.by_grpc(body) for body in bodies} == {"OK"}
                if repetition:
                    found.append((service.cpu() - began) * 1e6 / requests / count)
            table.add(what, (statistics.median(found), max(found)), "µs a row", budget)
        service.close()
    page.put("ingest", [*table.lines, "", *notes])


def month(watched):
    """Fill every pane of every window."""
    batch = rows(512, features=100)
    for hours in (*[24] * 31, *[6] * 29, *[1] * 25, *[1 / 12] * 13):
        watched.monitor.observe(batch)
        watched.monitor.tick()
        watched.clock.now += hours * 3600
    return watched


@pytest.mark.timeout(900)
def test_looking():
    """Every figure of ticks, scrapes and memory can be measured."""
    table = Table()
    full = month(Watched(trained(), settings="environment: bench"))
    batch = rows(1, features=100)
    counted = microseconds(partial(full.monitor.observe, batch), 10)[0]

    def tick():
        full.monitor.observe(batch)
        full.monitor.tick()

    figures = tuple((x - counted) / 1e3 for x in microseconds(tick, 5))
    table.add("a tick: 100 features, 4 full windows, 4 statistics, p and phi", figures, "ms", 5)
    table.time("a tick to which nothing came", full.monitor.tick, times=20, unit="ms", factor=1e-3)
    notes = [f"- A tick: {hottest(tick, 20)}."]
    one = trained()
    many = Watched(
        *(dataclasses.replace(one, model=f"m{n}") for n in range(23)), settings="environment: bench"
    )
    for n in range(23):
        many.monitor.observe(dataclasses.replace(rows(512, features=100), model=f"m{n}"))
    many.monitor.tick()
    samples = sum(not line.startswith(b"#") for line in many.exposition.render().splitlines())
    median, worst = (x / 1e6 / samples * 1e5 for x in microseconds(many.exposition.render))
    table.add(f"100,000 samples of `/metrics`, from {samples:,}", (median, worst), "s", 0.15)
    notes.append(f"- A scrape: {hottest(many.exposition.render, 2)}.")
    told = json.loads(
        subprocess.run(
            [sys.executable, FOLDER / "memory.py"],
            capture_output=True, text=True, check=True, timeout=600, env=os.environ | {"PYTHONPATH": str(FOLDER.parent)},
        ).stdout
    )  # fmt: skip
    for what, figure, unit, budget in (
        ("memory of a model of 100 features, every pane full", told["one"], "MB", 12),
        ("memory of a sidecar of 100 such models", told["all"] / 1e3, "GB", 1.5),
        (f"a scrape of it, {told['samples']:,} samples", told["scrape"], "s", 0.6),
    ):
        table.add(what, (figure, figure), unit, budget)
    page.put("looking", [*table.lines, "", *notes])


@pytest.mark.timeout(3000)
def test_beside_peers():
    """Peers are measured on as many rows, in the same run; one that refuses is named."""
    expected = Expected(Layout(trained(20)))
    layout = expected.layout
    columns = {name: rng.normal(0.1, 1, MANY) for name in layout.names}

    def scored(*statistics_):
        window = Window(2.0, 1.0, layout.empty(), 0.0)
        window.add(layout.count(columns, MANY))
        return expected.score(window, statistics_)

    wanted = {
        "psi": ("psi",),
        "ks": ("kolmogorov_smirnov",),
        "w1": ("wasserstein",),
        "js": ("jensen_shannon",),
    }
    ours = {
        what: microseconds(partial(scored, *some))[0] / 20 for what, some in {**wanted, "all": FIVE}.items()
    }
    texts = np.array([f"category_{number:02d}" for number in range(50)], object)[
        rng.integers(0, 50, MANY)
    ].tolist()
    kind = Baseline.build({"c": texts}, model="m", features=["c"], categorical=["c"]).features["c"]
    ours["text"] = microseconds(lambda: kind.count(of(texts)))[0]
    found, heads, refusals = {}, {}, []
    for peer in ("scouter", "nannyml", "evidently", "whylogs"):
        try:
            told = peers.measure(peer, FOLDER / "peer_drift.py", peer)
        except peers.Refused as refused:
            refusals.append(f"{peer} refused: {str(refused).splitlines()[-1][:200]}.")
            continue
        references.append(told["reference"])
        found[peer] = told["figures"]
        name, number = next(iter(told["versions"].items()))
        heads[peer] = f"{name} {number}"
    lines = [
        f"| µs a feature, 100,000 rows against 100,000 | driftline | {' | '.join(heads.values())} |",
        f"| --- | ---: |{' ---: |' * len(heads)}",
    ]
    for what, said in {
        "psi": "PSI", "ks": "Kolmogorov-Smirnov", "w1": "Wasserstein", "js": "Jensen-Shannon",
        "all": "these and chi-square together", "text": "50 categories, as text",
    }.items():  # fmt: skip
        cells = [_cell(figures.get(what), ours[what]) for figures in found.values()]
        lines.append(f"| {said} | {ours[what]:,.0f} | {' | '.join(cells)} |")
    page.put("peers", [*lines, "", *refusals])


def _cell(figure, ours):
    if figure is None:
        return ""
    return figure[:60] if isinstance(figure, str) else f"{figure:,.0f} ({figure / ours:,.1f} x)"


def test_machine():
    """What was measured on, and how steady it was: the last part, for it sums up the others."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "grpcio", "protobuf"))
    spread = (
        f"The same loop took {min(references):,.0f} to {max(references):,.0f} µs, {statistics.median(references):,.0f} "
        f"in the middle, over {len(references)} times that it was run between the others."
        if references
        else ""
    )
    page.put(
        "machine",
        [
            f"{processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, {versions}; load {load}.",
            spread,
            f"Many values are counted {'on a grid' if histogram._grid_is_faster() else 'by sorting'} here.",
        ],
    )


def processor():
    with open("/proc/cpuinfo") as file:  # noqa: PTH123
        said = dict(
            line.split(":", 1) for line in file.read().partition("\n\n")[0].splitlines() if ":" in line
        )
    said = {key.strip(): value.strip() for key, value in said.items()}
    return f"{said.get('model name', platform.machine())} (family {said.get('cpu family')}, model {said.get('model')})"
