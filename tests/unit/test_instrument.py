"""instrument: a model whose calls are recorded and that is otherwise itself."""

from __future__ import annotations

import asyncio
import copy
import inspect
import io
import pickle
import subprocess
import sys

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import driftline
from driftline.errors import ConfigurationError

X, Y = make_classification(n_samples=200, n_features=5, random_state=0)
X3, Y3 = make_classification(
    n_samples=200, n_features=5, n_classes=3, n_informative=4, n_redundant=0, random_state=0
)


def watched(model, receiver, name="m", **more):
    return driftline.instrument(model, name=name, version="1", endpoint=receiver.endpoint, **more)


def forest():
    return RandomForestClassifier(n_estimators=3, random_state=0).fit(X, Y)


def test_one_call_counts_once(receiver):
    """A predict on 200 rows counts 200 rows, though it calls its own predict_proba."""
    model = watched(forest(), receiver)
    expected = forest().predict(X)
    assert np.array_equal(model.predict(X), expected)
    assert driftline.flush()
    assert receiver.rows() == 200
    assert receiver.values("@prediction") == expected.tolist()
    assert receiver.batches[0].task == "classification"
    assert set(receiver.batches[0].columns) == {"@prediction", "@latency", "x0", "x1", "x2", "x3", "x4"}
    assert receiver.values("x3") == X[:, 3].tolist()


def test_latency_once_a_call(receiver):
    """The latency stands on a call's first row and nowhere else."""
    model = watched(forest(), receiver)
    model.predict(X[:3])
    model.predict(X[:2])
    driftline.flush()
    assert [value is not None for value in receiver.values("@latency")] == [True, False, False, True, False]
    assert all(0 < value < 60 for value in receiver.values("@latency") if value is not None)


def test_probabilities_of_two_classes(receiver):
    """predict_proba of two classes is the score of the second."""
    probabilities = watched(forest(), receiver).predict_proba(X)
    driftline.flush()
    assert receiver.values("@score") == probabilities[:, 1].tolist()


def test_probabilities_of_three_classes(receiver):
    """Of three classes each has its score, by its name."""
    model = watched(LogisticRegression().fit(X3, np.array(["a", "b", "c"])[Y3]), receiver)
    probabilities = model.predict_proba(X3)
    driftline.flush()
    for at, name in enumerate("abc"):
        assert receiver.values(f"@score.{name}") == probabilities[:, at].tolist()


def test_outputs_apart(receiver):
    """A row without a prediction is in no batch with predictions: there it would count as missing."""
    model = watched(forest(), receiver)
    for _ in range(3):
        model.predict(X[:2])
        model.predict_proba(X[:2])
    driftline.flush()
    outputs = [{"@prediction", "@score"} & set(batch.columns) for batch in receiver.batches]
    assert sorted(map(sorted, outputs)) == [["@prediction"], ["@score"]]
    assert receiver.rows() == 12


def test_regressor(receiver):
    """A regressor predicts numbers, and its task is known."""
    model = watched(LinearRegression().fit(X, X[:, 0]), receiver)
    expected = model.predict(X)
    driftline.flush()
    assert receiver.values("@prediction") == expected.tolist()
    assert receiver.batches[0].task == "regression"


def test_feature_names_of_the_estimator(receiver):
    """An array takes the names the estimator was fitted with; a later fit changes them."""
    import pandas as pd

    model = watched(LinearRegression(), receiver)
    for names in ("abcde", "vwxyz"):
        model.fit(pd.DataFrame(X, columns=list(names)), Y)
        with pytest.warns(UserWarning, match="feature names"):
            model.predict(X[:1])
    driftline.flush()
    assert receiver.batches[0].columns.keys() >= set("abcdevwxyz")


def test_itself_otherwise(receiver):
    """isinstance, repr, parameters, signature, names and what fit sets are those of the plain model."""
    plain = RandomForestClassifier(n_estimators=3)
    before = repr(plain)
    model = watched(plain, receiver)
    assert model is plain
    assert isinstance(model, RandomForestClassifier)
    assert repr(model) == before
    assert model.get_params() == RandomForestClassifier(n_estimators=3).get_params()
    assert type(model).__name__ == "RandomForestClassifier"
    assert inspect.signature(model.predict) == inspect.signature(RandomForestClassifier().predict)
    assert model.predict.__doc__ == RandomForestClassifier.predict.__doc__
    assert "_driftline" not in repr(vars(model))
    assert model.fit(X, Y) is model
    assert model.classes_.tolist() == [0, 1]
    assert model.set_params(n_estimators=4).n_estimators == 4


