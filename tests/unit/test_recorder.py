"""One call: its span, its duration, its rows; and nothing of ours that reaches the caller."""

from __future__ import annotations

import asyncio
import logging
import re
import signal
import sys
import threading
import time
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from opentelemetry import context, metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

import driftline
from driftline import names
from driftline.instrumentation import buffer, durations, problems, process, recorder
from driftline.instrumentation.settings import Settings


@pytest.fixture
def spans(monkeypatch):
    """What a real SDK's tracer exports."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


@pytest.fixture
def points(monkeypatch):
    """A function that returns the points of a real SDK's instruments, by metric name."""
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    monkeypatch.setattr(metrics, "get_meter", provider.get_meter)
    for made in (durations.histogram, problems._counter):
        made.cache_clear()

    def read():
        driftline.flush()
        data = reader.get_metrics_data()
        if data is None:
            return {}
        found = data.resource_metrics[0].scope_metrics[0].metrics
        return {metric.name: list(metric.data.data_points) for metric in found}

    yield read
    provider.shutdown()
    for made in (durations.histogram, problems._counter):
        made.cache_clear()


def test_span(receiver, spans):
    """A call is one internal span, a child of the current one and the parent of what the model starts."""
    tracer = trace.get_tracer("service")
    with (
        tracer.start_as_current_span("request"),
        driftline.observe("fraud", "2.3.1", [{"a": 1.0}, {"a": 2.0}], task="classification"),
        tracer.start_as_current_span("inside"),
    ):
        pass
    inside, predict, request = spans.get_finished_spans()
    assert (predict.name, predict.kind) == ("predict fraud", SpanKind.INTERNAL)
    assert dict(predict.attributes) == {
        "driftline.model.name": "fraud",
        "driftline.model.version": "2.3.1",
        "driftline.task.type": "classification",
        "driftline.prediction.batch_size": 2,
    }
    assert predict.parent.span_id == request.context.span_id
    assert inside.parent.span_id == predict.context.span_id
    assert predict.status.status_code is StatusCode.UNSET
    assert not trace.get_current_span().get_span_context().is_valid


def test_classes_that_cannot_be_asked_for(receiver):
    """A model that raises where its classes are asked for is recorded without its scores, and no room is lost for it."""

    class Owner:
        feature_names_in_ = None
        classes_ = property(lambda _: 1 / 0)

    model = recorder.Recorder("m", "1", settings=Settings(endpoint=receiver.endpoint))
    for _ in range(3):
        with model.call(np.zeros((2, 3)), Owner()) as call:
            call.score = np.zeros((2, 3))
    assert driftline.flush(10)
    assert receiver.rows() == 6
    assert model.outlet.sender.buffer._used == 0


def test_span_of_a_failed_call(receiver, spans):
    """A failed call's span has the error's type, and no word of what the error said: that may be data."""
    with pytest.raises(ValueError, match="4711"), driftline.observe("fraud", "1", {"a": 1}):
        raise ValueError("card 4711 refused")
    (span,) = spans.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "ValueError"
    assert "4711" not in span.to_json()


def test_conventions_are_documented(receiver, spans, points):
    """What a span and a metric carry is what docs/semantic-conventions.md lists, and nothing else."""
    path = Path(__file__).parents[2] / "docs" / "semantic-conventions.md"
    document = path.read_text().partition("## Toward")[0]
    with pytest.raises(KeyError), driftline.observe("fraud", "1", [{"a": 1}, {"a": 2}], task="regression"):
        raise KeyError
    with driftline.observe("fraud", "1", object()):
        pass
    listed = set(re.findall(r"^\| `([a-z._]+)` \|", document, re.MULTILINE))
    carried = {name for span in spans.get_finished_spans() for name in span.attributes}
    measured = points()
    assert listed == carried | {names.METRIC_DURATION, names.METRIC_ERRORS}
    assert measured.keys() == {names.METRIC_DURATION, names.METRIC_ERRORS}
    for name, found in measured.items():
        (row,) = re.findall(rf"^\| `{re.escape(name)}` .*$", document, re.MULTILINE)
        for attribute in {key for point in found for key in point.attributes}:
            assert f"`{attribute}`" in row
        if name == names.METRIC_DURATION:
            assert f"bounds advised are {', '.join(f'{bound:g}' for bound in names.DURATION_BOUNDS)} |" in row


