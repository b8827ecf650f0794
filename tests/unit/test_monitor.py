"""The monitor counts each batch whole, once, on the right baseline, and says what it did not count."""

from pathlib import Path

import numpy as np
import pytest

from driftline.baseline import Baseline
from driftline.columns import Coded
from driftline.errors import BaselineError
from driftline.sidecar.baselines import Baselines
from driftline.wire import Batch
from watched import START, Watched, baseline, batch, columns, select, table

COUNTED = "driftline_feature_values_total"
FAULTS = "driftline_feature_faults_total"


@pytest.fixture(scope="module")
def built():
    return baseline()


def test_a_declared_model_exists_at_zero(built):
    """Every series of a model with a baseline is there, at 0, before its first row."""
    found = Watched(built).scrape()
    bins = select(found, COUNTED)
    assert len(bins) == sum(len(f.bins) for f in built.features.values())
    assert set(bins.values()) == {0}
    faults = select(found, FAULTS)
    assert len(faults) == 4 * 4
    assert set(faults.values()) == {0}
    assert select(found, "driftline_predictions_total") == {(): 0}
    assert select(found, "driftline_last_prediction_timestamp_seconds") == {}
    assert sum(select(found, "driftline_feature_baseline_ratio", feature="amount").values()) == pytest.approx(
        1
    )


def test_every_value_is_counted_once(built):
    """The bins of a feature add up to its values, prediction included."""
    watched = Watched(built)
    watched.monitor.observe(batch(3000))
    for feature in ("amount", "plan", "member", "@prediction"):
        assert sum(watched.values(COUNTED, feature=feature).values()) == 3000
    assert watched.values("driftline_predictions_total") == {(): 3000}
    assert set(watched.values(FAULTS).values()) <= {0.0} | set(range(20))


def test_psi_is_that_of_the_pooled_rows(built):
    """The local score is the PSI of all rows in the window, to 1e-9, however they were cut into batches."""
    watched = Watched(built)
    rows = columns(5000, seed=3, shift=0.5)
    for part in np.array_split(np.arange(5000), 37):
        watched.monitor.observe(
            Batch(
                model="fraud",
                version="1",
                rows=len(part),
                columns={
                    name: Coded(c.codes[part], c.texts) if isinstance(c, Coded) else c[part]
                    for name, c in rows.items()
                },
            )
        )
        watched.clock.now += 1
    watched.monitor.tick()
    feature = built.features["amount"]
    counts = np.bincount(feature.fold, feature.count(rows["amount"]).values, len(feature.bins))
    o = (counts + 10 * feature.ratios) / 5010
    wanted = float(np.sum((o - feature.ratios) * np.log(o / feature.ratios)))
    found = watched.values("driftline_sidecar_feature_drift", feature="amount", statistic="psi")
    assert found == {"1h": pytest.approx(wanted, abs=1e-9), "24h": pytest.approx(wanted, abs=1e-9)}
    assert wanted > 0.1


def test_float32_scores_what_float64_scores():
    """A column of prices sent as float32 falls into the bins of the float64 ones."""
    rng = np.random.default_rng(5)
    prices = np.round(
        rng.choice([9.99, 14.95, 19.9, 24.99, 29.95, 99.0], 5000) + rng.integers(0, 300, 5000), 2
    )
    built = Baseline.build({"price": prices}, model="fraud", version="1")
    scores = []
    for dtype in (np.float64, np.float32):
        watched = Watched(built)
        sample = prices[:2000].astype(dtype)
        watched.monitor.observe(Batch(model="fraud", version="1", rows=2000, columns={"price": sample}))
        watched.monitor.tick()
        scores.append(watched.values("driftline_sidecar_feature_drift", window="1h")["price", "psi"])
    assert scores[0] == pytest.approx(scores[1], abs=1e-9)


def test_absent_inputs_are_missing_and_absent_outputs_are_not(built):
    """A feature column that is not sent is missing in every row."""
    watched = Watched(built)
    watched.monitor.observe(Batch(model="fraud", version="1", rows=50, columns={"amount": np.zeros(50)}))
    missing = watched.values(FAULTS, fault="missing")
    assert missing == {"amount": 0, "plan": 50, "member": 50, "@prediction": 0}


