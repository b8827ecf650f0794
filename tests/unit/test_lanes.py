"""Calls like the one before them: a shorter way to the same rows."""

from __future__ import annotations

import threading
from contextlib import suppress
from itertools import product
from operator import length_hint

import numpy as np
import pytest

import driftline
from driftline.instrumentation import buffer, process, recorder
from driftline.instrumentation.buffer import CAPACITY, Buffer
from driftline.instrumentation.recorder import Recorder
from driftline.instrumentation.settings import Settings


def recorder_of(receiver, name="m", **given):
    return Recorder(name, "1", settings=Settings(endpoint=receiver.endpoint, **given))


def call(model, features, prediction=None, *, owner=None, score=None, error=False):
    with suppress(ZeroDivisionError), model.call(features, owner) as observed:
        observed.prediction, observed.score = prediction, score
        if error:
            raise ZeroDivisionError


def used():
    return [each.sender.buffer._used for each in process._outlets.values() if each.sender is not None]


@pytest.mark.parametrize(
    ("features", "prediction"),
    [
        (np.zeros((1, 50)), 0.5),
        (np.zeros(50, np.float32), np.zeros(1, np.float32)),
        ({f"f{number}": 0.5 for number in range(50)}, "yes"),
    ],
    ids=["array", "one dimension", "dictionary"],
)
def test_the_long_way_is_rare(receiver, monkeypatch, features, prediction):
    """Of a thousand calls alike the first alone is read as a new one; all arrive."""
    read = []
    monkeypatch.setattr(
        recorder,
        "read_features",
        lambda *given, _read=recorder.read_features: (read.append(1), _read(*given))[1],
    )
    model = recorder_of(receiver)
    for _ in range(1000):
        call(model, features, prediction)
    assert driftline.flush(10)
    assert len(read) == 1
    assert receiver.rows() == 1000
    assert used() == [0]


class Owner:
    """Knows the names of two features, or of three."""

    def __init__(self, width):
        self.feature_names_in_ = np.array([f"name{at}" for at in range(width)], object)


FEATURES = [
    np.array([[1.0, 2.0]]),
    np.array([[3.0, 4.0]]),
    np.array([5.0, 6.0]),
    np.array([[7.0], [8.0]]),
    np.array(9.0),
    np.zeros((1, 0)),
    *(np.array([[1, 0]]).astype(kind) for kind in ("<f4", ">f8", "<i8", "?")),
    np.ma.masked_array([[1.0, 2.0]], [[True, False]]),
    {"x0": 1.0, "x1": 2},
    {"x1": 3.0, "x0": "text"},
    {"x0": [1.0], "x1": [2.0]},
]
PREDICTIONS = [0.5, 0.5, 1, True, "no", None, [1.0], np.float32(0.5), object()]
PREDICTIONS += [np.ones(1), np.ones(1), np.ones((1, 1)), np.ones(1, np.float32), np.ones(2)]
VARIED = {
    "features": FEATURES,
    "prediction": PREDICTIONS,
    "owner": [None, Owner(2), Owner(2), Owner(3)],
    "score": [None, [[0.25, 0.75]]],
    "error": [False, True],
}


def arrived(receiver):
    """Return the rows by what they hold, and what is said of them all."""
    rows = []
    for batch in receiver.batches:
        columns = [
            (
                name,
                [None if code < 0 else column.texts[code] for code in column.codes]
                if hasattr(column, "codes")
                else column.tolist(),
            )
            for name, column in batch.columns.items()
        ]
        rows += [
            sorted((name, str(values[row])) for name, values in columns if name != "@latency")
            for row in range(batch.rows)
        ]
    last = receiver.batches[-1]
    return sorted(rows), last.rows_total, last.dropped_rows_total, last.error_rows_total


@pytest.mark.parametrize("varied", VARIED)
def test_the_same_rows(receiver, varied):
    """Whatever call follows whichever, the short way sends what the long way would."""
    found = []
    for permit in (Buffer.permit, lambda *_: None):
        receiver.batches.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Buffer, "permit", permit)
            model = recorder_of(receiver)
            for pair in product(VARIED[varied], repeat=2):
                for each in pair:
                    for _ in range(3):
                        call(model, **{"features": FEATURES[0], "prediction": 0.5, varied: each})
            assert driftline.flush(10)
            assert used() == [0]
            driftline.shutdown()
        found.append(arrived(receiver))
    assert found[0] == found[1]


def test_a_copy(receiver):
    """The array stays the caller's: what becomes of it later, or in the model, changes no row."""
    model, features = recorder_of(receiver), np.zeros((1, 2))
    answer = np.zeros(1)
    for at in range(20):
        features[:] = at
        with model.call(features) as observed:
            features += 100
            answer[:] = at
            observed.prediction = answer
    features[:] = answer[:] = -1
    assert driftline.flush(10)
    assert sorted(receiver.values("x0")) == sorted(receiver.values("@prediction")) == list(range(20))


def test_fitted_anew(receiver):
    """A model that was fitted on other columns between two calls gives the names of each."""
    model, owner = recorder_of(receiver), Owner(2)
    for names in (["a", "b"], ["b", "a"]):
        owner.feature_names_in_ = np.array(names, object)
        for _ in range(5):
            call(model, np.array([[1.0, 2.0]]), 0.5, owner=owner)
    assert driftline.flush(10)
    assert receiver.values("a") == [1.0] * 5 + [2.0] * 5