def test_sampler_is_obeyed(receiver, monkeypatch):
    """Rows and durations do not depend on whether the service samples the span; its children obey it."""
    exporter, provider = InMemorySpanExporter(), TracerProvider(sampler=ALWAYS_OFF)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    with driftline.observe("fraud", "1", {"a": 1}):
        assert not trace.get_current_span().get_span_context().trace_flags.sampled
        assert trace.get_current_span().get_span_context().is_valid
    driftline.flush()
    assert exporter.get_finished_spans() == ()
    assert receiver.rows() == 1
    provider.shutdown()


def test_duration(receiver, points):
    """Each call is one duration by model, version and error, in bounds of seconds."""
    with driftline.observe("fraud", "1", {"a": 1}):
        pass
    with pytest.raises(KeyError), driftline.observe("fraud", "1", {"a": 1}):
        raise KeyError
    good, bad = sorted(points()[names.METRIC_DURATION], key=lambda point: len(point.attributes))
    assert dict(good.attributes) == {"driftline.model.name": "fraud", "driftline.model.version": "1"}
    assert dict(bad.attributes) == {**good.attributes, "error.type": "KeyError"}
    assert (good.count, bad.count) == (1, 1)
    assert good.explicit_bounds == names.DURATION_BOUNDS


def test_duration_knows_its_span(receiver, spans, points):
    """A duration is an exemplar of the span it was measured in, though another thread records it."""
    with driftline.observe("fraud", "1", {"a": 1}):
        pass
    ((point,), (span,)) = points()[names.METRIC_DURATION], spans.get_finished_spans()
    (exemplar,) = point.exemplars
    assert (exemplar.trace_id, exemplar.span_id) == (span.context.trace_id, span.context.span_id)


def test_durations_while_the_sender_is_held_up(receiver, points, monkeypatch):
    """Durations of a receiver's silence are bounded in memory, and none is lost."""
    monkeypatch.setattr(durations, "WAITING", 3)
    receiver.gate.clear()
    for _ in range(2):
        with driftline.observe("fraud", "1", {"a": 1}):
            pass
    assert not driftline.flush(0)
    assert receiver.asked.wait(10)
    for _ in range(10):
        with driftline.observe("fraud", "1", {"a": 1}):
            pass
    (running,) = (outlet.sender for outlet in process._outlets.values() if outlet.sender is not None)
    assert len(running.durations._waiting) == 3
    receiver.gate.set()
    (point,) = points()[names.METRIC_DURATION]
    assert point.count == 12


def test_outputs(receiver):
    """Prediction and scores by class are columns of their own."""
    with driftline.observe("fraud", "1", {"a": 1}, task="classification") as call:
        call.prediction = "no"
        call.score = {"yes": 0.25, "no": 0.5, 3.0: 0.25}
    driftline.flush()
    assert receiver.values("@prediction") == ["no"]
    assert [receiver.values(f"@score.{name}") for name in ("yes", "no", "3")] == [[0.25], [0.5], [0.25]]
    assert receiver.batches[0].task == "classification"


def test_what_changes_later(receiver):
    """Rows are those of the moment of the call, whatever the model or the caller does to them afterwards."""
    array, row, frame = np.ones((2, 2)), {"a": 1.0}, pd.DataFrame({"a": [1.0, 2.0], "t": ["x", "y"]})
    column, predicted = np.array([1.0]), np.array([5.0, 6.0])
    for at, features in enumerate((array, row, frame, {"a": column})):
        with driftline.observe(f"m{at}", "1", features) as call:
            if features is array:
                array += 1
                call.prediction = predicted
    predicted[:] = row["a"] = frame.loc[0, "a"] = column[0] = -1
    frame.loc[1, "t"] = "z"
    driftline.flush()
    by_model = {batch.model: batch.columns for batch in receiver.batches}
    assert by_model["m0"]["x0"].tolist() == [1.0, 1.0]
    assert by_model["m0"]["@prediction"].tolist() == [5.0, 6.0]
    assert by_model["m1"]["a"].tolist() == [1.0]
    assert by_model["m2"]["a"].tolist() == [1.0, 2.0]
    assert by_model["m2"]["t"].texts == ("x", "y")
    assert by_model["m3"]["a"].tolist() == [1.0]


def test_nothing_is_consumed(receiver, points, caplog):
    """A generator reaches the model whole; the call counts by its outputs, and the log says so once."""
    for _ in range(2):
        features = (value for value in (1.0, 2.0, 3.0))
        with driftline.observe("m", "1", features) as call:
            call.prediction = [value * 2 for value in features]
    driftline.flush()
    assert receiver.values("@prediction") == [2.0, 4.0, 6.0] * 2
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "features of m are not sent: builtins.generator is not understood" in caplog.text
    (point,) = points()[names.METRIC_ERRORS]
    assert (dict(point.attributes), point.value) == ({"error.type": "features"}, 2)


