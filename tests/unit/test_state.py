"""Windows survive a restart; counters do not; a bad file costs itself alone."""

import json
import os
import resource
import shutil
import signal
import warnings

import numpy as np
import pytest

from driftline import files
from driftline.baseline import Baseline
from driftline.sidecar.state import FORMAT, MODELS_FILE, OPEN_FILE, StateFolder
from driftline.sidecar.streams import HELD_SECONDS
from driftline.wire import Batch
from watched import Watched, baseline, batch


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
    for _ in range(3):
        after.monitor.tick()
        after.clock.now += HELD_SECONDS
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


@pytest.mark.parametrize("down", [0, 3600, 6 * 3600, 24 * 3600])
def test_a_pane_that_was_open_at_one_restart_is_there_after_the_next(built, tmp_path, down):
    """It closed while the sidecar was down, so it has no file of its own until the restarted one writes it."""
    before = watch(built, tmp_path)
    fill(before, batches=3)
    before.clock.now += down
    between = restarted(before, built)
    between.monitor.tick()
    between.state.save(between.monitor)
    between.monitor.observe(batch(1, seed=9))
    between.monitor.tick()
    between.state.save(between.monitor)
    after = restarted(between, built)
    after.monitor.tick()
    rows = after.values("driftline_sidecar_window_rows")
    assert rows == between.values("driftline_sidecar_window_rows")
    assert rows["30d"] == 601


def test_a_new_baseline_with_the_same_bins_keeps_the_windows(built, tmp_path):
    """A restart that comes with a retrained baseline on inherited edges loses nothing."""
    before = watch(built, tmp_path)
    fill(before)
    retrained = baseline(rows=5000, seed=7, edges_from=built)
    after = restarted(before, retrained)
    after.monitor.tick()
    assert after.values("driftline_sidecar_window_rows") == before.values("driftline_sidecar_window_rows")


@pytest.mark.parametrize("file", ["open.npz", "24h.*.npz", "layout.npz"])
@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "flipped"])
def test_a_damaged_file_costs_itself_alone(built, tmp_path, damage, file):
    """The sidecar starts, counts the fault, and uses what can be read."""
    other = Baseline.build({"x": np.linspace(0, 9, 1000)}, model="other", version="1")
    before = Watched(built, other)
    before.state = StateFolder(tmp_path, before.telemetry)
    fill(before, 14)
    before.monitor.observe(Batch(model="other", version="1", rows=3, columns={"x": np.ones(3)}))
    before.monitor.tick()
    before.state.save(before.monitor)
    (path,) = tmp_path.glob(f"fraud*/{file}")
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
    day = after.values("driftline_sidecar_window_rows", model="fraud")["24h"]
    assert day == {"open.npz": 2600, "24h.*.npz": 200, "layout.npz": 0}[file]
    after.state.save(after.monitor)
    assert after.values("driftline_sidecar_state_errors_total", operation="write") == {(): 0}


@pytest.mark.parametrize("file", ["models.json", "open.npz", "1h.*.npz", "layout.npz"])
def test_a_newer_release_is_refused_and_not_overwritten(built, tmp_path, file):
    """What this release cannot read it leaves as it is, and says so."""
    before = watch(built, tmp_path)
    fill(before)
    changed = next(tmp_path.glob(f"**/{file}"))
    if changed.suffix == ".json":
        document = json.loads(changed.read_text())
        document["format"] = FORMAT + 1
        changed.write_text(json.dumps(document))
    else:
        with np.load(changed) as archive:
            columns = dict(archive)
        says = json.loads(columns["says"].tobytes()) | {"format": FORMAT + 1}
        np.savez(changed, **columns | {"says": np.frombuffer(json.dumps(says).encode(), np.uint8)})
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*.[nj]*") if path.is_file()}
    after = restarted(before, built)
    after.monitor.observe(batch(50))
    after.monitor.tick()
    after.state.save(after.monitor)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.[nj]*") if path.is_file()} == kept
    assert after.values("driftline_sidecar_state_errors_total", operation="read") == {(): 1}


def test_a_folder_that_cannot_be_written_is_a_series_and_no_crash(built, tmp_path):
    """A full or forbidden disk costs the state, not the service."""
    (tmp_path / "state").write_text("a file where the folder should be")
    watched = Watched(built)
    watched.state = StateFolder(tmp_path / "state", watched.telemetry)
    watched.state.restore(watched.monitor)
    watched.state.save(watched.monitor)
    assert watched.values("driftline_sidecar_state_errors_total", operation="write") == {(): 1}


