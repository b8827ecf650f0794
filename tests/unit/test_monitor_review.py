"""What a review by fresh eyes found in the sidecar, each held by a test."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

from driftline import names
from driftline.baseline import Baseline
from driftline.columns import Coded
from driftline.layout import Layout
from driftline.sidecar.baselines import Baselines
from driftline.sidecar.state import StateFolder
from driftline.window import PIECES, Pieces
from driftline.wire import Batch
from watched import START, Clock, Watched, baseline, batch, columns, select, table

COUNTED = "driftline_feature_values_total"


@pytest.fixture(scope="module")
def built():
    return baseline()


def test_a_task_is_one_of_those_there_are():
    """What a sender says of its task cannot break the exposition: an unknown one is none."""
    watched = Watched()
    for task in ('a"b', "x\ny", "classification"):
        watched.monitor.observe(Batch(model="m", version=task, rows=1, columns={"a": np.ones(1)}, task=task))
    found = watched.scrape()
    tasks = {dict(labels)["task"] for name, labels in found if name == "driftline_model_info"}
    assert tasks == {"", "classification"}


def test_predictions_are_told_by_the_worlds_time(built):
    """The clock that never steps back orders panes; @time and the last prediction go by the wall's."""
    watched = Watched(built)
    watched.monitor.wall = Clock(START + 1200)
    times = np.full(10, (START + 1200) * 1e9, np.int64)
    watched.monitor.observe(batch(10, extra={"@time": times}))
    assert watched.values("driftline_last_prediction_timestamp_seconds") == {(): START + 1200}
    assert watched.values("driftline_sidecar_rows_dropped_total") == dict.fromkeys(names.DROPPED_REASONS, 0)


def test_rows_refused_by_time_are_no_predictions(built):
    """Without totals of the sender, only rows that are counted were served."""
    watched = Watched(built)
    times = np.full(10, START * 1e9)
    times[:4] -= 60 * 86400e9
    watched.monitor.observe(batch(10, extra={"@time": times.astype(np.int64)}))
    assert watched.values("driftline_predictions_total") == {(): 6}


def test_counters_fall_to_zero_or_not_at_all(built):
    """When a version moves from a baseline for any version to its own, its counters begin anew."""
    star = baseline("*")
    watched = Watched(star)
    watched.monitor.observe(batch(2000))
    own = baseline(rows=5000, seed=3, edges_from=star)
    seen = []
    for step in range(6):
        if step == 3:
            watched.monitor.reload(Baselines([(Path("a"), star), (Path("b"), own)]))
            watched.monitor.observe(batch(500))
        seen.append(sum(select(watched.scrape(), COUNTED, feature="amount").values()))
    assert seen == [0, 2000, 2000, 0, 500, 500]
    watched.monitor.tick()
    assert watched.values("driftline_sidecar_window_rows")["1h"] == 2500


def test_the_mean_survives_a_new_baseline(built):
    """Sums are kept relative to the baseline's centres, and follow when these move."""
    watched = Watched(built)
    rows = columns(5000, seed=8, shift=0.2)
    watched.monitor.observe(Batch(model="fraud", version="1", rows=5000, columns=rows))
    watched.monitor.tick()
    moved = Baseline.build(
        table(5000, seed=4, shift=0.4), model="fraud", version="1", prediction="answer", edges_from=built
    )
    watched.monitor.reload(Baselines([(Path("a"), moved)]))
    watched.monitor.tick()
    mean = watched.values("driftline_sidecar_feature_mean", feature="amount", window="1h")
    assert mean == {(): pytest.approx(rows["amount"].mean(), abs=0.01)}


def test_windows_of_two_baselines_find_their_own_again(tmp_path):
    """After a restart the present baseline's own windows win over those of one that was left."""
    star, own = baseline("*"), baseline("1")
    before = Watched(star)
    before.state = StateFolder(tmp_path, before.telemetry)
    before.monitor.observe(batch(1000))
    before.monitor.tick()
    before.state.save(before.monitor)
    (left,) = tmp_path.glob("*/")
    shutil.copytree(left, tmp_path.parent / "kept")
    after = Watched(star, own, clock=before.clock)
    after.state = StateFolder(tmp_path, after.telemetry)
    after.monitor.observe(batch(10))
    after.monitor.tick()
    after.state.save(after.monitor)
    assert not left.exists()
    shutil.move(tmp_path.parent / "kept", left)
    again = Watched(star, own, clock=before.clock)
    again.state = StateFolder(tmp_path, again.telemetry)
    again.state.restore(again.monitor)
    again.monitor.tick()
    assert list(again.monitor.models["fraud", "1"].tracks) == [own.id]
    assert again.values("driftline_sidecar_window_rows")["1h"] == 10


def test_one_name_too_long_stops_no_other(built, tmp_path):
    """A version of 128 bytes is kept under a shorter name, and found again."""
    star = baseline("*")
    version = "v" + 63 * "é"
    before = Watched(star)
    before.state = StateFolder(tmp_path, before.telemetry)
    before.monitor.observe(batch(70, version=version))
    before.monitor.tick()
    before.state.save(before.monitor)
    assert before.values("driftline_sidecar_state_errors_total", operation="write") == {(): 0}
    after = Watched(star, clock=before.clock)
    after.state = StateFolder(tmp_path, after.telemetry)
    after.state.restore(after.monitor)
    after.monitor.tick()
    assert after.values("driftline_sidecar_window_rows", version=version)["1h"] == 70


