"""What holds for every model of every framework that is installed here."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
import traceback
from functools import partial

import numpy as np
import pytest

import driftline
from frameworks.subjects import SUBJECTS, same

pytestmark = [
    pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS),
    pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning"),
]


def watched(subject, receiver, name="m"):
    return driftline.instrument(
        subject.make(), name=name, version="1", endpoint=receiver.endpoint, **subject.given
    )


def content(features):
    """Return what features hold, to compare it afterwards."""
    if hasattr(features, "get_data"):
        return features.get_data().toarray()
    if hasattr(features, "get_features"):
        return features.get_features()
    return copy.deepcopy(features)


def test_outputs(subject, receiver):
    """An instrumented model gives what the plain one gives, bit by bit, and leaves its input as it was."""
    expected = subject.call(subject.make(), subject.features())
    features = subject.features()
    before = content(features)
    found = subject.call(watched(subject, receiver), features)
    assert same(found, expected)
    assert same(content(features), before)


def test_what_is_sent(subject, receiver):
    """One call counts once, with the features, outputs and task that it has, and nothing else."""
    model = watched(subject, receiver)
    features = subject.features()
    result = subject.call(model, features)
    assert driftline.flush(20)
    rows = len(features) if not hasattr(features, "num_row") else features.num_row()
    if isinstance(features, dict):
        rows = len(next(iter(features.values())))
    assert receiver.rows() == rows
    columns = set(subject.columns or ())
    assert {name for batch in receiver.batches for name in batch.columns} == {
        "@latency",
        *subject.sent,
        *columns,
    }
    for name, value in subject.sent.items():
        expected = value(result)
        if expected is not None:
            assert receiver.values(name) == np.asarray(expected).reshape(-1).tolist()
    assert {batch.task for batch in receiver.batches} == {subject.task}


def test_exceptions(subject, receiver):
    """What the model raises is what the plain one raises, and its traceback ends in the model."""
    with pytest.raises(Exception) as expected:  # noqa: PT011 - the plain model says which
        subject.call(subject.make(), subject.bad)
    with pytest.raises(type(expected.value)) as found:
        subject.call(watched(subject, receiver), subject.bad)
    assert unnumbered(found.value) == unnumbered(expected.value)
    hidden = type(subject.make()).__module__.startswith("keras")  # Keras takes its own frames out
    if len(frames(expected)) > 2 and not hidden:  # and what is written in C has none
        assert frames(found)[-1] == frames(expected)[-1]
    assert driftline.flush(20)
    assert {*receiver.values("@error")} <= {type(expected.value).__qualname__}


def unnumbered(error):
    """Return what *error* says, without clocks, addresses and numbers of layers."""
    return re.sub(r"0x\w+|\d+|\[bt\].*", "", str(error))


def frames(info):
    return [frame.name for frame in traceback.extract_tb(info.tb)]


def test_itself_otherwise(subject, receiver):
    """Class, name, representation, attributes and signature are those of the plain model."""
    plain = subject.make()
    kind, shown, attributes = type(plain), repr(plain), set(dir(plain))
    model = driftline.instrument(plain, name="m", version="1", endpoint=receiver.endpoint, **subject.given)
    assert isinstance(model, kind)
    assert model.__class__.__qualname__ == kind.__qualname__
    assert model.__class__.__module__ == kind.__module__
    assert repr(model) == shown
    assert attributes <= set(dir(model))
    assert callable(model) == callable(driftline.uninstrument(model))
    for said in (
        "iscoroutinefunction",
        "isgeneratorfunction",
        "isasyncgenfunction",
        "isfunction",
        "ismethod",
    ):
        assert getattr(inspect, said)(model) == getattr(inspect, said)(plain)
    assert signature(model) == signature(plain)


def signature(model):
    try:
        return inspect.signature(model)
    except (TypeError, ValueError) as error:
        return type(error)


def clone(model):
    from sklearn.base import clone

    return clone(model)


DUPLICATES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),  # noqa: S301 - our own
    "pickle 2": lambda model: pickle.loads(pickle.dumps(model, 2)),  # noqa: S301 - our own
    "clone": clone,
}


@pytest.mark.parametrize("duplicate", DUPLICATES.values(), ids=DUPLICATES)
def test_duplicates(subject, receiver, duplicate):
    """What is copied, pickled or cloned is what the plain model's would be, and nobody records it."""
    plain = subject.make()
    try:
        expected = duplicate(plain)
    except Exception as error:  # noqa: BLE001 - what the plain model cannot do, the other need not
        with pytest.raises(type(error)):
            duplicate(watched(subject, receiver))
        return
    found = duplicate(watched(subject, receiver))
    assert type(found) is type(expected)
    try:
        result = subject.call(expected, subject.features())
    except Exception:  # noqa: BLE001 - such as of what is cloned and not fitted
        return
    assert same(subject.call(found, subject.features()), result)
    assert driftline.flush(20)
    assert receiver.rows() == 0


def test_a_pickle_does_not_know_driftline(subject, receiver):
    """What is pickled can be loaded where there is no driftline."""
    model = watched(subject, receiver)
    try:
        data = pickle.dumps(model)
    except Exception:  # noqa: BLE001 - test_duplicates compares it with the plain model
        return
    assert b"driftline" not in data


def test_twice(subject, receiver):
    """Instrumented again, a model is recorded once, under its new name; uninstrumented, it is the plain one."""
    plain = subject.make()
    kind = type(plain)
    for name in ("first", "first", "second"):
        model = driftline.instrument(
            plain if name == "first" else model,  # noqa: F821 - bound by the turns before
            name=name,
            version="1",
            endpoint=receiver.endpoint,
            **subject.given,
        )
    subject.call(model, subject.features())
    assert driftline.flush(20)
    assert {batch.model for batch in receiver.batches} == {"second"}
    receiver.batches.clear()
    model = driftline.uninstrument(model)
    assert type(model) is kind
    assert driftline.uninstrument(model) is model
    subject.call(model, subject.features())
    assert driftline.flush(20)
    assert not receiver.batches


def test_models_in_models(subject, receiver):
    """A model that another calls counts beside it, each once."""
    inner = watched(subject, receiver, "inner")
    outer = driftline.instrument(
        partial(subject.call, inner), name="outer", version="1", endpoint=receiver.endpoint
    )
    subject.call(inner, subject.features())
    driftline.flush(20)
    alone = receiver.rows("inner")
    receiver.batches.clear()
    outer(subject.features())
    driftline.flush(20)
    assert receiver.rows("inner") == alone > 0
    assert receiver.rows("outer") > 0


def test_nothing_of_ours_is_in_the_way(subject, receiver, monkeypatch):
    """While everything of driftline's fails, the model gives what it gives."""
    expected = subject.call(subject.make(), subject.features())
    model = watched(subject, receiver)

    def fail(*_, **__):
        raise RuntimeError("driftline failed")

    monkeypatch.setattr("driftline.instrumentation.recorder.read_features", fail)
    monkeypatch.setattr("driftline.instrumentation.frameworks.reading.as_array", fail)
    for step in ("_keep", "_attach", "_detach"):
        monkeypatch.setattr(f"driftline.instrumentation.recorder.Call.{step}", fail)
    assert same(subject.call(model, subject.features()), expected)
