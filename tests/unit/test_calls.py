"""Calls that last: generators and coroutines, recorded from the first step to the last and not in between."""

from __future__ import annotations

import asyncio
import functools
import gc
import pickle
import time

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import driftline
from driftline.errors import ConfigurationError


@pytest.fixture
def spans(monkeypatch):
    """Return the spans that ended, of a provider of their own."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


def watched(model, receiver, name="m", **more):
    return driftline.instrument(model, name=name, version="1", endpoint=receiver.endpoint, **more)


def doubled(batches):
    for batch in batches:
        yield [row["a"] * 2 for row in batch]


def batches(*sizes):
    at = iter(range(100))
    return ([{"a": float(next(at))} for _ in range(size)] for size in sizes)


def test_batches_are_read_as_they_are_asked_for(receiver):
    """No batch is taken before the model asks for it, and each is a call."""
    taken = []

    def source():
        for batch in batches(2, 1, 3):
            taken.append(len(batch))
            yield batch

    run = watched(doubled, receiver)(source())
    assert taken == []
    assert next(run) == [0.0, 2.0]
    assert taken == [2]
    assert list(run) == [[4.0], [6.0, 8.0, 10.0]]
    assert driftline.flush()
    assert receiver.values("@prediction") == [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    assert receiver.values("a") == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert [value is not None for value in receiver.values("@latency")] == [
        True,
        False,
        True,
        True,
        False,
        False,
    ]


def test_batches_taken_ahead(receiver):
    """A model that takes the next batch before it answers the last is told apart: each batch gets its own answer."""

    def ahead(batches):
        last = None
        for batch in batches:
            if last is not None:
                yield [row["a"] for row in last]
            last = batch
        yield [row["a"] for row in last]

    assert list(watched(ahead, receiver)(batches(1, 2, 1))) == [[0.0], [1.0, 2.0], [3.0]]
    assert driftline.flush()
    assert receiver.values("a") == receiver.values("@prediction") == [0.0, 1.0, 2.0, 3.0]


def test_nothing_of_a_generator_is_current_between_its_steps(receiver, spans):
    """Within a step the call's span is current, between two steps the caller's is; both runs count."""

    def model(rows):
        for row in rows:
            inside.append(trace.get_current_span().get_span_context().span_id)
            yield row["a"]

    inside = []
    rows = [{"a": 1.0}, {"a": 2.0}]
    run = watched(model, receiver)
    caller = trace.get_current_span()
    first, second = run(rows), run(rows)
    for _ in rows:
        for one in (first, second):
            next(one)
            assert trace.get_current_span() is caller
    assert not [*first, *second]
    ids = [span.context.span_id for span in spans.get_finished_spans()]
    assert inside == [ids[0], ids[1], ids[0], ids[1]]
    assert len(set(ids)) == 2
    assert driftline.flush()
    assert receiver.values("@prediction") == [1.0, 2.0, 1.0, 2.0]


def test_the_caller_has_its_own_time(receiver):
    """What the caller does between two steps is not in the call's duration."""

    def model(rows):
        for row in rows:
            yield row["a"]

    for _ in watched(model, receiver)([{"a": 1.0}, {"a": 2.0}]):
        time.sleep(0.5)
    assert driftline.flush()
    assert receiver.values("@latency")[0] < 0.5


@pytest.mark.parametrize("rows", [1, 2])
def test_pieces_that_are_no_predictions(receiver, rows):
    """A stream of another length than the rows, such as tokens, is passed on and not kept."""

    def tokens(rows):
        yield from ["a"] * 5 * len(rows)

    assert len(list(watched(tokens, receiver)([{"a": 1.0}] * rows))) == 5 * rows
    assert driftline.flush()
    assert receiver.rows() == rows
    assert receiver.values("@prediction") == [None] * rows


def test_send_throw_close(receiver):
    """What is sent and thrown into a generator reaches it, its value comes back, and closing it closes it."""
    seen = []

    def model(rows):
        try:
            seen.append((yield rows[0]["a"]))
            yield 2.0
        except KeyError as error:
            seen.append(error)
            yield 3.0
        finally:
            seen.append("closed")
        return "value"

    def whole(rows):
        return (yield from model(rows))

    rows, error = [{"a": 1.0}], KeyError("mine")
    run = watched(whole, receiver)(rows)
    assert next(run) == 1.0
    assert run.send("sent") == 2.0
    assert run.throw(error) == 3.0
    with pytest.raises(StopIteration) as stop:
        next(run)
    assert stop.value.value == "value"
    assert seen == ["sent", error, "closed"]
    run = watched(whole, receiver)(rows)
    next(run)
    run.close()
    assert seen[3:] == ["closed"]
    assert driftline.flush()
    assert receiver.rows() == 2
    assert set(receiver.values("@error")) == {None}