def test_a_failed_call_has_inputs_and_no_outputs(built):
    """Failed rows count as features, errors and predictions, never as outputs or as missing outputs."""
    watched = Watched(built)
    failed = Coded(np.array([0] * 10 + [-1] * 90, np.int8), ("ValueError",))
    answers = np.r_[np.full(10, np.nan), np.full(90, 10.0)]
    watched.monitor.observe(batch(100, extra={"@error": failed, "@prediction": answers}))
    assert sum(watched.values(COUNTED, feature="amount").values()) == 100
    assert sum(watched.values(COUNTED, feature="@prediction").values()) == 90
    assert watched.values(FAULTS, feature="@prediction", fault="missing") == {(): 0}
    assert watched.values("driftline_prediction_errors_total") == {"ValueError": 10, "other": 0}
    assert watched.values("driftline_predictions_total") == {(): 100}


def test_error_types_are_bounded(built):
    """Twenty kinds have a name, the others are `other`."""
    watched = Watched(built)
    kinds = tuple(f"E{number}" for number in range(30))
    watched.monitor.observe(batch(30, extra={"@error": Coded(np.arange(30, dtype=np.int8), kinds)}))
    found = watched.values("driftline_prediction_errors_total")
    assert len(found) == 21
    assert found["other"] == 10
    assert sum(found.values()) == 30


def test_errors_that_never_arrived_are_known(built):
    """The sender's total of failed rows is followed; their type is not known."""
    watched = Watched(built)
    watched.monitor.observe(
        batch(10, stream=b"s" * 16, sequence=0, rows_total=30, dropped_rows_total=20, error_rows_total=4)
    )
    assert watched.values("driftline_prediction_errors_total") == {"other": 4}
    assert watched.values("driftline_predictions_total") == {(): 30}
    assert watched.values("driftline_sidecar_sender_dropped_rows_total") == {(): 20}
    assert watched.values("driftline_sidecar_sender_lost_rows_total") == {(): 0}


def test_rows_left_out_are_served_and_not_dropped(built):
    """Rows that a setting left out count as predictions, and as no loss."""
    watched = Watched(built)
    watched.monitor.observe(
        batch(
            10, stream=b"s" * 16, sequence=0, rows_total=100, dropped_rows_total=90, left_out_rows_total=85,
            error_rows_total=0,
        )
    )  # fmt: skip
    assert watched.values("driftline_predictions_total") == {(): 100}
    assert watched.values("driftline_sidecar_sender_left_out_rows_total") == {(): 85}
    assert watched.values("driftline_sidecar_sender_dropped_rows_total") == {(): 5}


def test_a_repeated_batch_moves_nothing_but_its_reason(built):
    """A duplicate leaves every other series as it was."""
    watched = Watched(built)
    one = batch(40, stream=b"s" * 16, sequence=0, rows_total=40, dropped_rows_total=0, error_rows_total=0)
    watched.monitor.observe(one)
    before = watched.values(COUNTED)
    watched.monitor.observe(one)
    assert watched.values(COUNTED) == before
    assert watched.values("driftline_predictions_total") == {(): 40}
    dropped = "driftline_sidecar_rows_dropped_total"
    assert watched.values(dropped, model="fraud", version="1", reason="duplicate") == {(): 40}


def test_calls_are_timed(built):
    """The latency histogram counts calls, not rows, in buckets with their upper bound."""
    watched = Watched(built)
    latency = np.full(100, np.nan)
    latency[[0, 30, 50, 70]] = (0.005, 0.2, 0.201, 0.3)  # 0.2 s is what is promised of tier 1
    watched.monitor.observe(batch(100, extra={"@latency": latency}))
    buckets = watched.values("driftline_prediction_duration_seconds_bucket")
    told = {le: buckets[le] for le in ("0.0025", "0.005", "0.1", "0.2", "0.25", "0.5", "+Inf")}
    assert told == {"0.0025": 0, "0.005": 1, "0.1": 1, "0.2": 2, "0.25": 3, "0.5": 4, "+Inf": 4}
    assert watched.values("driftline_prediction_duration_seconds_sum") == {(): pytest.approx(0.706)}
    assert watched.values("driftline_prediction_duration_seconds_count") == {(): 4}


