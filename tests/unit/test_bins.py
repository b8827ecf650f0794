"""Bins-only mode: the same series as with values, and no value leaves."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import driftline
from driftline import names, wire
from driftline.baseline import Baseline
from driftline.columns import Coded
from driftline.errors import ConfigurationError
from driftline.instrumentation import bins, problems
from driftline.instrumentation.bins import binned
from driftline.sidecar.baselines import Baselines
from driftline.wire import Batch
from watched import START, Watched, baseline, batch, select, table

COMPARED = (
    "driftline_feature_", "driftline_predictions_", "driftline_prediction_errors_", "driftline_sidecar_feature_",
    "driftline_sidecar_window_",
)  # fmt: skip
SECRET, UNSEEN = 4711.0625, "a name nobody may read"


@pytest.fixture(scope="module")
def built():
    return baseline()


def rows(count, shift):
    data = table(count, seed=7, shift=shift)
    data["amount"][:5] = [np.nan, np.inf, SECRET, -SECRET, 0.0]
    data["plan"][:2] = [UNSEEN, None]
    return data


def served(receiver, path, *, count=3000, shift=0.4):
    """Serve rows by values and by bins, each in calls of several sizes; return the batches of both."""
    found = []
    for given in (None, path):
        receiver.batches.clear()
        data = rows(count, shift)
        answers = data.pop("answer")
        for part in np.array_split(np.arange(count), 7):
            with driftline.observe(
                "fraud", "1", {n: c[part] for n, c in data.items()}, baseline=given
            ) as call:
                call.prediction = answers[part]
        with pytest.raises(KeyError), driftline.observe("fraud", "1", {"plan": "pro"}, baseline=given):
            raise KeyError
        driftline.flush(10)
        found.append(list(receiver.batches))
        driftline.shutdown()
    return found


def counted(built, batches):
    watched = Watched(built)
    for one in batches:
        (read,) = wire.decode(wire.encode(one)).batches
        watched.monitor.observe(read)
    watched.scrape()
    watched.clock.now += 1
    watched.monitor.tick()
    return watched.scrape()


def needs_values(name, labels):
    return name.endswith(("_mean", "_stddev")) or labels.get("statistic") == "wasserstein"


def test_the_same_series(receiver, built, tmp_path):
    """Bins, faults, errors and volume are those of the values, and so is every statistic that needs bins alone."""
    by_value, by_bins = (counted(built, batches) for batches in served(receiver, str(built.save(tmp_path))))
    compared = 0
    for (name, labels), value in by_value.items():
        if name.startswith(COMPARED) and not needs_values(name, dict(labels)):
            assert by_bins[name, labels] == pytest.approx(value, rel=1e-12), (name, labels)
            compared += 1
    assert compared > 100
    faults = {
        dict(labels)["fault"]: value
        for (name, labels), value in by_bins.items()
        if name == "driftline_feature_faults_total" and dict(labels)["feature"] in ("amount", "plan")
    }
    assert faults["missing"] > 0 < faults["unseen"]


def test_what_needs_values_is_near(receiver, built, tmp_path):
    """Each value is taken for its bin's mean: W1 and the mean differ by less than a bin is wide."""
    by_value, by_bins = (counted(built, batches) for batches in served(receiver, str(built.save(tmp_path))))
    near = 0
    for (name, labels), value in by_value.items():
        if needs_values(name, dict(labels)):
            assert by_bins[name, labels] == pytest.approx(value, abs=0.05), (name, labels)
            near += 1
    assert near


