"""Which models of a service are recorded without a line of code, and under what names."""

from __future__ import annotations

import atexit
import gc
import threading

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import RandomForestClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import driftline
from driftline.instrumentation import frameworks
from driftline.instrumentation.instrumentor import DriftlineInstrumentor

X = np.random.default_rng(0).normal(size=(40, 2))
Y = (X[:, 0] > 0).astype(int)
NAMED = {"DRIFTLINE_MODEL_NAME": "m"}


def arrived(receiver):
    """Return how many rows of each model arrived since this was asked last."""
    assert driftline.flush()
    rows = {batch.model: receiver.rows(batch.model) for batch in receiver.batches}
    receiver.batches.clear()
    return rows


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("DRIFTLINE_TASK", "guess", "no model is watched: task: 'guess' is none of"),
        ("DRIFTLINE_MODELS", "A=@1", "no model is watched: name: '' must be text"),
        ("DRIFTLINE_MODELS", "Pipeline", "'Pipeline' names no model, write Pipeline=fraud@2.3.1"),
    ],
)
def test_a_typing_error(zero_code, caplog, name, value, said):
    """It keeps no other library from being instrumented: what raises here ends OpenTelemetry's round."""
    before = dict(vars(BaseEstimator))
    zero_code(**{name: value} if name == "DRIFTLINE_MODELS" else {**NAMED, name: value})
    assert dict(vars(BaseEstimator)) == before
    assert said in caplog.text


def test_a_class_that_is_not_there_is_told_at_the_end(zero_code, caplog, monkeypatch):
    """A name that is misspelt records nothing: once there were models and all is over, it is said."""
    at_end = []
    monkeypatch.setattr(atexit, "register", at_end.append)
    zero_code(DRIFTLINE_MODELS="Pipelin=fraud@1, LogisticRegression=a@1")
    assert not caplog.records
    at_end[0]()
    assert [line.getMessage() for line in caplog.records] == [
        "DRIFTLINE_MODELS: there was no class Pipelin here, nothing was recorded as fraud; is the name right?"
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (NAMED, "m is called unversioned: give the version of its baseline, DRIFTLINE_MODEL_VERSION"),
        (
            {"DRIFTLINE_MODELS": "Pipeline=m"},
            "give the version of its baseline, DRIFTLINE_MODELS: Pipeline=m@2.3.1",
        ),
    ],
)
def test_a_version_that_is_not_given_is_asked_for(zero_code, caplog, given, said):
    """No baseline is of what has no version: it would go on learning for ever."""
    zero_code(**given)
    assert said in caplog.text


def test_a_typing_error_loses_no_other_model(zero_code, receiver):
    """What is written well beside it holds."""
    zero_code(DRIFTLINE_MODELS="Pipeline, LogisticRegression=a@1,")
    LogisticRegression().fit(X, Y).predict(X)
    assert arrived(receiver) == {"a": 40}


def test_one_name_is_of_the_outermost_call(zero_code, receiver):
    """Under one name an ensemble, its pipelines and their estimators are one model; so is a block around them."""
    zero_code(**NAMED)
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    model = StackingClassifier([("a", inner), ("b", LogisticRegression())], cv=2).fit(X, Y)
    model.predict(X)
    with driftline.observe("other", "1", X) as call:
        call.prediction = model.predict(X)
    by_hand = driftline.instrument(make_pipeline(LogisticRegression()).fit(X, Y), name="mine", version="1")
    by_hand.predict(X)
    assert arrived(receiver) == {"m": 40, "other": 40, "mine": 40}