def test_rows_outside_of_time_are_refused_by_reason(built):
    """@time too old or too far ahead keeps a row out of windows and counters, and is counted."""
    watched = Watched(built)
    seconds = np.full(100, START)
    seconds[:7] -= 31 * 86400
    seconds[7:10] += 3600
    watched.monitor.observe(batch(100, extra={"@time": (seconds * 1e9).astype(np.int64)}))
    assert sum(watched.values(COUNTED, feature="amount").values()) == 90
    assert watched.values("driftline_sidecar_rows_dropped_total", reason="time_late") == {(): 7}
    assert watched.values("driftline_sidecar_rows_dropped_total", reason="time_early") == {(): 3}


def test_a_model_without_a_baseline_is_learning():
    """Rows and missing values are counted, no score is given, and one series says so."""
    watched = Watched()
    watched.scrape()
    watched.monitor.observe(
        Batch(model="new", version="7", rows=10, columns={"a": np.r_[np.nan, np.ones(9)], "b": np.ones(10)})
    )
    watched.monitor.tick()
    found = watched.values("driftline_model_version_info")
    assert [labels[-1] for labels in found] == ["learning"]
    assert watched.values("driftline_predictions_total") == {(): 10}
    assert watched.values(FAULTS, fault="missing") == {"a": 1, "b": 0}
    assert watched.values(COUNTED) == {}
    assert watched.values("driftline_sidecar_feature_drift") == {}


def test_unknown_columns_are_counted_and_never_named(built):
    """A column that the baseline does not know adds to one series."""
    watched = Watched(built)
    watched.monitor.observe(
        batch(20, extra={"secret": np.ones(20), "other": np.ones(20), "@id": np.zeros(20, "V16")})
    )
    assert watched.values("driftline_undeclared_values_total") == {(): 40}
    assert b"secret" not in watched.exposition.render()


def test_an_ignored_feature_has_no_series(built):
    """features: {x: {ignore: true}} leaves a feature out, and does not count it as unknown."""
    watched = Watched(
        built, settings="environment: prod\nmodels: {fraud: {features: {amount: {ignore: true}}}}"
    )
    watched.monitor.observe(batch(20))
    assert watched.values(COUNTED, feature="amount") == {}
    assert watched.values("driftline_undeclared_values_total") == {(): 0}


CHECKED, WRONG_TYPE = "driftline_checked_values_total", "driftline_wrong_type_values_total"


def test_values_are_checked_once_over_all_features(built):
    """All that are not missing, unknown categories too; the promise about types needs no series of a bin."""
    watched = Watched(built)
    broken = columns(100)
    broken["amount"] = np.r_[np.full(7, np.inf), np.full(20, np.nan), np.zeros(73)]
    broken["plan"] = Coded(np.zeros(100, np.int8), ("nobody has this",))
    watched.monitor.observe(Batch(model="fraud", version="1", rows=100, columns=broken))
    assert watched.values(CHECKED) == {(): 4 * 100 - 20}
    assert watched.values(WRONG_TYPE) == {(): 7}
    found = watched.scrape()
    in_bins, faults = (sum(select(found, name).values()) for name in (COUNTED, FAULTS))
    out_of_range = sum(select(found, FAULTS, fault="out_of_range").values())
    assert in_bins + faults - out_of_range - 20 == 4 * 100 - 20


def test_what_was_checked_never_falls(built):
    """Not when bins begin anew with another baseline, nor while there is none, nor when the old one comes back."""
    watched = Watched(built)
    retrained = baseline(rows=6000, seed=9)
    seen = []
    for known in ([built], [retrained], [], [built], [built, baseline("2")]):
        watched.monitor.reload(Baselines([(Path(b.id), b) for b in known]))
        watched.monitor.observe(batch(50, extra={"amount": np.full(50, np.inf)}))
        seen.append((watched.values(CHECKED, version="1")[()], watched.values(WRONG_TYPE, version="1")[()]))
    assert seen == [(200, 50), (400, 100), (400, 100), (600, 150), (800, 200)]