@pytest.mark.parametrize(
    ("features", "prediction", "said"),
    [
        (np.zeros((2, 2)), [1.0, 2.0, 3.0], "3 values for 2 rows of features"),
        (np.zeros((2, 2)), object(), "an output of m is not sent: builtins.object is not understood"),
        (np.zeros((2, 2, 2)), [1.0, 2.0], "an array of 3 dimensions is not understood"),
        ({}, 1.0, "an empty dictionary holds no row"),
        ({"a": 1.0, "@prediction": 2.0}, 1.0, "feature '@prediction' is not sent"),
    ],
)
def test_what_is_not_sent(receiver, caplog, features, prediction, said):
    """What cannot be sent is left out by itself, and the log says what and why; the call still counts."""
    with driftline.observe("m", "1", features) as call:
        call.prediction = prediction
    driftline.flush()
    assert said in caplog.text
    assert receiver.batches[0].rows_total == receiver.rows() == (2 if isinstance(features, np.ndarray) else 1)
    assert receiver.batches[0].columns.keys() <= {"x0", "x1", "a", "@prediction", "@latency"}


def test_observe_never_raises(receiver, caplog):
    """A name of no use makes observe record nothing and say so; the block runs."""
    for name in ("", 3, ["unhashable"]):
        with driftline.observe(name, "1", {"a": 1}) as call:
            call.prediction = 1
    assert "records nothing" in caplog.text
    assert driftline.flush()
    assert receiver.rows() == 0


def test_bad_environment(monkeypatch, caplog, receiver):
    """An address mistyped by whoever deploys does not take the service down: it is logged, nothing is observed."""
    monkeypatch.setenv("DRIFTLINE_ENDPOINT", "sidecar:4328")
    model = driftline.instrument(len, name="m", version="1")
    assert model is len
    assert "DRIFTLINE_ENDPOINT: 'sidecar:4328' is no http or https address" in caplog.text


def test_tasks_that_outlive_the_call(receiver):
    """A task started inside a call inherits it; what the task does once the call is over counts."""

    async def later(gate):
        await gate.wait()
        with driftline.observe("m", "1", {"a": 2}):
            pass

    async def main():
        gate = asyncio.Event()
        with driftline.observe("m", "1", {"a": 1}):
            with driftline.observe("m", "1", {"a": 9}):
                pass  # the same model inside itself: counted already
            task = asyncio.create_task(later(gate))
            await asyncio.sleep(0)
        gate.set()
        await task

    asyncio.run(main())
    driftline.flush()
    assert receiver.values("a") == [1, 2]


def test_calls_that_overlap(receiver):
    """Two tasks in the same model at the same time are two calls."""

    async def call(value, barrier):
        with driftline.observe("m", "1", {"a": value}) as observed:
            await barrier.wait()
            observed.prediction = value

    async def main():
        barrier = asyncio.Barrier(3)
        await asyncio.gather(*(call(value, barrier) for value in range(3)))

    asyncio.run(main())
    driftline.flush()
    assert sorted(receiver.values("@prediction")) == [0, 1, 2]
    assert receiver.values("a") == receiver.values("@prediction")


class Broken:
    """Raises whatever is asked of it."""

    def __getattr__(self, name):
        raise RuntimeError(f"broken {name}")


@pytest.mark.parametrize("part", ["tracer", "meter", "buffer", "encoder", "transport", "span end", "all"])
def test_nothing_of_ours_reaches_the_caller(receiver, monkeypatch, part):
    """With any part of driftline raising, predictions are bit-equal and exceptions the model's own."""

    def fail(*_args, **_kwargs):
        raise RuntimeError("broken")

    def linear(x):
        if x is None:
            raise ZeroDivisionError
        return x @ np.arange(x.shape[1])

    model = driftline.instrument(linear, name="m", version="1")
    if part in ("tracer", "all"):
        monkeypatch.setattr(trace, "get_tracer", lambda *_: Broken())
        model = driftline.instrument(linear, name="m", version="1")
    if part in ("meter", "all"):
        monkeypatch.setattr(durations, "histogram", fail)
        monkeypatch.setattr(problems, "_counter", fail)
    if part in ("buffer", "all"):
        monkeypatch.setattr("driftline.instrumentation.buffer.Buffer.reserve", fail)
        monkeypatch.setattr("driftline.instrumentation.buffer.Buffer.add", fail)
    if part in ("encoder", "all"):
        monkeypatch.setattr("driftline.wire.encode", fail)
    if part in ("transport", "all"):
        monkeypatch.setattr("http.client.HTTPConnection.request", fail)
    if part in ("span end", "all"):
        monkeypatch.setattr(trace, "set_span_in_context", fail)
        monkeypatch.setattr(recorder.Call, "_end_span", fail)
    x = np.random.default_rng(0).random((20, 4))
    before = context.get_current()
    for _ in range(3):
        assert np.array_equal(model(x), linear(x))
        with pytest.raises(ZeroDivisionError):
            model(None)
    assert context.get_current() == before
    assert driftline.flush()
    # what does not concern the rows does not keep them from going
    assert receiver.rows("m") == (63 if part in ("tracer", "meter", "span end") else 0)


