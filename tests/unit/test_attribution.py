"""What drives the score is told from sums that add up, and is numpy's share of the variance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.baseline import Baseline
from driftline.columns import Coded
from driftline.wire import Batch
from watched import PLANS, Watched, baseline, batch

SETTINGS = "environment: prod\nmodels: {risk: {attribution: true}, fraud: {attribution: true}}"
VALUES, SUMS = "driftline_feature_scored_values_total", "driftline_feature_score_sum_total"
SQUARES = "driftline_feature_score_squares_total"


def rows(number, seed=0):
    """Return rows whose score amount drives, plan a little, and age not at all."""
    rng = np.random.default_rng(seed)
    amount, age, plan = rng.normal(size=number), rng.normal(size=number), rng.integers(0, 3, number)
    score = 1 / (1 + np.exp(-(1.5 * amount + 0.4 * plan + 0.5 * rng.normal(size=number))))
    return {"amount": amount, "age": age, "plan": plan, "score": score}


@pytest.fixture(scope="module")
def built():
    table = rows(5000)
    return Baseline.build(
        table | {"plan": np.array(PLANS, object)[table["plan"]]}, model="risk", version="1", score="score"
    )


def served(data, **extra):
    return Batch(
        model="risk",
        version="1",
        rows=len(data["score"]),
        columns={
            "amount": data["amount"],
            "age": data["age"],
            "plan": Coded(data["plan"], PLANS),
            "@score": data["score"],
            **extra,
        },
    )


def watch(built, *batches, settings=SETTINGS):
    watched = Watched(built, settings=settings)
    for one in batches:
        watched.monitor.observe(one)
    return watched


def explained(*watched):
    """Return eta squared of each feature from the series of some sidecars, as the recording rule takes it."""
    found = {}
    for feature in ("amount", "age", "plan"):
        count, total = (
            np.sum([[*one.values(name, feature=feature).values()] for one in watched], axis=0)
            for name in (VALUES, SUMS)
        )
        squares = sum(sum(one.values(SQUARES, feature=feature).values()) for one in watched)
        common = total.sum() ** 2 / count.sum()
        between = sum(t**2 / n for t, n in zip(total, count, strict=True) if n) - common
        found[feature] = between / (squares - common)
    return found


def correlation_ratio(bins, scores):
    """Return numpy's share of the variance of *scores* between *bins*."""
    means = [scores[bins == bin_].mean() for bin_ in np.unique(bins)]
    sizes = [np.count_nonzero(bins == bin_) for bin_ in np.unique(bins)]
    return np.average((np.array(means) - scores.mean()) ** 2, weights=sizes) / scores.var()


def test_the_share_is_numpys(built):
    """Eta squared of the exposed sums is that of the rows, scores cut to the baseline's range: to 1e-9."""
    data = rows(20_000, seed=1)
    found = explained(
        watch(
            built,
            *(served({n: c[part] for n, c in data.items()}) for part in (slice(9000), slice(9000, None))),
        )
    )
    scores = np.clip(data["score"], *built.features["@score"].range)
    for name in ("amount", "age"):
        feature = built.features[name]
        bins = np.searchsorted(feature.layout.cuts, data[name])
        assert found[name] == pytest.approx(correlation_ratio(bins, scores), rel=1e-9, abs=1e-12)
    assert found["plan"] == pytest.approx(correlation_ratio(data["plan"], scores), rel=1e-9)
    assert found["amount"] > 0.75
    assert found["age"] < 0.005
    assert 0.005 < found["plan"] < 0.1


def test_two_sidecars_tell_what_one_does(built):
    """The sums add up; the share is of all rows."""
    data = rows(6000, seed=2)
    parts = [served({n: c[part] for n, c in data.items()}) for part in (slice(1500), slice(1500, None))]
    one, *two = watch(built, *parts), watch(built, parts[0]), watch(built, parts[1])
    assert explained(*two) == pytest.approx(explained(one), rel=1e-9)


def test_what_drives_the_score_is_seen_to_change(built):
    """A model that turns to another feature shows it, though no feature has moved."""
    data = rows(6000, seed=3)
    turned = data | {"score": 1 / (1 + np.exp(-1.5 * data["age"]))}
    found = explained(watch(built, served(turned)))
    assert found["age"] > 0.75
    assert found["amount"] < 0.02


def test_only_rows_with_a_score_and_a_value_count(built):
    """Failed calls, missing scores and values without a bin are in no sum."""
    data = rows(100, seed=4)
    data["score"][:10] = np.nan
    data["amount"][5:20] = np.nan
    failed = Coded(np.where(np.arange(100) >= 90, 0, -1), ("ValueError",))
    watched = watch(built, served(data, **{"@error": failed}))
    assert sum(watched.values(VALUES, feature="amount").values()) == 70
    assert sum(watched.values(VALUES, feature="age").values()) == 80
    assert sum(watched.values(SUMS, feature="age").values()) <= 80


def test_a_regressions_prediction_is_its_score(caplog):
    """Without @score a numeric prediction is attributed; nothing is where there is neither, or nobody asked."""
    watched = watch(baseline(), batch(500), settings=SETTINGS)
    assert sum(watched.values(VALUES, feature="amount").values()) == 500
    assert watched.values(VALUES, feature="@prediction") == {}
    for settings in ("environment: prod", SETTINGS):
        bare = Baseline.build({"amount": np.arange(500.0) % 37}, model="fraud", version="1")
        silent = watch(bare if settings == SETTINGS else baseline(), batch(500), settings=settings)
        assert not [name for name, _ in silent.scrape() if name in (VALUES, SUMS, SQUARES)]
    assert ["nothing to attribute" in record.getMessage() for record in caplog.records].count(True) == 1


def test_the_price_is_known(built):
    """At most 21 series more for each feature, at 0 from the first scrape."""
    found = watch(built, served(rows(50))).scrape()
    mine = {key: v for key, v in found.items() if key[0] in (VALUES, SUMS, SQUARES)}
    assert set(mine.values()) == {0}
    assert len([key for key in mine if ("feature", "amount") in key[1]]) == 21


@given(seed=st.integers(0, 999), scale=st.floats(0.1, 100), shift=st.floats(-100, 100))
def test_the_unit_of_the_score_means_nothing(seed, scale, shift):
    """A score in percent, or a price, is attributed as the same score from 0 to 1."""
    rng = np.random.default_rng(seed)
    amount = rng.normal(size=300)
    score = amount + rng.normal(size=300)
    shares = []
    for scores in (score, score * scale + shift):
        trained = Baseline.build({"amount": amount, "y": scores}, model="risk", version="1", score="y")
        one = Batch(model="risk", version="1", rows=300, columns={"amount": amount, "@score": scores})
        track = next(iter(watch(trained, one).monitor.models.values())).tracks[trained.id]
        sums = track.score_totals
        common = sums.sums.sum() ** 2 / sums.values.sum()
        between = np.sum(sums.sums**2 / sums.values) - common
        shares.append(between / (sums.squares[0] - common))
    assert shares[0] == pytest.approx(shares[1], rel=1e-6)