def test_the_batchs_baseline_comes_first_then_version_then_any():
    """baseline.id, (model, version), `*`, the newest fallback: in this order."""
    one, two, star = baseline("1"), baseline("2"), baseline("*")
    known = Baselines([(Path("a"), one), (Path("b"), two), (Path("c"), star)])
    assert known.find("fraud", "1", two.id) is two
    assert known.find("fraud", "1") is one
    assert known.find("fraud", "1", "unknown") is one
    assert known.find("fraud", "9") is star
    assert known.find("other", "9") is None


def test_what_a_list_of_baselines_may_name(tmp_path):
    """Folders, one that is not there yet among them, and files whatever their names."""
    baseline("1").save(tmp_path / "folder")
    baseline("2").save(tmp_path / "two.json").rename(tmp_path / "two")
    listed = [tmp_path / name for name in ("folder", "two", "to come")]
    assert [found.version for found in Baselines.load(listed).all] == ["1", "2"]
    baseline("3").save(tmp_path / "to come")
    assert [found.version for found in Baselines.load(listed).all] == ["1", "2", "3"]
    with pytest.raises(BaselineError, match=r"absent\.json: cannot be read: No such file"):
        Baselines.load([tmp_path / "absent.json"])


def test_a_new_baseline_keeps_equal_bins(built):
    """After a retrain on inherited edges the windows go on; counters begin anew and never jump back up."""
    watched = Watched(built)
    watched.monitor.observe(batch(500))
    watched.monitor.tick()
    assert sum(watched.values(COUNTED, feature="amount").values()) == 500
    retrained = baseline(rows=6000, seed=9, shift=0.3, edges_from=built)
    watched.monitor.reload(Baselines([(Path("a"), retrained)]))
    watched.monitor.observe(batch(30))
    seen = [sum(select(watched.scrape(), COUNTED, feature="amount").values()) for _ in range(3)]
    assert seen == [0, 30, 30]
    watched.monitor.tick()
    assert watched.values("driftline_sidecar_window_rows")["1h"] == 530
    assert watched.values("driftline_model_version_info").keys() == {(retrained.id, "", "", "ready")}


@pytest.mark.parametrize(
    "totals", [{}, {"stream": b"s" * 16, "sequence": 0, "rows_total": 100, "error_rows_total": 60}]
)
def test_rows_of_another_time_count_nowhere(built, totals):
    """Neither as served nor as failed, whether or not their sender keeps totals: a backfill is no volume."""
    watched = Watched(built)
    times = np.full(100, watched.clock.now * 1e9).astype(np.int64)
    times[:50] -= 40 * 86_400 * 10**9
    failed = Coded(np.where(np.arange(100) < 60, 0, -1), ("KeyError",))
    watched.monitor.observe(batch(100, extra={"@time": times, "@error": failed}, **totals))
    assert watched.values("driftline_predictions_total") == {(): 50}
    assert watched.values("driftline_prediction_errors_total") == {"KeyError": 10, "other": 0}
    assert sum(watched.values("driftline_feature_values_total", feature="amount").values()) == 50


def test_versions_without_a_baseline_give_way_first(built):
    """A service that names its versions after commits does not take the windows of a nightly job."""
    watched = Watched(built, settings="environment: prod\nlimits: {versions: 2}")
    watched.monitor.observe(batch(100))
    for commit in range(4):
        watched.clock.now += 7200
        watched.monitor.observe(batch(10, version=f"commit{commit}"))
        watched.monitor.tick()
    assert {version for _, version in watched.monitor.models} == {"1", "commit3"}
    assert watched.monitor.models["fraud", "1"].tracks[built.id].rows["24h"] == 100


def test_a_model_that_gives_way_goes_whole():
    """A silent model of two versions frees its name, not one of its versions: the limit counts names."""
    watched = Watched(settings="environment: prod\nlimits: {models: 2}")
    rows = {"x": np.arange(5.0)}

    def came(model, version="1"):
        watched.monitor.observe(Batch(model=model, version=version, rows=5, columns=rows))

    came("many", "1")
    came("many", "2")
    watched.clock.now += 3600
    came("other")
    came("third")
    assert {name for name, _ in watched.monitor.models} == {"other", "third"}
    came("fourth")
    assert {name for name, _ in watched.monitor.models} == {"other", "third"}


