"""Windows survive a restart; counters do not; a bad file costs itself alone."""

import json

import numpy as np
import pytest

from driftline.baseline import Baseline
from driftline.sidecar.state import FORMAT, StateFolder
from driftline.wire import Batch
from watched import Watched, baseline, batch, table


@pytest.fixture(scope="module")
def built():
    return baseline()


def watch(built, folder, clock=None, **options):
    watched = Watched(built, clock=clock, **options)
    watched.state = StateFolder(folder, watched.telemetry)
    watched.state.restore(watched.monitor)
    return watched


def fill(watched, batches=10):
    for number in range(batches):
        watched.monitor.observe(
            batch(
                200, seed=number, shift=0.5, stream=b"s" * 16, sequence=number, rows_total=200 * (number + 1)
            )
        )
        watched.monitor.tick()
        watched.clock.now += 300
    watched.monitor.tick()
    watched.state.save(watched.monitor)


def restarted(watched, built, **options):
    return watch(built, watched.state.path, clock=watched.clock, **options)


def test_windows_are_restored_and_counters_are_zero(built, tmp_path):
    """After a restart scores, phi and the last prediction are as before; every counter begins at 0."""
    before = watch(built, tmp_path)
    fill(before)
    after = restarted(before, built)
    after.monitor.tick()
    for name in (
        "driftline_sidecar_feature_drift",
        "driftline_feature_overdispersion",
        "driftline_sidecar_window_rows",
        "driftline_last_prediction_timestamp_seconds",
        "driftline_sidecar_window_fill_ratio",
    ):
        assert after.values(name) == before.values(name) != {}
    assert set(after.values("driftline_feature_values_total").values()) == {0}
    assert after.values("driftline_predictions_total") == {(): 0}


def test_streams_are_restored(built, tmp_path):
    """A batch that was counted before the restart is still a duplicate; lost ones are known."""
    before = watch(built, tmp_path)
    fill(before)
    after = restarted(before, built)
    after.monitor.observe(batch(200, stream=b"s" * 16, sequence=9, rows_total=2000))
    after.monitor.observe(batch(200, stream=b"s" * 16, sequence=12, rows_total=2600))
    assert after.values("driftline_sidecar_rows_dropped_total", reason="duplicate") == {(): 200}
    assert after.values("driftline_predictions_total") == {(): 200}
    assert after.values("driftline_sidecar_sender_lost_rows_total") == {(): 400}


def test_time_goes_on_while_the_sidecar_is_down(built, tmp_path):
    """Panes that left the window meanwhile are not restored into it."""
    before = watch(built, tmp_path)
    fill(before)
    before.clock.now += 2 * 3600
    after = restarted(before, built)
    after.monitor.tick()
    rows = after.values("driftline_sidecar_window_rows")
    assert rows["1h"] == 0
    assert rows["24h"] == 2000


def test_a_new_baseline_with_the_same_bins_keeps_the_windows(built, tmp_path):
    """A restart that comes with a retrained baseline on inherited edges loses nothing."""
    before = watch(built, tmp_path)
    fill(before)
    retrained = Baseline.build(
        table(5000, seed=7),
        model="fraud",
        version="1",
        prediction="answer",
        task="regression",
        edges_from=built,
    )
    after = restarted(before, retrained)
    after.monitor.tick()
    assert after.values("driftline_sidecar_window_rows") == before.values("driftline_sidecar_window_rows")


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "flipped"])
def test_a_damaged_file_costs_itself_alone(built, tmp_path, damage):
    """The sidecar starts, counts the fault, and uses what can be read."""
    other = Baseline.build({"x": np.linspace(0, 9, 1000)}, model="other", version="1")
    before = Watched(built, other)
    before.state = StateFolder(tmp_path, before.telemetry)
    fill(before)
    before.monitor.observe(Batch(model="other", version="1", rows=3, columns={"x": np.ones(3)}))
    before.monitor.tick()
    before.state.save(before.monitor)
    (path,) = tmp_path.glob("fraud*.npz")
    raw = path.read_bytes()
    middle = len(raw) // 2
    path.write_bytes(
        {
            "truncated": raw[:middle],
            "garbage": b"not a state file" * 100,
            "empty": b"",
            "flipped": raw[:middle] + bytes([raw[middle] ^ 0xFF]) + raw[middle + 1 :],
        }[damage]
    )
    after = Watched(built, other, clock=before.clock)
    after.state = StateFolder(tmp_path, after.telemetry)
    after.state.restore(after.monitor)
    after.monitor.tick()
    assert after.values("driftline_sidecar_state_errors_total", operation="read") == {(): 1}
    assert after.values("driftline_sidecar_window_rows", model="other")["1h"] == 3
    after.state.save(after.monitor)
    assert after.values("driftline_sidecar_state_errors_total", operation="write") == {(): 0}


