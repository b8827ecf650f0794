"""What holds from training data to scores, however hard the feature is."""

from functools import cache

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import strategies
from driftline.baseline import Baseline
from driftline.columns import take
from driftline.drift import Expected
from driftline.layout import LARGEST_SUM, Layout
from driftline.statistics import STATISTICS
from driftline.window import Window

HUGE = np.array([1.7976931348623157e308] * 3 + [-1.7976931348623157e308] * 3)
TINY = 1e15 + np.arange(0, 8, 0.125)
FEATURES = {
    "constant": np.full(1000, 3.7),
    "zero": np.zeros(1000),
    "tied": np.repeat([1.0, 2.0, 3.0], 400),
    "zero_inflated": np.r_[np.zeros(700), np.geomspace(1, 100, 300)],
    "integer": np.arange(1000.0) % 17,
    "huge": np.linspace(-1, 1, 1000) * 1e300,
    "beyond_int64": 2.0**63 + 2048.0 * np.arange(1000),
    "largest": np.tile(HUGE, 200),
    "tiny_spread": np.tile(TINY, 20),
    "half_missing": np.where(np.arange(1000) % 2, np.nan, np.arange(1000.0)),
    "denormal": np.tile([5e-324, 1e-310, 0.0], 300),
}


def scored(baseline, values, dtype=np.float64):
    """Score *values* on a baseline that went through its file, in ten panes."""
    layout = Layout(Baseline.from_json(baseline.to_json()))
    window = Window(11.0, 1.0, layout.empty(), 0.0)
    for pane, part in enumerate(np.array_split(values.astype(dtype), 10)):
        window.add(layout.count({"x": part}, len(part)))
        window.roll(pane + 1.0)
    return Expected(layout).score(window, STATISTICS)


def sound(score):
    found = [*score.scores.values(), *(x for x in (score.mean, score.stddev, score.p_value) if x is not None)]
    assert np.isfinite(found).all()
    assert score.scores.keys() | {"variance_ratio"} == STATISTICS.keys()
    assert score.overdispersion is None or score.overdispersion >= 1
    assert score.q_value is None or score.p_value <= score.q_value <= 1


@pytest.mark.parametrize("name", FEATURES)
def test_a_hard_feature_has_not_drifted_from_itself(name):
    """Its rows in another order, through file, panes and all statistics, score as the same."""
    values = FEATURES[name]
    baseline = Baseline.build({"x": values}, model="m", features=["x"])
    (score,) = scored(baseline, np.random.default_rng(0).permutation(values))
    sound(score)
    for statistic, found in score.scores.items():
        assert found == pytest.approx(float(statistic == "variance_ratio"), abs=0.05), statistic
    assert ("variance_ratio" in score.scores) == (np.ptp(values[~np.isnan(values)] / 2) > 0)


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("served", FEATURES)
def test_whatever_is_served_to_a_hard_feature_is_scored(name, served):
    """Any of them against any other gives finite scores, and as many as there are statistics."""
    (score,) = scored(Baseline.build({"x": FEATURES[name]}, model="m", features=["x"]), FEATURES[served])
    sound(score)


@given(values=strategies.numeric(), served=strategies.numeric() | strategies.dtyped())
@example(values=HUGE, served=HUGE)
@example(values=np.array([0.0, 5e-324]), served=HUGE)
def test_scores_are_finite(values, served):
    """So with whatever else there is."""
    for score in scored(Baseline.build({"x": values}, model="m", features=["x"]), served):
        sound(score)


@given(values=strategies.numeric())
def test_no_value_no_score(values):
    """Of nothing but missing and infinite values there is no score."""
    baseline = Baseline.build({"x": values}, model="m", features=["x"])
    assert scored(baseline, np.array([np.nan, np.inf, -np.inf] * 20)) == []


SPREADS = {
    "normal": (0.01, 0.02, lambda rng, spread: rng.normal(0, spread, 4000)),
    "uniform": (0.001, 0.002, lambda rng, spread: rng.uniform(-spread, spread, 4000)),
    "exponential": (0.06, 0.1, lambda rng, spread: rng.exponential(spread, 4000)),
    "lognormal": (0.1, 0.15, lambda rng, spread: rng.lognormal(0, spread, 4000)),
    "zero_inflated": (
        0.12,
        0.25,
        lambda rng, spread: rng.lognormal(0, spread, 4000) * (rng.random(4000) < 0.3),
    ),
}


@pytest.mark.parametrize("name", SPREADS)
@given(seed=st.integers(0, 9999), spread=st.sampled_from([0.5, 1.0, 2.0, 3.0]))
def test_the_spread_is_that_of_the_rows(name, seed, spread):
    """Standard deviation and variance ratio are near numpy's of the cut rows, the nearer the lighter the tail."""
    of_stddev, of_ratio, make = SPREADS[name]
    rng = np.random.default_rng(seed)
    train, served = make(rng, 1.0), make(rng, spread)
    baseline = Baseline.build({"x": train}, model="m", features=["x"])
    (score,) = scored(baseline, served)
    cut, known = (np.clip(values, *baseline.features["x"].range) for values in (served, train))
    assert score.stddev == pytest.approx(cut.std(), rel=of_stddev)
    assert score.scores["variance_ratio"] == pytest.approx(cut.var() / known.var(), rel=of_ratio)


@given(
    served=st.dictionaries(st.sampled_from(sorted(FEATURES)), strategies.columns()), rows=st.integers(1, 130)
)
def test_a_batch_is_counted_as_each_of_its_columns_alone(served, rows):
    """Features that are counted side by side hold what each would hold alone: values, sums and faults."""
    layout = side_by_side()
    sent = {
        name: take(column, np.arange(rows) % len(column)) for name, column in served.items() if len(column)
    }
    found = layout.count(sent, rows)
    for number, (feature, place) in enumerate(zip(layout.features, layout.slices, strict=True)):
        if feature.name not in sent:
            assert found.faults[number].tolist() == [rows, 0, 0, 0]
            continue
        alone = feature.count(sent[feature.name])
        assert np.array_equal(found.values[place], alone.values)
        assert np.array_equal(found.faults[number], alone.faults)
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.nan_to_num(alone.sums - alone.values * layout.centres[place], nan=0.0).clip(
                -LARGEST_SUM, LARGEST_SUM
            )
        largest = np.abs(alone.sums).max(initial=1.0)
        assert found.sums[place] == pytest.approx(sums, rel=1e-9, abs=1e-9 * largest)


@cache
def side_by_side():
    built = [Baseline.build({name: values}, model="m", features=[name]) for name, values in FEATURES.items()]
    return Layout(built[0], [feature for each in built for feature in each.features.values()])