def test_a_batch_that_fails(receiver):
    """The model's own exception reaches the caller; the batches before it are no errors."""
    error = ValueError("mine")

    def model(batches):
        for batch in batches:
            if len(batch) == 3:
                raise error
            yield [0.0] * len(batch)

    run = watched(model, receiver)(batches(1, 3, 1))
    next(run)
    with pytest.raises(ValueError, match="mine") as caught:
        next(run)
    assert caught.value is error
    assert driftline.flush()
    assert receiver.values("@error") == [None, "ValueError", "ValueError", "ValueError"]


def test_an_abandoned_generator(receiver):
    """A generator that nobody runs to its end is a call without a prediction, and no error."""

    def model(rows):
        for row in rows:
            yield row["a"]

    run = watched(model, receiver)([{"a": 1.0}, {"a": 2.0}])
    next(run)
    del run
    gc.collect()
    assert driftline.flush()
    assert receiver.rows() == 2
    assert receiver.values("@error") == [None, None]


def test_many_asynchronous_generators(receiver):
    """A hundred asynchronous runs at a time, each with its own batches and answers."""

    async def model(batches):
        async for batch in batches:
            await asyncio.sleep(0)
            yield [row["a"] for row in batch]

    async def source(at):
        for step in range(3):
            await asyncio.sleep(0)
            yield [{"a": float(at * 10 + step)}]

    score = watched(model, receiver)

    async def one(at):
        return [part async for part in score(source(at))]

    async def main():
        return await asyncio.gather(*map(one, range(100)))

    found = asyncio.run(main())
    assert found == [[[at * 10.0 + step] for step in range(3)] for at in range(100)]
    assert driftline.flush()
    assert receiver.rows() == 300
    assert receiver.values("a") == receiver.values("@prediction")


def test_an_asynchronous_generator_is_closed(receiver):
    """Closing it reaches the model at once."""
    closed = []

    async def model(rows):
        try:
            for row in rows:
                yield row["a"]
        finally:
            closed.append(True)

    async def main():
        run = watched(model, receiver)([{"a": 1.0}, {"a": 2.0}])
        assert await anext(run) == 1.0
        await run.aclose()

    asyncio.run(main())
    assert closed == [True]
    assert driftline.flush()
    assert receiver.values("@error") == [None, None]


def decide(features):
    return features["a"]


class Holder:
    def predict(self, features):
        return features["a"] + 1


def test_a_decorator_over_an_instrumented_function(receiver):
    """What was put around an instrumented function stays around it when that is instrumented again."""
    inner = watched(decide, receiver, "inner")

    @functools.wraps(inner)
    def outer(features):
        return inner(features) * 10

    model = watched(outer, receiver, "outer")
    assert model({"a": 2.0}) == 20.0
    assert driftline.flush()
    assert {batch.model: batch.rows for batch in receiver.batches} == {"inner": 1, "outer": 1}


def test_functions_pickle_by_their_name(receiver):
    """An instrumented function can be sent to another process, where it is the plain one."""
    model = watched(decide, receiver)
    assert pickle.loads(pickle.dumps(model)) is decide  # noqa: S301 - our own
    assert b"driftline" not in pickle.dumps(model)
    assert (model == decide, hash(model) == hash(decide)) == (True, True)


def test_a_function_in_a_class_is_its_method(receiver):
    """Put into a class, an instrumented function binds as the plain one does."""

    class Service:
        model = watched(lambda self, features: (self, features), receiver)

    service = Service()
    assert service.model({"a": 1.0}) == (service, {"a": 1.0})


@pytest.mark.parametrize("names", [["a", "b"], ("a", "b"), np.array(["a", "b"]), {"a": 0, "b": 1}])
def test_given_names(receiver, names):
    """Names may come in any order that can be read: a list, an array, an index."""
    watched(lambda x: x[:, 0], receiver, feature_names=names)(np.ones((2, 2)))
    assert driftline.flush()
    assert receiver.values("b") == [1.0, 1.0]


@pytest.mark.parametrize("argument", ["feature_names", "classes"])
def test_one_text_is_no_list_of_names(receiver, argument):
    """A text where a list of names belongs is said so, and the model is left alone."""
    with pytest.raises(ConfigurationError, match=f"{argument}: 'amount' is one text; pass a list of names"):
        watched(decide, receiver, **{argument: "amount"})


def test_a_method_called_on_its_class_without_arguments(receiver):
    """What is called wrongly raises what Python raises."""
    model = watched(Holder(), receiver)
    with pytest.raises(TypeError, match="missing 2 required positional arguments"):
        type(model).predict()