def test_a_full_disk_costs_the_state_and_not_the_service(built, tmp_path):
    """Counting goes on, the series rises, and what was kept stays; with room again all of it is written."""
    before = watch(built, tmp_path)
    fill(before)
    kept = rows_kept(before, built, tmp_path)
    before.monitor.observe(batch(10))
    before.monitor.tick()
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, unlimited[1]))  # no file can become larger
    before.state.save(before.monitor)
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert before.values("driftline_sidecar_state_errors_total", operation="write") == {(): 1}
    assert before.values("driftline_sidecar_window_rows")["1h"] == 2010
    assert rows_kept(before, built, tmp_path) == kept
    before.state.save(before.monitor)
    assert before.values("driftline_sidecar_state_errors_total", operation="write") == {(): 1}
    assert rows_kept(before, built, tmp_path)["1h"] == 2010


def rows_kept(watched, built, folder):
    """Return the rows a window that a sidecar starting now from a copy of *folder* would have."""
    copy = folder.parent / f"{folder.name}-copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    started = watch(built, copy, clock=watched.clock)
    started.monitor.tick()
    found = started.values("driftline_sidecar_window_rows")
    assert started.values("driftline_sidecar_state_errors_total", operation="read") == {(): 0}
    for window in next(iter(started.monitor.models["fraud", "1"].tracks.values())).windows.values():
        # every row of the test's table has a value of each feature: a pane is whole or not there
        assert window.merged().values.sum() == 4 * window.merged().rows
    return found


def in_a_child(work):
    """Run *work* in a fork of this process; return the signal that ended it, 0 for none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy may have threads; the child starts none
        child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(child, 0)[1])


@pytest.fixture
def half_written(built, tmp_path):
    """A sidecar with a state on the disk, and one more minute, an hour's pane closed in it, that is not."""
    watched = watch(built, tmp_path / "state")
    fill(watched, 12)
    watched.monitor.observe(batch(100, seed=99))
    watched.monitor.tick()
    watched.clock.now += 300
    watched.monitor.tick()
    before = rows_kept(watched, built, tmp_path / "state")
    after = watched.values("driftline_sidecar_window_rows")
    assert (before["24h"], after["24h"]) == (2400, 2500)
    return watched, before, after


def killed(watched, built, folder, work):
    """Kill *work* in the middle on a copy of *folder*; return how it ended, and the rows kept."""
    copy = folder.parent / "killed"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    saving = StateFolder(copy, watched.telemetry)
    ended = in_a_child(lambda: work(saving))
    return ended, rows_kept(watched, built, copy)


