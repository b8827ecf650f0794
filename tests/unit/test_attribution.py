"""What drives the score is told from sums that add up, and is numpy's share of the variance."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.baseline import Baseline
from driftline.baseline.bins import digest
from driftline.columns import Coded
from driftline.errors import BaselineError
from driftline.wire import Batch
from watched import PLANS, Watched, baseline, batch

SETTINGS = "environment: prod\nmodels: {risk: {attribution: true}, fraud: {attribution: true}}"
VALUES, SUMS = "driftline_feature_scored_values_total", "driftline_feature_score_sum_total"
SQUARES = "driftline_feature_score_squares_total"
TRAINED = "driftline_feature_baseline_score_explained_ratio"


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
    """Eta squared of the exposed sums is that of the rows, scores cut to the baseline's range: to 1e-8."""
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
        assert found[name] == pytest.approx(correlation_ratio(bins, scores), abs=1e-8)
    assert found["plan"] == pytest.approx(correlation_ratio(data["plan"], scores), abs=1e-8)
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
    """At most 22 series more for each feature, the counters at 0 from the first scrape."""
    found = watch(built, served(rows(50))).scrape()
    mine = {key: v for key, v in found.items() if key[0] in (VALUES, SUMS, SQUARES)}
    assert set(mine.values()) == {0}
    assert len([key for key in mine if ("feature", "amount") in key[1]]) == 21
    assert len([key for key in found if key[0] == TRAINED and ("feature", "amount") in key[1]]) == 1


def test_training_explains_what_numpy_says(built):
    """Eta squared of a baseline's sums is that of its rows, as the sidecar exposes it: to 1e-8."""
    data = rows(5000)
    scores = np.clip(data["score"], *built.features["@score"].range)
    found = watch(built).values(TRAINED)
    shares = {feature: share for (_, feature), share in found.items()}
    assert shares.keys() == {"amount", "age", "plan"}
    for name in ("amount", "age"):
        bins = np.searchsorted(built.features[name].layout.cuts, data[name])
        assert shares[name] == pytest.approx(correlation_ratio(bins, scores), abs=1e-8)
    assert shares["plan"] == pytest.approx(correlation_ratio(data["plan"], scores), abs=1e-8)
    assert shares["amount"] > 0.75


def test_the_rows_of_training_served_again_explain_the_same(built):
    """Training and serving are scaled and summed alike: the same rows give the same sums, and no change."""
    watched = watch(built, served(rows(5000)))
    (track,) = next(iter(watched.monitor.models.values())).tracks.values()
    inputs = [built.features[name].scores for name in ("amount", "age", "plan")]
    assert np.array_equal(track.score_totals.values, np.concatenate([one.values for one in inputs]))
    assert np.array_equal(track.score_totals.sums, np.concatenate([one.sums for one in inputs]))
    assert np.array_equal(track.score_totals.squares, np.concatenate([one.squares for one in inputs]))


def test_where_training_says_nothing(built):
    """No share without asking, of an older file, of too few rows, of equal scores, or of a score that is ignored."""
    ignoring = "environment: prod\nmodels: {risk: {attribution: true, features: {'@score': {ignore: true}}}}"
    few, data = rows(4999), rows(5000)
    half = np.full(5000, 0.5)
    amount = data["amount"]
    silent = {
        "not asked": (built, "environment: prod"),
        "older file": (without_scores(built), SETTINGS),
        "few rows": (Baseline.build(few, model="risk", version="1", score="score"), SETTINGS),
        "one value": (
            Baseline.build({"a": amount, "s": half}, model="risk", version="1", score="s"),
            SETTINGS,
        ),
        "another score": (
            Baseline.build(
                {"a": amount, "s": data["score"], "y": data["age"]},
                model="risk",
                version="1",
                score="s",
                prediction="y",
                task="regression",
            ),
            ignoring,
        ),
    }
    for why, (baseline_, settings) in silent.items():
        assert watch(baseline_, settings=settings).values(TRAINED) == {}, why


def without_scores(built):
    """Return a baseline as a release before this one wrote it."""
    content = json.loads(built.to_json())
    for feature in content["features"]:
        feature.pop("scores", None)
    return Baseline.from_json(resealed(content))


def resealed(content):
    content["id"] = digest({key: value for key, value in content.items() if key not in ("id", "created")})
    return json.dumps(content)


