"""From a call to the series: what the rows of each kind of model are counted as, by the real receiver and monitor."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import driftline
from driftline.baseline import Baseline
from watched import Watched

X = np.random.default_rng(0).normal(size=(600, 2))
CLASSES = np.array(["de", "fr", "x"])[np.digitize(X[:, 0], [-0.5, 0.5])]
TABLE = {"x0": X[:, 0], "x1": X[:, 1]}


def predicted(model):
    return {**TABLE, "answer": model.predict(X)}


def counted(baseline, serve, settings="environment: prod"):
    """Serve to a sidecar that knows *baseline*; return it once all rows are there."""
    watched = Watched(*([] if baseline is None else [baseline]), settings=settings)
    with watched.listening() as endpoint:
        serve(endpoint)
        assert driftline.flush(10)
    return watched


def task_of(watched):
    (labels,) = [dict(labels) for name, labels in watched.scrape() if name == "driftline_model_info"]
    return labels["task"]


@pytest.mark.parametrize("known", [True, False], ids=["baseline", "learning"])
def test_classes(known):
    """A classifier of three is one by itself: its answers are categories, and each class has its score."""
    model = LogisticRegression().fit(X, CLASSES)
    scores = model.predict_proba(X)
    table = predicted(model) | {f"s_{name}": scores[:, at] for at, name in enumerate(model.classes_)}
    baseline = Baseline.build(
        table,
        model="m",
        version="1",
        prediction="answer",
        score={name: f"s_{name}" for name in model.classes_},
    )

    def serve(endpoint):
        watched = driftline.instrument(model, name="m", version="1", endpoint=endpoint)
        watched.predict(X)
        watched.predict_proba(X[:100])

    watched = counted(baseline if known else None, serve)
    assert task_of(watched) == "classification"
    assert watched.values("driftline_predictions_total") == {(): 700}
    if known:
        answers = watched.values("driftline_feature_values_total", feature="@prediction")
        said, occurs = np.unique(table["answer"], return_counts=True)
        assert {bin_: rows for (bin_, _), rows in answers.items() if rows} == dict(
            zip(said.tolist(), occurs.tolist(), strict=True)
        )
        for name in model.classes_:
            held = watched.values("driftline_feature_values_total", feature=f"@score.{name}")
            assert sum(held.values()) == 100
        assert sum(watched.values("driftline_feature_faults_total").values()) == 0


def test_numbers():
    """A regression's answers are numbers, by its kind or by the baseline's."""
    model = LinearRegression().fit(X, X @ [1.0, 2.0])
    baseline = Baseline.build(predicted(model), model="m", version="1", prediction="answer")
    watched = counted(
        baseline,
        lambda endpoint: driftline.instrument(model, name="m", version="1", endpoint=endpoint).predict(X),
    )
    assert task_of(watched) == "regression"
    answers = watched.values("driftline_feature_values_total", feature="@prediction")
    assert sum(answers.values()) == 600
    assert len(answers) == 10


@pytest.mark.parametrize("task", ["ranking", "forecasting", "generation"])
def test_a_task_that_is_given(task):
    """What no model says of itself is the caller's to say."""
    watched = counted(
        None,
        lambda endpoint: driftline.instrument(
            lambda x: x[:, 0], name="m", version="1", task=task, endpoint=endpoint
        )(X),
    )
    assert task_of(watched) == task


def test_horizons_are_segments():
    """A forecast's horizon is a segment: rows and bins of each are counted by themselves."""
    baseline = Baseline.build(TABLE, model="m", version="1", task="forecasting")

    def serve(endpoint):
        with driftline.observe(
            "m", "1", {name: column[:300] for name, column in TABLE.items()}, task="forecasting",
            segments=["horizon=1"] * 100 + ["horizon=7"] * 200, endpoint=endpoint,
        ) as call:  # fmt: skip
            call.prediction = X[:300, 0]

    settings = "environment: prod\nmodels: {m: {segments: {horizon: ['1', '7']}}}"
    watched = counted(baseline, serve, settings)
    rows = watched.values("driftline_segment_predictions_total")
    assert {segment: n for segment, n in rows.items() if n} == {"horizon=1": 100, "horizon=7": 200}
    held = watched.values("driftline_segment_feature_values_total", segment="horizon=7", feature="x0")
    assert sum(held.values()) == 200


@pytest.mark.parametrize(
    "features", [object(), (row for row in X), np.zeros((5, 2, 2))], ids=lambda given: type(given).__name__
)
@pytest.mark.parametrize("bins", [True, False], ids=["bins", "values"])
def test_features_of_no_known_kind(tmp_path, monkeypatch, features, bins):
    """They reach the model; its rows and answers count, and that none had a feature is a series for each."""
    baseline = Baseline.build(TABLE | {"answer": X[:, 0]}, model="m", version="1", prediction="answer")
    if bins:
        monkeypatch.setenv("DRIFTLINE_BASELINE", str(baseline.save(tmp_path)))
    seen = []

    def serve(endpoint):
        driftline.instrument(lambda x: seen.append(x) or X[:5, 0], name="m", version="1", endpoint=endpoint)(
            features
        )

    watched = counted(baseline, serve)
    assert seen[0] is features
    assert watched.values("driftline_predictions_total") == {(): 5}
    assert watched.values("driftline_feature_faults_total", fault="missing") == {
        "x0": 5,
        "x1": 5,
        "@prediction": 0,
    }
    assert sum(watched.values("driftline_feature_values_total", feature="@prediction").values()) == 5