def test_limits_hold_and_a_release_finds_room(built):
    """Beyond the limits rows are dropped by reason; a version silent for an hour gives way to a new one."""
    watched = Watched(built, settings="environment: prod\nlimits: {models: 2, versions: 2}")
    for model, version in (("fraud", "2"), ("fraud", "3"), ("b", "1"), ("c", "1")):
        watched.monitor.observe(Batch(model=model, version=version, rows=5, columns={"a": np.ones(5)}))
    assert watched.values("driftline_sidecar_rows_dropped_total", model="", reason="model_limit") == {(): 10}
    watched.clock.now += 7200
    watched.monitor.observe(Batch(model="fraud", version="3", rows=5, columns={"a": np.ones(5)}))
    assert ("fraud", "3") in watched.monitor.models


def test_a_silent_version_leaves_after_the_longest_window():
    """A version without rows for 30 days is no longer shown; one with a baseline stays."""
    watched = Watched(baseline("1"))
    watched.monitor.observe(Batch(model="gone", version="1", rows=5, columns={"a": np.ones(5)}))
    watched.clock.now += 31 * 86400
    watched.monitor.tick()
    assert set(watched.monitor.models) == {("fraud", "1")}


def test_a_version_that_comes_back_begins_at_zero():
    """What left and returns is a new series: shown at 0 before it rises."""
    watched = Watched()
    back = Batch(model="gone", version="1", rows=5, columns={"a": np.ones(5)})
    watched.monitor.observe(back)
    assert watched.values("driftline_predictions_total") == {(): 5}
    watched.clock.now += 31 * 86400
    watched.monitor.tick()
    assert watched.values("driftline_predictions_total") == {}
    watched.monitor.observe(back)
    assert [select(watched.scrape(), "driftline_predictions_total") for _ in range(2)] == [{(): 0}, {(): 5}]


def test_another_environment_and_another_task_are_counted(built):
    """The sidecar's environment and the baseline's task win; a difference is counted."""
    watched = Watched(built)
    watched.monitor.observe(
        batch(5, resource={"deployment.environment.name": "staging"}, task="classification")
    )
    found = watched.values("driftline_sidecar_environment_differs_total")
    assert found == {(): 1}
    assert watched.values("driftline_sidecar_task_differs_total") == {(): 1}
    assert watched.values("driftline_model_info") == {("unowned", "regression", "unknown"): 1}


def test_phi_is_told_from_eight_closed_panes(built):
    """Overdispersion appears with the eighth closed pane that holds rows."""
    watched = Watched(built)
    for pane in range(9):
        watched.monitor.tick()
        name = "driftline_feature_overdispersion"
        assert (watched.values(name, feature="amount", window="1h") != {}) == (pane >= 8)
        watched.monitor.observe(batch(200, seed=pane))
        watched.monitor.tick()
        watched.clock.now += 300
    watched.monitor.tick()
    (phi,) = watched.values(name, feature="amount", window="1h").values()
    assert 1.0 <= phi < 2.0


def test_the_series_budget_of_a_feature_holds(built):
    """At most 40 merged series a feature, and at most 16 of the sidecar's own."""
    watched = Watched(built)
    for pane in range(10):
        watched.monitor.observe(batch(300, seed=pane))
        watched.monitor.tick()
        watched.clock.now += 300
    watched.monitor.tick()
    found = watched.scrape()
    for feature in built.features:
        mine = [name for name, labels in found if ("feature", feature) in labels]
        local = sum(name.startswith("driftline_sidecar_") for name in mine)
        assert local <= 16
        assert len(mine) - local <= 40