def test_a_call_used_again(receiver):
    """A call that is entered a second time keeps nothing of the first: its row spoils no other."""
    model = recorder_of(receiver)
    for _ in range(3):
        call(model, np.zeros((1, 2)), 0.5)
    again = model.call(np.zeros((1, 2)))
    for _ in range(2):
        with again:
            again.prediction = 0.5
    assert driftline.flush(10)
    assert (receiver.rows(), used()) == (5, [0])


def test_names_that_cannot_be_asked_for_any_more(receiver, monkeypatch):
    """A model that raises where its names are asked for is recorded without features, after calls like it too."""
    model, owner = recorder_of(receiver), Owner(2)
    for _ in range(3):
        call(model, np.zeros((1, 2)), 0.5, owner=owner)
    monkeypatch.setattr(Owner, "feature_names_in_", property(lambda _: 1 / 0), raising=False)
    for _ in range(3):
        call(model, np.zeros((1, 2)), 0.5, owner=owner)
    assert driftline.flush(10)
    assert [value is None for value in receiver.values("name0")] == [False] * 3 + [True] * 3
    assert receiver.values("@prediction") == [0.5] * 6


def test_after_a_shutdown(receiver):
    """Calls like those before a shutdown begin anew, as the first one did."""
    model = recorder_of(receiver)
    for _ in range(3):
        for _ in range(10):
            call(model, np.zeros((1, 2)), 0.5)
        driftline.shutdown()
    assert receiver.rows() == 30


@pytest.mark.parametrize(
    ("features", "answer", "threads"),
    [
        (lambda at: np.array([[float(at), 0.0]]), lambda row: row[0, 0], 16),
        (lambda at: {"x0": at, "x1": "text"}, lambda row: row["x0"], 64),
    ],
    ids=["arrays", "dictionaries"],
)
def test_threads(receiver, features, answer, threads):
    """Every row of threads that call alike arrives, once, and what was reserved is given back."""
    model = driftline.instrument(answer, name="m", version="1", endpoint=receiver.endpoint)
    rows = 6400 // threads

    def work(thread):
        for at in range(thread * rows, (thread + 1) * rows):
            model(features(at))

    running = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert driftline.flush(10)
    assert sorted(receiver.values("x0")) == sorted(receiver.values("@prediction")) == list(range(6400))
    assert max(batch.rows_total for batch in receiver.batches) == 6400
    assert used() == [0]


def test_many_models(receiver):
    """A thousand models of one call or two do not fill the buffer with what they might send next."""
    models = [recorder_of(receiver, f"m{at}") for at in range(buffer.MAX_MODELS)]
    for _ in range(2):
        for model in models:
            call(model, np.zeros((1, 50)), 0.5)
    assert used()[0] < CAPACITY / 4
    assert driftline.flush(30)
    assert receiver.rows() == 2000
    assert {batch.sample_rate for batch in receiver.batches} == {1.0}


def test_a_full_buffer(receiver):
    """While the receiver is silent no lane takes more than there is room for; all rows are said."""
    model = recorder_of(receiver)
    receiver.gate.clear()
    most = 0
    for _ in range(20_000):
        call(model, np.zeros((1, 50)), 0.5)
        most = max(most, *used())
    receiver.gate.set()
    assert driftline.flush(30)
    call(model, np.zeros((1, 50)), 0.5)
    assert driftline.flush(10)
    last = receiver.batches[-1]
    assert CAPACITY / 2 < most <= CAPACITY
    assert last.rows_total == 20_001 == receiver.rows() + last.dropped_rows_total
    assert last.dropped_rows_total > 5_000
    assert min(batch.sample_rate for batch in receiver.batches) < 1
    assert used() == [0]


def test_forms_are_bounded(receiver):
    """A model of many forms reserves for calls to come of those that it remembers, and no more than have come."""
    model = recorder_of(receiver)
    for width in range(1, 30):
        for _ in range(3):
            call(model, np.zeros((1, width)), 0.5)
    assert len(model.lanes) == recorder.MOST_FORMS
    assert sum(length_hint(lane.permits) for _, lane in model.lanes) == 2 * recorder.MOST_FORMS
    assert driftline.flush(10)
    assert (receiver.rows(), used()) == (3 * 29, [0])


def test_lanes_are_bounded(receiver, monkeypatch):
    """Calls of ever new forms are recorded all the same."""
    monkeypatch.setattr(buffer, "MAX_LANES", 3)
    model = recorder_of(receiver)
    for width in range(1, 8):
        for _ in range(4):
            call(model, np.zeros((1, width)), 0.5)
    assert driftline.flush(10)
    assert receiver.rows() == 28
    (queue,) = model.outlet.sender.buffer._queues.values()
    assert len(queue.lanes) == 3


@pytest.mark.parametrize("features", [np.zeros((1, 20_000)), {f"f{at}": "x" for at in range(2000)}])
def test_wide_rows(receiver, features):
    """A row too wide to reserve room for its like is kept by itself."""
    model = recorder_of(receiver)
    for _ in range(3):
        call(model, features, 0.5)
        assert used()[0] < CAPACITY / 4
    assert driftline.flush(10)
    assert receiver.rows() == 3


def test_what_is_limited_goes_the_long_way(receiver):
    """Rows of which a share is sent have no short way: it would send all of them."""
    model = recorder_of(receiver, sample_rate=0.5)
    for _ in range(1000):
        call(model, np.zeros((1, 2)), 0.5)
    assert driftline.flush(10)
    assert model.lanes == ()
    assert 400 < receiver.rows() < 600