def test_training_serves_nobody(receiver):
    """Training and scoring record nothing, though they may call predict."""

    class Checking(ClassifierMixin, BaseEstimator):
        def fit(self, x, y):
            self.classes_ = np.unique(y)
            self.predict(x)
            return self

        def predict(self, x):
            return np.zeros(len(x), int)

    model = watched(Checking(), receiver).fit(X, Y)
    model.score(X, Y)
    model.predict(X[:1])
    driftline.flush()
    assert receiver.rows() == 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_plain(receiver, protocol):
    """A pickle holds the plain class and not a word of driftline."""
    model = watched(forest(), receiver)
    data = pickle.dumps(model, protocol)
    loaded = pickle.loads(data)  # noqa: S301 - our own
    assert b"driftline" not in data
    assert type(loaded) is RandomForestClassifier
    assert np.array_equal(loaded.predict_proba(X), forest().predict_proba(X))


def test_pickle_loads_without_driftline(receiver, tmp_path):
    """What joblib wrote predicts in a process that cannot import driftline."""
    joblib.dump(watched(LogisticRegression().fit(X, Y), receiver), tmp_path / "model")
    code = (
        "import sys; sys.modules['driftline'] = None\n"
        "import joblib; model = joblib.load(sys.argv[1])\n"
        "print(type(model).__name__, model.predict([[0.0] * 5]).shape)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model")], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["LogisticRegression", "(1,)"]


class Counting:
    """A model that says by itself how it is pickled."""

    def __init__(self, start):
        self.start = start

    def __reduce__(self):
        return type(self), (self.start,)

    def predict(self, x):
        return [self.start] * len(x)


class Named(dict):
    """A model that is a dictionary and takes keyword arguments to be made."""

    def __new__(cls, *, start):
        model = super().__new__(cls)
        model.start = start
        return model

    def __init__(self, *, start):  # noqa: ARG002 - it is __new__ that takes it
        super().__init__()

    def __getnewargs_ex__(self):
        return (), {"start": self.start}

    def predict(self, x):
        return [self.start] * len(x)


class Slotted:
    """A model without a dictionary."""

    __slots__ = ("start",)

    def __init__(self, start):
        self.start = start

    def predict(self, x):
        return [self.start] * len(x)


@pytest.mark.parametrize("make", [Counting, lambda start: Named(start=start), Slotted])
def test_unusual_classes(receiver, make):
    """Classes with their own __reduce__, __new__ or __slots__ are watched, and copied plain."""
    plain = make(7)
    kind = type(plain)
    model = watched(plain, receiver)
    assert isinstance(model, kind)
    assert type(model) is not kind
    assert model.predict([[1.0]]) == [7]
    unpickled = pickle.loads(pickle.dumps(model))  # noqa: S301 - our own
    for other in (unpickled, copy.copy(model), copy.deepcopy(model)):
        assert type(other) is kind
        assert other.predict([[1.0]]) == [7]
    driftline.flush()
    assert receiver.rows() == 1


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, clone])
def test_duplicates_are_plain(receiver, duplicate):
    """copy, deepcopy and clone give the plain model, and its calls are nobody's."""
    model = watched(forest(), receiver)
    other = duplicate(model)
    assert type(other) is RandomForestClassifier
    assert other.get_params() == model.get_params()
    if duplicate is clone:
        assert not hasattr(other, "classes_")
    other.fit(X, Y).predict(X)
    driftline.flush()
    assert receiver.rows() == 0


def test_conditional_methods(receiver):
    """A method that this model does not have is still not there; one that it has is watched."""
    pipeline = watched(make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y), receiver)
    assert not hasattr(pipeline, "predict_proba")
    expected = pipeline.predict(X)
    assert inspect.signature(pipeline.predict) == inspect.signature(make_pipeline(LinearRegression()).predict)
    driftline.flush()
    assert receiver.values("@prediction") == expected.tolist()


def test_instrumented_twice(receiver):
    """Instrumented again, a model counts once, under its new name."""
    model = watched(watched(forest(), receiver, "first"), receiver, "second")
    model.predict(X)
    function = watched(watched(len, receiver, "third"), receiver, "fourth")
    function([[1.0]])
    driftline.flush()
    assert {batch.model: batch.rows for batch in receiver.batches} == {"second": 200, "fourth": 1}
    assert type(copy.copy(model)) is RandomForestClassifier


def test_models_in_models(receiver):
    """Of different models, one calling the other, each counts."""
    inner = watched(forest(), receiver, "inner")
    outer = watched(lambda x: inner.predict(x) + inner.predict(x), receiver, "outer")
    outer(X)
    driftline.flush()
    assert (receiver.rows("inner"), receiver.rows("outer")) == (400, 200)