def test_a_broken_driftline_costs_little(receiver, monkeypatch):
    """With every call of OpenTelemetry and the sender raising, a call costs what a span does, not more."""

    def fail(*_args, **_kwargs):
        raise RuntimeError("broken")

    def cost(work):
        times = []
        for _ in range(5):
            began = time.thread_time()
            for _ in range(200):
                work()
            times.append(time.thread_time() - began)
        return min(times)

    provider = TracerProvider(shutdown_on_exit=False)
    tracer = provider.get_tracer("bench")
    monkeypatch.setattr(trace, "get_tracer", lambda *_: Broken())
    model = driftline.instrument(lambda _: 0.5, name="m", version="1")
    for part in (
        "buffer.Buffer.reserve",
        "durations.Durations.add",
        "problems._counter",
        "process.Outlet.open",
    ):
        monkeypatch.setattr(f"driftline.instrumentation.{part}", fail)
    row = np.ones((1, 50))
    assert model(row) == 0.5
    ratio = cost(lambda: model(row)) / cost(lambda: tracer.start_span("s").end())
    assert ratio < 3  # 0.6 measured
    provider.shutdown()


def test_sidecar_killed(receiver):
    """Predictions go on as before when the sidecar dies between two of them."""
    model = driftline.instrument(lambda x: x * 2, name="m", version="1")
    assert model(np.ones((1, 1))).tolist() == [[2.0]]
    driftline.flush()
    receiver.close()
    assert [model(np.full((1, 1), value)).item() for value in range(50)] == [2 * value for value in range(50)]


@pytest.mark.timeout(30, method="thread")  # what waits for itself cannot be torn down either
@pytest.mark.parametrize("first", [True, False], ids=["the first call", "one like it"])
def test_called_again_from_anywhere_inside(receiver, monkeypatch, first):
    """At whichever step of a call the same thread calls the model again, nothing waits for itself; both calls count."""
    monkeypatch.setattr(buffer, "FULL_ROWS", 1)  # so that each row wakes the sender
    model = driftline.instrument(lambda row: row["a"], name="m", version="1")
    model({"a": 0})

    def step(*_):
        nonlocal steps
        steps += 1
        if steps == at:
            model({"a": -1})

    for at in count(1):
        assert driftline.shutdown(10) if first else driftline.flush(10)  # whoever wakes the sender next, does
        steps = 0
        sys.setprofile(step)
        try:
            model({"a": at})
        finally:
            sys.setprofile(None)
        if steps < at:
            break
    assert driftline.flush(10)
    values = receiver.values("a")
    assert sorted(value for value in values if value >= 0) == list(range(at + 1))
    assert 5 < values.count(-1) < at  # inside the model's own call it counts as that call


def test_a_signal_in_the_midst_of_a_call(receiver):
    """A handler that predicts while its own thread is anywhere in driftline waits for nobody; all rows arrive."""
    model = driftline.instrument(lambda row: row["a"], name="m", version="1")
    handled, main, signals = threading.Semaphore(0), threading.main_thread().ident, 200

    def handler(*_):
        model({"a": -1})
        handled.release()

    def interrupt():
        for _ in range(signals):
            signal.pthread_kill(main, signal.SIGUSR1)
            handled.acquire(timeout=10)

    before = signal.signal(signal.SIGUSR1, handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    at = 0
    while thread.is_alive():
        model({"a": at})
        at += 1
    thread.join()
    signal.signal(signal.SIGUSR1, before)
    assert driftline.flush(10)
    values = receiver.values("a")
    last = receiver.batches[-1]
    assert last.rows_total == len(values) + last.dropped_rows_total
    if not last.dropped_rows_total:
        assert sorted(value for value in values if value >= 0) == list(range(at))
        assert 0 < values.count(-1) <= signals  # inside the model's own call it counts as that call