def test_no_value_leaves(receiver, built, tmp_path, monkeypatch):
    """Neither a number nor a text that no baseline knows is in what is sent, nor ids or entities."""
    bodies = []
    encode = wire.encode
    monkeypatch.setattr(
        wire, "encode", lambda *args, **kwargs: bodies.append(encode(*args, **kwargs)) or bodies[-1]
    )
    with driftline.observe(
        "fraud", "1", {"amount": SECRET, "plan": UNSEEN, "other": UNSEEN},
        ids=UNSEEN, entities=UNSEEN, segments=f"name={UNSEEN}", baseline=str(built.save(tmp_path)),
    ) as call:  # fmt: skip
        call.prediction = SECRET
    driftline.flush(10)
    (body,) = bodies
    assert UNSEEN.encode() not in body
    assert not any(np.array(SECRET, kind).tobytes() in body for kind in ("<f4", "<f8", ">f8"))
    (sent,) = receiver.batches
    assert sent.columns.keys() == {"@latency"}
    assert sent.counts.keys() == {"amount", "plan", "@prediction"}
    assert sent.baseline_id == built.id


@pytest.mark.parametrize("there", [(), ("2",), ("1",)], ids=["learning", "another version", "another of it"])
def test_bins_of_a_baseline_that_the_sidecar_lacks(built, there):
    """Volume, errors and durations count, as of any model that is learning; values do not, and the sender is told."""
    other = Watched(*(baseline(version=version, dataset_version="other") for version in there))
    data = dict(batch(100).columns) | {
        "@error": Coded(np.r_[0, np.full(99, -1)], ("KeyError",)),
        "@latency": np.full(100, 0.5),
    }
    counts, columns = binned(built, data)
    record = Batch(
        model="fraud", version="1", rows=100, columns=columns, counts=counts, baseline_id=built.id,
        stream=b"s" * 16, sequence=0, rows_total=100,
    )  # fmt: skip
    told = other.monitor.observe(record)
    assert told.startswith(
        f"baseline_unknown: model fraud, version 1: the sidecar has no baseline {built.id[:12]} "
    )
    assert other.monitor.observe(record) is None, "sent again it is a duplicate, and nobody's to mend"
    scraped = other.scrape() and other.scrape()
    dropped = select(scraped, "driftline_sidecar_rows_dropped_total")
    assert (dropped["baseline_unknown"], dropped["duplicate"]) == (100, 100)
    assert select(scraped, "driftline_predictions_total", version="1") == {(): 100}
    assert select(scraped, "driftline_prediction_errors_total", version="1")["KeyError"] == 1
    assert select(scraped, "driftline_prediction_duration_seconds_count", version="1") == {(): 100}
    assert select(scraped, "driftline_last_prediction_timestamp_seconds", version="1") == {(): START}
    assert sum(select(scraped, "driftline_feature_values_total").values()) == 0
    assert sum(select(scraped, "driftline_feature_faults_total").values()) == 0
    (state,) = [
        dict(labels)["state"]
        for name, labels in scraped
        if name == "driftline_model_version_info" and dict(labels)["version"] == "1"
    ]
    assert state == ("ready" if "1" in there else "learning")
    other.clock.now += 120
    other.monitor.tick()
    assert other.values("driftline_sidecar_sender_lost_rows_total", version="1") == {(): 0}


def test_a_model_beyond_the_limit_is_told(built):
    """Rows of a model that the sidecar has no room for count nowhere, and their sender is told."""
    watched = Watched(settings="environment: prod\nlimits: {models: 1}")
    assert watched.monitor.observe(Batch(model="a", version="1", rows=5, columns={"x": np.zeros(5)})) is None
    told = watched.monitor.observe(Batch(model="b", version="1", rows=5, columns={"x": np.zeros(5)}))
    assert told.startswith("model_limit: model b, version 1: ")
    assert watched.values("driftline_sidecar_rows_dropped_total", reason="model_limit") == {(): 5}


def test_the_service_hears_of_bins_that_the_sidecar_lacks(built, tmp_path, monkeypatch, caplog):
    """Over the real receiver the warning reaches the service's log, once, and nothing is sent again."""
    watched = Watched()
    monkeypatch.setattr(problems, "_logged", set())
    with watched.listening() as endpoint:
        path = str(built.save(tmp_path))
        model = driftline.instrument(
            lambda _: 1.0, name="fraud", version="1", baseline=path, endpoint=endpoint
        )
        for _ in range(3):
            model({"amount": 0.0, "plan": "pro"})
            assert driftline.flush(10)
    assert caplog.text.count("baseline_unknown: model fraud, version 1: the sidecar has no baseline") == 1
    assert "(1 of 1 records)" in caplog.text
    assert watched.values("driftline_sidecar_rows_dropped_total", reason="baseline_unknown") == {(): 3}
    assert watched.values("driftline_sidecar_requests_total", transport="http") == {"200": 3}
    assert watched.values("driftline_sidecar_sender_dropped_rows_total") == {(): 0}