def test_local_scores_are_those_of_the_raw_values(built):
    """KS, Wasserstein and the mean from bins and sums are scipy's from the rows, as near as docs say."""
    from scipy.stats import ks_2samp, wasserstein_distance

    watched = Watched(
        built, settings="environment: prod\nstatistics: [kolmogorov_smirnov, wasserstein, mean_shift]"
    )
    rows = columns(20_000, seed=4, shift=0.3)
    watched.monitor.observe(Batch(model="fraud", version="1", rows=20_000, columns=rows))
    watched.monitor.tick()
    train = table()["amount"]
    found = watched.values("driftline_sidecar_feature_drift", feature="amount", window="1h")
    assert found["kolmogorov_smirnov"] == pytest.approx(ks_2samp(train, rows["amount"]).statistic, abs=0.004)
    assert found["wasserstein"] == pytest.approx(
        wasserstein_distance(train, rows["amount"]) / train.std(), abs=0.012
    )
    assert found["mean_shift"] == pytest.approx(0.3, abs=0.03)
    mean = watched.values("driftline_sidecar_feature_mean", feature="amount", window="1h")
    assert mean == {(): pytest.approx(rows["amount"].mean(), abs=0.01)}
    assert watched.values("driftline_sidecar_feature_drift", feature="plan", window="1h") == {}


def test_p_is_told_with_phi(built):
    """Significance comes with the eighth closed pane: small for a shift, not for none."""
    for shift, low, high in ((0.0, 0.001, 1.0), (0.3, 0.0, 1e-6)):
        watched = Watched(built)
        for pane in range(10):
            watched.monitor.observe(batch(500, seed=100 + pane, shift=shift))
            watched.monitor.tick()
            watched.clock.now += 300
        watched.monitor.tick()
        (p,) = watched.values("driftline_sidecar_feature_p_value", feature="amount", window="1h").values()
        assert low <= p <= high


def test_a_nightly_job_has_phi_from_pieces_of_its_burst(built):
    """Rows that all come in one pane a day are judged, too: after a day, from every thousand of them."""
    watched = Watched(built)
    for _ in range(2):
        for part in range(12):
            watched.monitor.observe(batch(1000, seed=part))
        watched.monitor.tick()
        name = "driftline_feature_overdispersion"
        told = watched.values(name, feature="amount", window="24h")
        watched.clock.now += 86_400
        watched.monitor.tick()
    assert list(told.values()) == [pytest.approx(1.0, abs=0.8)]
    fresh = Watched(built)
    for part in range(12):
        fresh.monitor.observe(batch(1000, seed=part))
    fresh.monitor.tick()
    assert fresh.values(name, feature="amount", window="24h") == {}


def test_clusters_are_seen_in_pieces_too(built):
    """Rows that come twenty at a time make phi about twenty, in a burst as in a stream."""
    watched = Watched(built)
    for _ in range(2):
        for part in range(20):
            rows = {name: c for name, c in columns(100, seed=part).items() if name == "amount"}
            clustered = {"amount": np.repeat(rows["amount"], 20)}
            watched.monitor.observe(Batch(model="fraud", version="1", rows=2000, columns=clustered))
        watched.monitor.tick()
        told = watched.values("driftline_feature_overdispersion", feature="amount", window="24h")
        watched.clock.now += 86_400
        watched.monitor.tick()
    (phi,) = told.values()
    assert 12 < phi < 30


@pytest.mark.parametrize("wild", [1e3, 1e6, -1e300])
def test_one_wild_value_owns_no_score(built, wild):
    """Sums are of values cut to the baseline's range: one bad value among 10,000 moves no statistic."""
    watched = Watched(
        built, settings="environment: prod\nstatistics: [psi, kolmogorov_smirnov, wasserstein, mean_shift]"
    )
    rows = columns(10_000, seed=6)
    rows["amount"][77] = wild
    watched.monitor.observe(Batch(model="fraud", version="1", rows=10_000, columns=rows))
    watched.monitor.tick()
    found = watched.values("driftline_sidecar_feature_drift", feature="amount", window="1h")
    assert len(found) == 4
    assert all(abs(score) < 0.05 for score in found.values())
    assert watched.values(FAULTS, feature="amount", fault="out_of_range")[()] >= 1


def test_a_tick_looks_at_what_has_changed(built):
    """Scores stay as they are until rows come or a pane closes, and are then told anew."""
    watched = Watched(built)
    watched.monitor.observe(batch(500))
    watched.monitor.tick()
    (track,) = watched.monitor.models["fraud", "1"].tracks.values()
    before = track.scores
    watched.monitor.tick()
    assert track.scores is before
    watched.monitor.observe(batch(1, seed=2))
    watched.monitor.tick()
    assert track.scores is not before
    before = track.scores
    watched.clock.now += 300
    watched.monitor.tick()
    assert track.scores is not before