@pytest.mark.parametrize("named", [NAMED, {"DRIFTLINE_MODELS": "BaseEstimator=m"}], ids=["one", "by class"])
def test_threads_of_a_model_are_a_part_of_its_call(zero_code, receiver, named):
    """A forest that asks its trees in threads of their own is one model: within others, by hand, in training."""
    zero_code(**named)
    forest = RandomForestClassifier(5, n_jobs=2)
    model = GridSearchCV(make_pipeline(StandardScaler(), forest), {}, cv=2).fit(X, Y)
    model.predict(X)
    assert arrived(receiver) == {"m": 40}
    best = model.best_estimator_[-1]
    best.predict_proba(X)
    best.estimators_[0].predict(X)  # nobody else's part now
    assert arrived(receiver) == {"m": 80}
    if named is NAMED:
        with driftline.observe("other", "1", X):
            best.predict(X)
        driftline.instrument(best, name="mine", version="1").predict(X)
        assert arrived(receiver) == {"other": 40, "mine": 40}


def test_a_model_asked_by_two_threads(zero_code, receiver):
    """Each thread's call counts, though the model is a part of itself, as it is where a part knows what it is of."""
    both = threading.Barrier(2)

    class Meeting(LogisticRegression):
        def predict(self, rows):
            both.wait(10)
            return super().predict(rows)

    zero_code(**NAMED)
    model = Meeting().fit(X, Y)
    model.part_ = LogisticRegression()
    model.part_.whole_ = model
    threads = [threading.Thread(target=model.predict, args=(X,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert arrived(receiver) == {"m": 80}


def test_a_name_given_by_hand_holds(zero_code, receiver):
    """A model that was recorded by its class's name already has its own from then on, and no other beside it."""
    zero_code(DRIFTLINE_MODELS="LogisticRegression=auto@1")
    model = LogisticRegression().fit(X, Y)
    model.predict(X)
    driftline.instrument(model, name="mine", version="1").predict(X)
    assert arrived(receiver) == {"auto": 40, "mine": 40}
    driftline.uninstrument(model).predict(X)
    assert arrived(receiver) == {"auto": 40}


def test_named_models_count_beside_each_other(zero_code, receiver):
    """A model that another one calls has its own name, where the classes of both are named; no others are recorded."""
    zero_code(DRIFTLINE_MODELS="Pipeline=outer@1, sklearn.linear_model.LogisticRegression=inner@2")
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)
    model.predict(X)
    assert arrived(receiver) == {"outer": 40, "inner": 40}
    model[-1].predict_proba(X)
    LogisticRegression().fit(X, Y).score(X, Y)
    StackingClassifier([("a", StandardScaler())], cv=2)
    assert arrived(receiver) == {"inner": 40}


def test_the_nearest_name_counts(zero_code, receiver):
    """A class that derives from a named one goes by that name, unless it has one of its own: never by both."""
    zero_code(DRIFTLINE_MODELS="LogisticRegression=near, sklearn.LogisticRegressionCV=nearer, Mixin=far")
    settings = {"l1_ratios": (0,), "use_legacy_attributes": False, "scoring": "accuracy"}
    LogisticRegressionCV(cv=2, **settings).fit(X, Y).predict_proba(X)
    assert arrived(receiver) == {"nearer": 40}

    class Mine(LogisticRegression):
        def predict(self, x):
            return super().predict(x)

    Mine().fit(X, Y).predict(X)
    assert arrived(receiver) == {"near": 40}


def test_a_model_that_is_fitted_anew(zero_code, receiver):
    """What is known of a model is read again after its training, and is gone with the model."""
    zero_code(**NAMED)
    (patches,) = (each for each in DriftlineInstrumentor()._patches if each.module == "sklearn.base")
    model = LogisticRegression().fit(X, Y)
    model.predict_proba(X)
    assert id(model) in patches._known
    model.fit(X, np.digitize(X[:, 0], [-0.5, 0.5]))
    assert not patches._known
    model.predict_proba(X)
    assert arrived(receiver) == {"m": 80}
    assert len(patches._known) == 1
    del model
    gc.collect()
    assert not patches._known


def test_what_is_no_method_stays(zero_code):
    """An attribute or property that is called like a method of scikit-learn's is what it was."""

    class Own(ClassifierMixin, BaseEstimator):
        score = 0.5

        def predict(self, x):
            return x

        @property
        def fit_predict(self):
            return "no method"

    zero_code(**NAMED)

    class Later(Own):
        pass

    for model in (Own(), Later(), driftline.instrument(Own(), name="m", version="1")):
        assert (model.score, model.fit_predict) == (0.5, "no method")
    with pytest.raises(AttributeError, match="predict_proba"):
        Later().predict_proba(X)


def test_a_framework_that_has_changed(zero_code, receiver, monkeypatch, caplog):
    """It stays as it is, which is said once, and the others are recorded."""
    changed = frameworks.FRAMEWORKS["sklearn"]._replace(root="sklearn.pipeline:Pipe")
    monkeypatch.setitem(frameworks.FRAMEWORKS, "pipelines", changed)
    zero_code(**NAMED)
    make_pipeline(LogisticRegression()).fit(X, Y).predict(X)
    assert arrived(receiver) == {"m": 40}
    assert caplog.text.count("pipelines is left as it is") == 1


def test_a_class_that_refuses(zero_code, receiver, caplog):
    """It stays as it is, and so do the methods of it that let themselves be replaced; the others are recorded."""

    class Refusing(type(BaseEstimator)):
        def __setattr__(cls, name, value):
            if name == "fit":
                raise TypeError(name)
            super().__setattr__(name, value)

    class Refused(BaseEstimator, metaclass=Refusing):
        def fit(self):
            return self

        def predict(self, x):
            return x

    before = dict(vars(Refused))
    zero_code(**NAMED)
    assert dict(vars(Refused)) == before

    class Later(Refused):
        def predict(self, x):
            return x

    Later().predict(X)
    LogisticRegression().fit(X, Y).predict(X)
    assert arrived(receiver) == {"m": 40}
    assert caplog.text.count(f"{Refused.__qualname__} is left as it is") == 1


def test_what_cannot_be_read(zero_code, receiver, monkeypatch, caplog):
    """A model that cannot be read predicts as before, which is said once."""

    def fail(model):
        raise OSError(model)

    monkeypatch.setitem(
        frameworks.FRAMEWORKS, "sklearn", frameworks.FRAMEWORKS["sklearn"]._replace(read=fail)
    )
    expected = LogisticRegression().fit(X, Y).predict(X)
    zero_code(**NAMED)
    model = LogisticRegression().fit(X, Y)
    assert [*model.predict(X)] == [*model.predict(X)] == [*expected]
    assert arrived(receiver) == {}
    assert caplog.text.count("calls of a LogisticRegression are not recorded") == 1


def test_a_call_without_a_model(zero_code):
    """What is wrong with a call is said by the class that is called."""
    zero_code(**NAMED)
    with pytest.raises(TypeError, match="self"):
        LogisticRegression.predict()
    with pytest.raises(TypeError, match="missing"):
        LogisticRegression.fit()


def test_copies_are_recorded(zero_code, receiver):
    """A clone is of a class that is recorded, and no class has changed its face."""
    zero_code(**NAMED)
    model = clone(LogisticRegression()).fit(X, Y)
    assert type(model) is LogisticRegression
    assert LogisticRegression.predict.__qualname__ == "LinearClassifierMixin.predict"
    model.predict(X)
    assert arrived(receiver) == {"m": 40}


def test_nothing_of_ours_is_in_the_way(zero_code, monkeypatch):
    """While everything that decides what is recorded fails, models predict and are trained, and classes are made."""
    expected = LogisticRegression().fit(X, Y).predict(X)

    def fail(*_):
        raise RuntimeError("driftline failed")

    zero_code(**NAMED)
    model = LogisticRegression().fit(X, Y)
    for step in ("is_part", "known", "_replace"):
        with monkeypatch.context() as broken:
            broken.setattr(f"driftline.instrumentation.instrumentor._Patches.{step}", fail)
            assert [*model.fit(X, Y).predict(X)] == [*expected]

            class Later(LogisticRegression):
                def predict(self, x):
                    return super().predict(x)

            assert [*Later().fit(X, Y).predict(X)] == [*expected]
    with monkeypatch.context() as broken:
        broken.setattr("driftline.instrumentation.calls.Watch.tell", fail)
        assert [*model.predict(X)] == [*expected]