def by_bins(built, rows=100, **fields):
    counts, columns = binned(built, dict(batch(rows).columns))
    said = {"counts": counts, "columns": columns, "baseline_id": built.id, **fields}
    return Batch(model="fraud", version="1", rows=rows, **said)


def test_a_feature_of_other_bins_is_refused(built):
    """A sender that says it has the baseline and counts on other bins of a feature does not count in silence."""
    watched = Watched(built)
    good = by_bins(built)
    watched.monitor.observe(replace(good, counts={**good.counts, "amount": good.counts["amount"][:-1]}))
    watched.monitor.observe(good)
    assert watched.values("driftline_sidecar_rows_dropped_total", reason="baseline_unknown") == {(): 100}
    assert watched.values("driftline_predictions_total") == {(): 200}
    assert sum(watched.values("driftline_feature_values_total", feature="amount").values()) == 100


def test_rows_left_out_of_bins(receiver, built, tmp_path):
    """Of counts, too, what the sample rate leaves out is predicted, not lost, and in no bin."""
    path = str(built.save(tmp_path))
    for _ in range(50):
        with driftline.observe("fraud", "1", np.zeros((40, 1)), baseline=path, sample_rate=0.25) as call:
            call.prediction = np.zeros(40)
    assert driftline.flush(10)
    watched = Watched(built)
    for sent in receiver.batches:
        assert sent.counts is not None
        watched.monitor.observe(sent)
    left_out = watched.values("driftline_sidecar_sender_left_out_rows_total")[()]
    assert left_out == 2000 - receiver.rows() > 1200
    assert watched.values("driftline_predictions_total") == {(): 2000}
    assert watched.values("driftline_sidecar_sender_dropped_rows_total") == {(): 0}


def test_segments_need_values(built):
    """Rows of which no segment is told are not taken for those of the segment called other."""
    watched = Watched(
        built, settings="environment: prod\nmodels: {fraud: {segments: {plan: [basic], country: [de]}}}"
    )
    watched.monitor.observe(by_bins(built))
    assert set(watched.values("driftline_segment_predictions_total").values()) == {0}
    watched.monitor.observe(batch(100))
    assert watched.values("driftline_segment_predictions_total")["country=other"] == 100


def test_rows_of_counts_have_no_time(built):
    """Which of the counts are those of a late row cannot be told: they count whole."""
    watched = Watched(built)
    late = np.zeros(100, np.int64)
    late[50:] = int(watched.clock.now * 1e9)
    good = by_bins(built)
    watched.monitor.observe(replace(good, columns={**good.columns, "@time": late}))
    assert watched.values("driftline_predictions_total") == {(): 100}
    assert sum(watched.values("driftline_feature_values_total", feature="amount").values()) == 100