def test_an_older_part_leaves_the_whole_without(built):
    """A share of some of the rows would be taken for that of all: merged with an older part there is none."""
    part = built.part(
        {**rows(100), "@score": rows(100)["score"]} | {"plan": np.array(PLANS, object)[rows(100)["plan"]]}
    )
    older = without_scores(part)
    assert Baseline.merge([part, part]).features["amount"].scores.values.sum() == 200
    assert Baseline.merge([part, older]).features["amount"].scores is None
    assert (
        older.part({name: [] for name in ("amount", "age", "plan", "@score")})
        .features["age"]
        .scores.values.sum()
        == 0
    )


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("scores", [], "scores must be an object"),
        ("squares", None, "scores.squares must be a number"),
        ("values", [1, 2], "scores must be as many as bins"),
        ("values", [10**6] * 10, "scores must be those of counted values"),
        ("sums", [-0.1] * 10, "scores must be those of counted values"),
        ("sums", [1e308] * 10, "scores must be those of counted values"),
        ("squares", 1e308, "scores must be those of counted values"),
        ("squares", 0.0, "scores must be those of counted values"),
    ],
)
def test_scores_that_cannot_be_are_refused(built, key, value, said):
    """Of a file's sums nothing is believed: they are refused by name."""
    content = json.loads(built.to_json())
    amount = content["features"][0]
    (amount if key == "scores" else amount["scores"])[key] = value
    with pytest.raises(BaselineError) as refused:
        Baseline.from_json(resealed(content))
    assert [fault.startswith(f"features[0] 'amount': {said}") for fault in refused.value.faults] == [True]


@given(
    data=st.lists(
        st.tuples(
            st.floats(-1e300, 1e300) | st.just(float("nan")),
            st.sampled_from(("de", "fr", None)),
            st.floats(allow_nan=True, allow_infinity=True, width=32),
        ),
        min_size=1,
        max_size=60,
    ),
    cuts=st.lists(st.integers(0, 60), max_size=4),
    seed=st.integers(0, 99),
)
def test_parts_of_any_rows_are_the_whole(data, cuts, seed):
    """In any order, and in any parts, the sums of the score are the same to the last bit, and so is the id."""
    x, c, s = (list(column) for column in zip(*data, strict=True))
    table = {"x": x, "c": c, "s": np.array(s, np.float32)}
    try:
        whole = Baseline.build(table, model="m", score="s", features=["x", "c"])
    except BaselineError:
        return  # a column holds nothing that could be watched
    order = np.random.default_rng(seed).permutation(len(x))
    shuffled = {"x": [x[i] for i in order], "c": [c[i] for i in order], "s": table["s"][order]}
    assert Baseline.build(shuffled, model="m", score="s", features=["x", "c"]).id == whole.id
    bounds = sorted({0, len(x), *(cut for cut in cuts if cut < len(x))})
    pieces = [{name: values[low:high] for name, values in table.items()} for low, high in pairwise(bounds)]
    merged = Baseline.merge(whole.part(piece, outputs={"@score": "s"}) for piece in pieces)
    for found in (merged, Baseline.from_json(merged.to_json())):
        for name in ("x", "c"):
            mine, wanted = found.features[name].scores, whole.features[name].scores
            assert (mine is None) == (wanted is None)
            if mine is not None and wanted is not None:
                for field in ("values", "sums", "squares"):
                    assert np.array_equal(getattr(mine, field), getattr(wanted, field))


def test_a_file_larger_than_memory_keeps_the_same_sums(tmp_path, monkeypatch):
    """Read in batches, a file gives the sums of all its rows, on bins and a range that its sample told."""
    import pyarrow as pa
    from pyarrow import parquet

    monkeypatch.setattr("driftline.baseline.stream.EXACT_ROWS", 2000)
    monkeypatch.setattr("driftline.baseline.stream.SAMPLE_ROWS", 1000)
    monkeypatch.setattr("driftline.baseline.files.BATCH_ROWS", 700)
    data = rows(6000)
    parquet.write_table(pa.table(data), tmp_path / "train.parquet", row_group_size=700)
    built = Baseline.build(tmp_path / "train.parquet", model="risk", version="1", score="score")
    scores = np.clip(data["score"], *built.features["@score"].range)
    for name in ("amount", "age"):
        feature = built.features[name]
        assert feature.scores.values.sum() == 6000
        wanted = correlation_ratio(np.searchsorted(feature.layout.cuts, data[name]), scores)
        assert feature.scores.explained() == pytest.approx(wanted, abs=1e-8)


def test_a_narrow_score_of_a_wide_range_is_read_in_full():
    """float32 rows of a score that ranges beyond float32 are no infinity."""
    wide = np.linspace(-1e300, 1e300, 500)
    trained = Baseline.build({"a": wide, "s": wide}, model="risk", version="1", score="s")
    one = Batch(model="risk", version="1", rows=2, columns={"a": wide[:2], "@score": np.zeros(2, np.float32)})
    assert sum(watch(trained, one).values(SUMS, feature="a").values()) == pytest.approx(1.0)


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
