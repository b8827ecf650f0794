"""How sure a classifier is: from its scores, counted so that sidecars add up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from driftline.baseline import Baseline
from driftline.columns import Coded
from driftline.sidecar.confidence import confidence
from driftline.wire import Batch
from watched import Watched, baseline, batch, select

NAME = "driftline_prediction_confidence_ratio"
SETTINGS = "environment: prod\nmodels: {churn: {confidence: 0.6}, m: {confidence: 0.7}}"


@pytest.fixture(scope="module")
def classifier():
    rng = np.random.default_rng(0)
    score = rng.random(3000)
    return Baseline.build(
        {"a": rng.normal(size=3000), "answer": score > 0.5, "p": score},
        model="churn",
        version="1",
        prediction="answer",
        score="p",
    )


def served(score, **extra):
    score = np.asarray(score, float)
    return Batch(
        model="churn",
        version="1",
        rows=len(score),
        columns={"a": np.zeros(len(score)), "@score": score, "@prediction": score > 0.5, **extra},
    )


def test_mean_confidence_and_the_share_of_the_unsure(classifier):
    """The larger side of a binary score: its sum, its count, and how many are at most the configured one."""
    watched = Watched(classifier, settings=SETTINGS)
    assert watched.values(f"{NAME}_bucket") == {"0.6": 0, "+Inf": 0}
    watched.monitor.observe(served([0.1, 0.45, 0.5, 0.6, 0.61, 1.0, np.nan]))
    assert watched.values(f"{NAME}_bucket") == {"0.6": 3, "+Inf": 6}
    assert watched.values(f"{NAME}_sum") == {(): pytest.approx(0.9 + 0.55 + 0.5 + 0.6 + 0.61 + 1.0)}
    assert watched.values(f"{NAME}_count") == {(): 6}


def test_two_sidecars_add_up(classifier):
    """What each of two counted of halves of the rows is, added up, what one counts of all."""
    scores = np.random.default_rng(1).random(500)
    all_rows, *halves = (Watched(classifier, settings=SETTINGS) for _ in range(3))
    all_rows.monitor.observe(served(scores))
    for half, part in zip(halves, np.array_split(scores, 2), strict=True):
        half.monitor.observe(served(part))
    for series in (f"{NAME}_bucket", f"{NAME}_sum", f"{NAME}_count"):
        one, other = (half.values(series) for half in halves)
        assert {le: one[le] + other[le] for le in one} == pytest.approx(all_rows.values(series))


def test_class_balance_and_deciles_are_the_bins_of_the_outputs(classifier):
    """The share of each class and the tenths of the score are counted as any feature's bins."""
    watched = Watched(classifier, settings=SETTINGS)
    watched.monitor.observe(served(np.linspace(0.001, 0.999, 999)))
    values = "driftline_feature_values_total"
    classes = {bin_: n for (bin_, _), n in watched.values(values, feature="@prediction").items()}
    assert classes == {"false": 500, "true": 499}
    tenths = watched.values(values, feature="@score").values()
    assert len(tenths) == 10
    assert all(abs(count - 100) < 25 for count in tenths)


def test_a_failed_call_is_not_unsure(classifier):
    """Who gave no answer has no confidence."""
    watched = Watched(classifier, settings=SETTINGS)
    failed = Coded(np.array([0, -1]), ("ValueError",))
    watched.monitor.observe(served([0.5, 0.9], **{"@error": failed}))
    assert watched.values(f"{NAME}_bucket") == {"0.6": 0, "+Inf": 1}


def test_several_classes_and_a_model_that_is_learning():
    """The largest of a score a class; without a baseline it is told from the first score on, from 0."""
    watched = Watched(settings=SETTINGS)
    scores = {"a": [0.2, 0.5], "b": [0.7, 0.2], "c": [0.1, 0.3]}
    columns = {f"@score.{name}": np.array(values) for name, values in scores.items()}
    watched.scrape()
    watched.monitor.observe(Batch(model="m", version="1", rows=2, columns=columns))
    first, second = watched.scrape(), watched.scrape()
    assert select(first, f"{NAME}_bucket") == {"0.7": 0, "+Inf": 0}
    assert select(second, f"{NAME}_bucket") == {"0.7": 2, "+Inf": 2}
    assert select(second, f"{NAME}_sum") == {(): pytest.approx(1.2)}


def test_a_regression_has_none():
    """Only a classifier is sure or unsure; without `confidence:` the mean is told alone."""
    watched = Watched(baseline())
    watched.monitor.observe(batch(50, extra={"@score": np.full(50, 0.4)}))
    assert watched.values(f"{NAME}_count") == {}
    watched.monitor.observe(Batch(model="m", version="1", rows=1, columns={"@score": np.array([0.75])}))
    assert watched.values(f"{NAME}_bucket") == {"+Inf": 1}


shares = arrays.arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(1, 30)), elements=st.floats(0, 1))


@given(scores=shares, missing=st.floats(0, 1), seed=st.integers(0, 99))
def test_confidence_is_the_largest_share(scores, missing, seed):
    """Of any scores that are shares it is at least every one of them, and of one at least a half."""
    scores[np.random.default_rng(seed).random(scores.shape) < missing] = np.nan
    found = confidence({f"@score.{number}": row for number, row in enumerate(scores)})
    told = ~np.isnan(scores).all(axis=0)
    assert found.tolist() == [column[~np.isnan(column)].max() for column in scores.T[told]]
    single = confidence({"@score": scores[0]})
    assert ((single >= 0.5) & (single <= 1)).all()
    assert len(single) == np.count_nonzero(~np.isnan(scores[0]))


def test_a_margin_is_no_confidence():
    """Scores beyond 0 and 1 tell none; float32 may round a share a little beyond 1."""
    assert confidence({"@score": np.array([-3.0, 4.0, 1.5])}).tolist() == []
    assert confidence({"@score.a": np.array([0.5, 0.5]), "@score.b": np.array([-1.0, 0.4])}).tolist() == [0.5]
    assert confidence({"@score": np.array([1.0000001], np.float32)}).tolist() == [1.0]
    assert confidence({}).tolist() == []