def test_a_baseline_that_goes_while_its_counts_come(built, monkeypatch):
    """The rows count, and no value is put into the bins of another baseline."""
    watched = Watched(built)
    other = Baseline.build(table(seed=5), model="fraud", version="1", prediction="answer", task="regression")
    read = watched.monitor._in_time

    def meanwhile(*given):
        watched.monitor.reload(Baselines([(Path("0.json"), other)]))
        return read(*given)

    monkeypatch.setattr(watched.monitor, "_in_time", meanwhile)
    watched.monitor.observe(by_bins(built))
    assert watched.values("driftline_predictions_total") == {(): 100}
    assert set(watched.values("driftline_feature_values_total").values()) == {0}
    assert watched.values("driftline_sidecar_rows_dropped_total", reason="baseline_unknown") == {(): 100}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"baseline_id": None}, "driftline.baseline.id is required"),
        ({"counts": {}}, "holds 1 to"),
        ({"counts": {"amount": np.array([1, 2, 3])}}, "the four faults, then the bins"),
        ({"counts": {"amount": np.array([0, 0, 0, 0, -1])}}, "the four faults, then the bins"),
        ({"counts": {"amount": np.array([0, 0, 0, 0, 11])}}, "more values than"),
        ({"counts": {"amount": np.array([6, 0, 0, 0, 5])}}, "more values than"),
        ({"counts": {"amount": np.array([0, 0, 0, 11, 10])}}, "more values than"),
        ({"counts": {"": np.array([0, 0, 0, 0, 10])}}, "no name"),
    ],
)
def test_broken_counts(change, reason):
    """A record whose counts cannot be is refused whole, and told why; the good one is read as it was sent."""
    good = Batch(
        model="m", version="1", rows=10, columns={}, baseline_id="b", counts={"amount": np.array([1, 2, 0, 3, 4, 3])}
    )  # fmt: skip
    (read,) = wire.decode(wire.encode(good)).batches
    assert read.counts["amount"].tolist() == [1, 2, 0, 3, 4, 3]
    request = wire.decode(wire.encode(replace(good, **change)))
    assert request.batches == ()
    assert reason in str(request.rejected[0])


def test_a_baseline_that_is_not_there(receiver, tmp_path, monkeypatch, caplog):
    """In code it is the developer's error; from the environment nothing is recorded, for no value may leave."""
    with pytest.raises(ConfigurationError, match="has none for fraud 1; it has nothing"):
        driftline.instrument(len, name="fraud", version="1", baseline=str(tmp_path))
    monkeypatch.setenv("DRIFTLINE_BASELINE", str(tmp_path / "absent.json"))
    assert driftline.instrument(len, name="fraud", version="1") is len
    with driftline.observe("fraud", "1", {"amount": 1.0}):
        pass
    assert driftline.flush()
    assert receiver.rows() == 0
    assert "nothing of fraud is recorded" in caplog.text
    assert "absent.json: cannot be read: No such file" in caplog.text
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_folder_of_baselines(receiver, built, tmp_path):
    """Of a folder the model's own version is taken, else the one for any version."""
    built.save(tmp_path)
    anything = baseline(version="*")
    anything.save(tmp_path)
    for version in ("1", "9"):
        model = driftline.instrument(lambda _: 1.0, name="fraud", version=version, baseline=str(tmp_path))
        model({"amount": 0.0})
    driftline.flush(10)
    assert {one.version: one.baseline_id for one in receiver.batches} == {"1": built.id, "9": anything.id}
    assert names.COLUMN_LATENCY in receiver.batches[0].columns


def test_a_broken_file_of_another_model(built, tmp_path, caplog, monkeypatch):
    """It does not stop this model's bins-only mode, and is said once; nor does a baseline that another has twice."""
    monkeypatch.setattr(problems, "_logged", set())
    built.save(tmp_path)
    (tmp_path / "other@1.baseline.json").write_text("{")
    for name in ("one", "two"):
        replace(baseline(), model="third", id="").save(tmp_path / f"{name}.json")
    for _ in range(2):
        assert bins.load(str(tmp_path), ("fraud", "1")).id == built.id
    assert caplog.text.count("other@1.baseline.json: is no JSON") == 1
    with pytest.raises(
        ConfigurationError, match=r"none for other 1; it has fraud 1(.|\n)*other@1\.baseline\.json: is no"
    ):
        bins.load(str(tmp_path), ("other", "1"))


def test_two_baselines_of_one_version(built, tmp_path):
    """Which of them the sidecar would count on is not for the service to guess: both are named, as there."""
    for name in ("a.json", "b.baseline.json"):
        built.save(tmp_path / name)
    baseline(version="*").save(tmp_path)
    with pytest.raises(
        ConfigurationError, match=r"a\.json and .*b\.baseline\.json: both are for model fraud, version 1"
    ):
        bins.load(str(tmp_path), ("fraud", "1"))
    assert bins.load(str(tmp_path), ("fraud", "2")).version == "*"