def test_a_newer_release_is_refused_and_not_overwritten(built, tmp_path):
    """What this release cannot read it leaves as it is, and says so."""
    before = watch(built, tmp_path)
    fill(before)
    models = tmp_path / "models.json"
    document = json.loads(models.read_text())
    document["format"] = FORMAT + 1
    models.write_text(json.dumps(document))
    kept = models.read_bytes()
    after = restarted(before, built)
    after.monitor.observe(batch(50))
    after.monitor.tick()
    after.state.save(after.monitor)
    assert models.read_bytes() == kept
    assert after.values("driftline_sidecar_state_errors_total", operation="read") == {(): 1}


def test_a_folder_that_cannot_be_written_is_a_series_and_no_crash(built, tmp_path):
    """A full or forbidden disk costs the state, not the service."""
    (tmp_path / "state").write_text("a file where the folder should be")
    watched = Watched(built)
    watched.state = StateFolder(tmp_path / "state", watched.telemetry)
    watched.state.restore(watched.monitor)
    watched.state.save(watched.monitor)
    assert watched.values("driftline_sidecar_state_errors_total", operation="write") == {(): 1}


def test_a_write_cut_short_leaves_the_old_file(built, tmp_path, monkeypatch):
    """A death at any byte of a write leaves the file before it."""
    before = watch(built, tmp_path)
    fill(before)
    (path,) = tmp_path.glob("*.npz")
    kept = path.read_bytes()
    before.monitor.observe(batch(10))
    before.monitor.tick()

    def dies(file, **arrays):
        file.write(b"half a")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("driftline.sidecar.state.np.savez", dies)
    before.state.save(before.monitor)
    assert path.read_bytes() == kept
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".new")] == []
    assert before.values("driftline_sidecar_state_errors_total", operation="write") == {(): 1}


def test_names_cannot_leave_the_folder(built, tmp_path):
    """A model's name is percent-encoded: no slash and no dots of its own reach the file system."""
    evil = Baseline.build({"x": np.linspace(0, 9, 1000)}, model="../../etc/x", version="..")
    watched = watch(evil, tmp_path / "state")
    watched.monitor.tick()
    watched.state.save(watched.monitor)
    assert {p.parent for p in tmp_path.rglob("*") if p.is_file()} == {tmp_path / "state"}


def test_pieces_of_a_burst_survive_a_restart(built, tmp_path):
    """A sidecar restarted between two nightly runs still knows how clustered the last one was."""
    before = watch(built, tmp_path)
    for _ in range(2):
        for part in range(12):
            before.monitor.observe(batch(1000, seed=part))
        before.monitor.tick()
        before.clock.now += 80_000
        before.monitor.tick()
    before.monitor.tick()
    before.state.save(before.monitor)
    told = before.values("driftline_feature_overdispersion", feature="amount", window="24h")
    after = restarted(before, built)
    after.monitor.tick()
    assert after.values("driftline_feature_overdispersion", feature="amount", window="24h") == told != {}