def test_scrapes_at_once_do_not_meet(built):
    """Three scrapers and new names at the same time: every page is whole."""
    watched = Watched(built)
    faults = []

    def scrape():
        try:
            for _ in range(30):
                watched.scrape()
        except Exception as error:  # noqa: BLE001 - told in the main thread
            faults.append(error)

    threads = [threading.Thread(target=scrape) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(60):
        watched.monitor.observe(batch(1, extra={"@error": Coded(np.zeros(1, np.int8), (f"E{number}",))}))
    for thread in threads:
        thread.join()
    assert faults == []


def test_an_overtaken_batch_counts_its_errors_once(built):
    """Failed rows that come late are failed rows once."""
    watched = Watched(built)
    error = {"@error": Coded(np.zeros(10, np.int8), ("ValueError",))}

    def send(sequence, total, errors, extra=None):
        watched.monitor.observe(
            batch(
                10, stream=b"s" * 16, sequence=sequence, rows_total=total, dropped_rows_total=0,
                error_rows_total=errors, extra=extra,
            )
        )  # fmt: skip

    send(0, 10, 0)
    send(2, 30, 10)
    send(1, 20, 10, error)
    assert watched.values("driftline_prediction_errors_total") == {"ValueError": 10, "other": 0}
    assert watched.values("driftline_predictions_total") == {(): 30}


def test_a_latency_of_ages_owns_no_sum(built):
    """What is no latency is not counted as one."""
    watched = Watched(built)
    watched.monitor.observe(batch(4, extra={"@latency": np.array([1e308, 1e308, 0.5, -1.0])}))
    assert watched.values("driftline_prediction_duration_seconds_sum") == {(): 0.5}
    assert watched.values("driftline_prediction_duration_seconds_count") == {(): 1}


def test_junk_names_shut_nobody_out():
    """A model that the configuration names is counted however many others there are; silent ones give way."""
    watched = Watched(settings="environment: prod\nlimits: {models: 3}\nmodels: {mine: {owner: me}}")
    one = {"rows": 1, "columns": {"a": np.ones(1)}}
    for number in range(5):
        watched.monitor.observe(Batch(model=f"junk{number}", version="1", **one))
    watched.monitor.observe(Batch(model="mine", version="1", **one))
    assert {name for name, _ in watched.monitor.models} == {"junk0", "junk1", "junk2", "mine"}
    watched.clock.now += 7200
    watched.monitor.observe(Batch(model="late", version="1", **one))
    assert ("late", "1") in watched.monitor.models


def test_a_version_that_gets_its_baseline_later_is_watched_for_silence(built, caplog):
    """A model first seen learning is said so once; with its baseline it has everything a declared one has."""
    watched = Watched(settings="environment: prod")
    watched.monitor.observe(batch(5))
    watched.monitor.observe(batch(5))
    assert [r.getMessage() for r in caplog.records if "learning" in r.getMessage()] == [
        (
            "model fraud, version 1 has no baseline and is learning; there is none for this model; "
            "make one with driftline baseline build, or capture, where baselines: points to"
        )
    ]
    assert watched.values("driftline_model_silence_threshold_seconds") == {}
    watched.monitor.reload(Baselines([(Path("a"), built)]))
    assert watched.values("driftline_model_silence_threshold_seconds") == {(): 3600}


@pytest.mark.parametrize("after", ["another", "none", "the same"])
def test_a_batch_that_is_being_counted_at_a_reload_is_not_lost(built, after, monkeypatch):
    """It is counted on the baseline that has come meanwhile, into what is shown from now on."""
    watched = Watched(built)
    another = Baseline.build(table(3000, seed=5), model="fraud", version="1", prediction="answer")
    known = {"another": [(Path("a"), another)], "none": [], "the same": [(Path("a"), built)]}[after]
    counts = Layout.count
    reloads = iter([known])

    def count(layout, columns, rows):
        for baselines in reloads:
            watched.monitor.reload(Baselines(baselines))
        return counts(layout, columns, rows)

    monkeypatch.setattr(Layout, "count", count)
    watched.monitor.observe(batch(100))
    shown = watched.values(COUNTED, feature="amount")
    assert sum(shown.values()) == (0 if after == "none" else 100)
    assert watched.values("driftline_predictions_total") == {(): 100}


def test_pieces_restored_go_on_in_order():
    """The oldest piece gives way first, after a restart as before; pieces of other bins are refused."""
    pieces = Pieces(2)
    for number in range(PIECES + 3):
        pieces.close(np.array([number + 1, 0]), float(number))
    again = Pieces(2)
    assert again.restore(pieces.values, pieces.at)
    again.close(np.array([1, 0]), 100.0)
    assert min(again.at) == 4.0
    assert not Pieces(3).restore(pieces.values, pieces.at)


def test_many_kinds_of_error_in_one_batch(built):
    """65,536 texts are counted, twenty of them by name."""
    watched = Watched(built)
    rows = 65_536
    kinds = Coded(np.arange(rows, dtype=np.int32), tuple(f"E{n}" for n in range(rows)))
    watched.monitor.observe(Batch(model="fraud", version="1", rows=rows, columns={"@error": kinds}))
    found = watched.values("driftline_prediction_errors_total")
    assert (len(found), sum(found.values()), found["other"]) == (21, rows, rows - 20)