def test_function(receiver):
    """A function comes back wrapped: name, document and signature stay, features may go by name."""

    def decide(features, *, bias=0.0):
        """Decide."""
        return features["a"] + bias

    model = watched(decide, receiver, task="regression")
    assert (model.__name__, model.__doc__) == ("decide", "Decide.")
    assert inspect.signature(model) == inspect.signature(decide)
    assert model({"a": 1.5, "b": "x"}, bias=1.0) == 2.5
    assert model(features={"a": 2.5, "b": "y"}) == 2.5
    driftline.flush()
    assert receiver.values("a") == [1.5, 2.5]
    assert receiver.values("b") == ["x", "y"]
    assert receiver.values("@prediction") == [2.5, 2.5]
    assert receiver.batches[0].task == "regression"


def test_callable_object(receiver):
    """An object that can be called comes back as a function."""

    class Model:
        weight = 2.0

        def __call__(self, x):
            return x[:, 0] * self.weight

    model = watched(Model(), receiver)
    assert model(X[:2]).tolist() == (X[:2, 0] * 2).tolist()
    driftline.flush()
    assert receiver.rows() == 2


def test_async_function(receiver):
    """A coroutine function stays one; a hundred calls at a time count a hundred rows."""

    async def decide(features):
        await asyncio.sleep(0)
        return features["a"] * 2

    model = watched(decide, receiver)
    assert inspect.iscoroutinefunction(model)

    async def main():
        return await asyncio.gather(*(model({"a": float(at)}) for at in range(100)))

    assert asyncio.run(main()) == [2.0 * at for at in range(100)]
    driftline.flush()
    assert sorted(receiver.values("@prediction")) == [2.0 * at for at in range(100)]


def test_exceptions_pass(receiver):
    """The model's own exception reaches the caller as it is, and every row of its call says so."""
    error = KeyError("mine")

    def decide(features):
        raise error

    model = watched(decide, receiver)
    with pytest.raises(KeyError) as caught:
        model([[1.0], [2.0]])
    assert caught.value is error
    driftline.flush()
    (batch,) = receiver.batches
    assert receiver.values("@error") == ["KeyError", "KeyError"]
    assert (batch.rows_total, batch.error_rows_total) == (2, 2)
    assert "@prediction" not in batch.columns


def test_ignored_features(receiver):
    """An ignored feature does not leave the process."""
    watched(len, receiver, ignore=["ssn"])({"ssn": "123-45-6789", "a": 1.0})
    driftline.flush()
    assert receiver.batches[0].columns.keys() == {"a", "@prediction", "@latency"}


@pytest.mark.parametrize(
    ("model", "arguments", "said"),
    [
        (len, {"name": ""}, "name: '' must be text of 1 to 128 bytes"),
        (len, {"version": "v" * 129}, "version: "),
        (len, {"version": 2}, "version: 2 must be text"),
        (len, {"task": "guessing"}, "task: 'guessing' is none of classification, regression"),
        (len, {"endpoint": "localhost:4328"}, "endpoint: 'localhost:4328' is no http or https address"),
        (3, {}, "model: 3 cannot be watched; pass an object with predict"),
        (RandomForestClassifier, {}, "cannot be watched; pass an object with predict"),
    ],
)
def test_bad_arguments(model, arguments, said):
    """What the developer got wrong is said at once, by name and with the remedy."""
    with pytest.raises(ConfigurationError) as caught:
        driftline.instrument(model, **{"name": "m", "version": "1", **arguments})
    assert said in str(caught.value)


def test_proxies(receiver):
    """Where the class cannot be exchanged, what comes back passes for the model and its calls are recorded."""

    class Final:
        def __init_subclass__(cls):
            raise TypeError("no subclasses")

        def predict(self, x):
            return x[:, 0]

        def __len__(self):
            return 3

    class Patched:
        def __init__(self):
            self.predict = lambda x: x[:, 1]

        def predict(self, x):
            return x

    tree = forest().estimators_[0].tree_  # written in C
    for plain in (Final(), Patched(), tree):
        model = watched(plain, receiver)
        assert model is not plain
        assert isinstance(model, type(plain))
        assert driftline.uninstrument(model) is plain
        x = np.asarray(X, np.float32)
        assert np.array_equal(model.predict(x), plain.predict(x))
    assert driftline.flush()
    assert receiver.rows() == 600
    final = watched(Final(), receiver)
    assert len(final) == 3
    final.limit = 7
    assert driftline.uninstrument(final).limit == 7


def test_disabled(monkeypatch):
    """DRIFTLINE_DISABLED leaves the model alone."""
    monkeypatch.setenv("DRIFTLINE_DISABLED", "true")
    model = forest()
    assert driftline.instrument(model, name="m", version="1") is model
    assert type(model) is RandomForestClassifier


def test_bound_method_pickles(receiver):
    """A bound method of a watched model can be sent to another process."""
    method = pickle.loads(pickle.dumps(watched(forest(), receiver).predict))  # noqa: S301 - our own
    assert type(method.__self__) is RandomForestClassifier
    buffer = io.BytesIO()
    joblib.dump(method, buffer)
    assert b"driftline" not in buffer.getvalue()