def test_a_kill_at_any_byte_of_a_write_costs_at_most_the_last_minute(built, half_written, tmp_path):
    """The kernel kills the writer at the nth byte of a file; the next start has the rows from before or after."""
    watched, before, after = half_written
    largest = max(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    ends = []

    def dies_at(size):
        def work(saving):
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            saving.save(watched.monitor)

        return work

    for size in [*range(0, largest, largest // 30), largest - 1, largest, 10 * largest]:
        ended, rows = killed(watched, built, tmp_path / "state", dies_at(size))
        ends.append(ended)
        assert all(rows[name] in (before[name], after[name]) for name in after), (size, rows)
    assert ends[0] == signal.SIGXFSZ
    assert ends[-1] == 0
    assert rows == after


def test_a_kill_between_any_two_files_costs_at_most_the_last_minute(
    built, half_written, tmp_path, monkeypatch
):
    """Whichever files a save had put in place or deleted when it was killed, no row is lost or there twice."""
    watched, before, after = half_written

    def dies_before(step):
        def work(saving):
            left = step

            def counted(real):
                def call(*given, **named):
                    nonlocal left
                    left -= 1
                    if left < 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return real(*given, **named)

                return call

            for name in ("fsync", "replace", "unlink", "mkdir", "rename"):
                monkeypatch.setattr(os, name, counted(getattr(os, name)))
            saving.save(watched.monitor)

        return work

    step = 0
    ended = signal.SIGKILL
    while ended:
        ended, rows = killed(watched, built, tmp_path / "state", dies_before(step))
        assert all(rows[name] in (before[name], after[name]) for name in after), (step, rows)
        step += 1
    assert step > 10
    assert rows == after


def test_a_kill_in_the_first_save_on_a_new_baseline_loses_nothing(built, half_written, tmp_path, monkeypatch):
    """The windows lie in another folder then; until that is whole, the old one is what is read."""
    watched, _, _ = half_written
    watched.state.save(watched.monitor)
    kept = rows_kept(watched, built, tmp_path / "state")
    retrained = baseline(rows=5000, seed=7, edges_from=built)
    after = watch(retrained, tmp_path / "state", clock=watched.clock)
    real = files.write

    def dies_before(steps):
        def write(path, content, left=[steps]):  # noqa: B006 - counted in the child alone
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            real(path, content)

        def work(saving):
            monkeypatch.setattr(files, "write", write)
            saving.save(after.monitor)

        return work

    ended, steps = signal.SIGKILL, 0
    while ended:
        ended, rows = killed(watched, retrained, tmp_path / "state", dies_before(steps))
        assert rows == kept
        steps += 1
    assert steps > 10


def test_closed_panes_are_written_once(built, tmp_path):
    """What will not change again is not written again, and is deleted when it has left its window."""
    watched = watch(built, tmp_path)
    fill(watched)
    closed = {path: path.stat().st_ino for path in tmp_path.glob("*/1h.*.npz")}
    assert len(closed) > 5
    opened = {path: path.stat().st_ino for path in tmp_path.glob(f"*/{OPEN_FILE}")}
    watched.clock.now += 1900
    watched.monitor.observe(batch(50))
    watched.monitor.tick()
    watched.state.save(watched.monitor)
    there = {path: path.stat().st_ino for path in tmp_path.glob("*/1h.*.npz")}
    stayed = closed.keys() & there.keys()
    assert 0 < len(stayed) < len(closed)
    assert {path: closed[path] for path in stayed} == {path: there[path] for path in stayed}
    assert {path: path.stat().st_ino for path in opened} != opened
    again = restarted(watched, built)
    again.state.save(again.monitor)
    assert {path: path.stat().st_ino for path in tmp_path.glob("*/1h.*.npz")} == there


def test_columns_that_come_and_go(built, tmp_path):
    """A column of another release is left out, one that this release misses is empty; the rest is used."""
    watched = watch(built, tmp_path)
    fill(watched, 13)
    for path in tmp_path.glob("*/*.npz"):
        with np.load(path) as archive:
            kept = {name: archive[name] for name in archive.files if not name.endswith(".faults")}
        kept |= {"24h.of_tomorrow": np.arange(3)}
        np.savez(path, **kept)
    models = tmp_path / MODELS_FILE
    document = json.loads(models.read_text()) | {"of_tomorrow": 1}
    document["models"]["columns"].append("mood")
    document["models"]["rows"][0].append("fine")
    document["streams"]["columns"].append("colour")
    document["streams"]["rows"][0].append("blue")
    models.write_text(json.dumps(document))
    after = restarted(watched, built)
    after.monitor.tick()
    rows = watched.values("driftline_sidecar_window_rows")
    assert after.values("driftline_sidecar_window_rows") == rows
    assert after.values("driftline_sidecar_state_errors_total", operation="read") == {(): 0}
    assert len(after.monitor.streams) == 1


def test_the_clock_steps_back_over_no_restart(built, tmp_path):
    """A machine that has forgotten the time of day goes on from where it was, and loses no window."""
    watched = watch(built, tmp_path)
    fill(watched)
    folder = StateFolder(tmp_path, watched.telemetry)
    now = watched.clock.now
    assert folder.moment(now + 60) == now + 60
    assert folder.moment(0.0) == now
    assert StateFolder(tmp_path / "none", watched.telemetry).moment(now) is None
    (tmp_path / MODELS_FILE).write_text("no JSON")
    assert folder.moment(now) is None


def test_settings_that_leave_a_feature_out_keep_the_others(built, tmp_path):
    """Counts are found by their feature, not by their place."""
    watched = watch(built, tmp_path)
    fill(watched)
    score = watched.values("driftline_sidecar_feature_drift", feature="plan", statistic="psi", window="1h")
    settings = "{environment: prod, models: {fraud: {features: {amount: {ignore: true}}}}}"
    after = restarted(watched, built, settings=settings)
    after.monitor.tick()
    found = after.values("driftline_sidecar_feature_drift", feature="plan", statistic="psi", window="1h")
    assert found == score != {}


def test_a_feature_that_is_ignored_from_now_on_is_no_change(built, tmp_path, caplog):
    """The settings leave it out, the sender still sends it: nobody is told that it is not sent."""
    before = watch(built, tmp_path)
    fill(before)
    after = restarted(
        before, built, settings="environment: prod\nmodels: {fraud: {features: {plan: {ignore: true}}}}"
    )
    after.monitor.observe(batch(200))
    assert set(after.values("driftline_model_schema_changes_total").values()) == {0}
    assert "not sent" not in caplog.text


def test_a_link_that_somebody_put_there_stays(built, tmp_path):
    """A folder of ours that is found through a link is not deleted, and does not fail what was written."""
    before = watch(built, tmp_path / "state")
    fill(before)
    (kept,) = (path for path in before.state.path.iterdir() if path.is_dir())
    shutil.copytree(kept, tmp_path / "elsewhere")
    (before.state.path / "link").symlink_to(tmp_path / "elsewhere")
    fill(before, batches=1)
    assert (tmp_path / "elsewhere" / "layout.npz").exists()
    assert before.values("driftline_sidecar_state_errors_total") == {"read": 0, "write": 0}


def test_what_a_death_left_goes(built, tmp_path):
    """The beginning of a file, by whichever process, is gone after the next save; a copy that a person made stays."""
    before = watch(built, tmp_path)
    fill(before)
    (kept,) = (path for path in tmp_path.iterdir() if path.is_dir())
    left = [tmp_path / "models.json.17.new", kept / "open.npz.17.new"]
    copy = tmp_path / "models.json.bak"
    for path in (*left, copy):
        path.write_bytes(b"half")
    fill(before, batches=1)
    assert [path.exists() for path in (*left, copy)] == [False, False, True]
    assert before.values("driftline_sidecar_state_errors_total") == {"read": 0, "write": 0}


def test_names_cannot_leave_the_folder(built, tmp_path):
    """A model's name is percent-encoded: no slash and no dots of its own reach the file system."""
    evil = Baseline.build({"x": np.linspace(0, 9, 1000)}, model="../../etc/x", version="..")
    watched = watch(evil, tmp_path / "state")
    watched.monitor.tick()
    watched.state.save(watched.monitor)
    assert {p.name for p in tmp_path.iterdir()} == {"state"}
    assert len([*tmp_path.glob("state/*/open.npz")]) == 1


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


def test_a_month_on_the_clock(built, tmp_path):
    """Thirty-two days of a batch each three hours, with a replay, a late and an early row in each, and four restarts.

    Each window holds the rows of its own length and no other, and what was refused is told by reason.
    """
    watched = watch(built, tmp_path)
    start = watched.clock.now
    batches = 32 * 8
    refused = dict.fromkeys(("duplicate", "time_late", "time_early"), 0)
    for number in range(batches):
        times = np.full(12, watched.clock.now * 1e9).astype(np.int64)
        times[0] -= 31 * 86_400 * 10**9
        times[1] += 3600 * 10**9
        sent = batch(
            12,
            seed=number,
            extra={"@time": times},
            stream=b"s" * 16,
            sequence=number,
            rows_total=12 * (number + 1),
        )
        for _ in range(2):
            watched.monitor.observe(sent)
        watched.monitor.tick()
        watched.clock.now += 3 * 3600
        watched.monitor.tick()  # as every 15 seconds
        if number % 60 == 59:
            for reason in refused:
                told = watched.values("driftline_sidecar_rows_dropped_total", reason=reason)
                refused[reason] += told[()]
            watched.state.save(watched.monitor)
            watched = restarted(watched, built)
            watched.monitor.tick()
    assert watched.clock.now == start + 32 * 86_400
    for reason in refused:
        refused[reason] += watched.values("driftline_sidecar_rows_dropped_total", reason=reason)[()]
    assert refused == {"duplicate": 12 * batches, "time_late": batches, "time_early": batches}
    watched.monitor.tick()
    rows = watched.values("driftline_sidecar_window_rows")
    now = watched.clock.now
    of_hours = {
        "24h": 23 + now % 3600 / 3600,
        "7d": 27 * 6 + now % 21600 / 3600,
        "30d": 29 * 24 + now % 86400 / 3600,
    }
    assert rows == {"1h": 0} | {window: 10 * (held // 3) for window, held in of_hours.items()}
