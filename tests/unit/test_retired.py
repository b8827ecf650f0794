"""The end of a model: retired it is missed by nobody and forgotten, and what only seems to end is not."""

import logging
from pathlib import Path

import pytest

from driftline.baseline import Baseline
from driftline.sidecar.baselines import Baselines
from driftline.sidecar.state import StateFolder
from driftline.wire import Batch
from watched import Watched, baseline, batch, table

OWNED = "environment: prod\nmodels: {fraud: {owner: payments, silence: 15m}}"
RETIRED = "environment: prod\nmodels: {fraud: {owner: payments, silence: 15m, retired: true}}"
SILENCE = "driftline_model_silence_threshold_seconds"


@pytest.fixture(scope="module")
def built():
    return baseline()


def started(*baselines, settings, folder=None, clock=None):
    """Return a sidecar as it is after its start: with what was kept in *folder*, and its first tick."""
    watched = Watched(*baselines, settings=settings, clock=clock)
    if folder:
        watched.state = StateFolder(folder, watched.telemetry)
        watched.state.restore(watched.monitor)
    watched.monitor.tick()
    return watched


def stopped(watched):
    watched.monitor.tick()
    watched.state.save(watched.monitor)


def of_fraud(watched):
    return {name for (name, labels) in watched.scrape() if ("model", "fraud") in labels}


def test_a_retired_model_has_one_series(built):
    """It says that it is retired; its baseline may stay where it is, and come again at a reload."""
    watched = started(built, settings=RETIRED)
    assert of_fraud(watched) == {"driftline_model_retired"}
    watched.monitor.reload(Baselines([(Path("a"), built)]))
    assert of_fraud(watched) == {"driftline_model_retired"}
    assert "driftline_model_retired" not in of_fraud(started(built, settings=OWNED))


def test_rows_of_a_retired_model_count_as_ever_and_are_told(built, caplog):
    """On its baseline, into its windows, under its owner; only its silence is not awaited. The log says so once."""
    watched, plain = started(built, settings=RETIRED), started(built, settings=OWNED)
    for one in (watched, plain):
        for _ in range(2):
            one.monitor.observe(batch(500))
            one.monitor.tick()
    assert of_fraud(plain) - of_fraud(watched) == {SILENCE}
    for name in ("driftline_feature_values_total", "driftline_sidecar_window_rows", "driftline_model_info"):
        assert watched.values(name) == plain.values(name) != {}
    assert [r.getMessage() for r in caplog.records] == [
        "model fraud, version 1 is retired: its rows are counted until none has come for 900 s, then it is forgotten"
    ]


def test_a_retired_model_is_forgotten_when_it_is_silent(built, caplog):
    """Not after the longest window but after its own silence, whatever baseline there is; what comes again is told again."""
    caplog.set_level(logging.INFO)
    watched = started(built, settings=RETIRED)
    watched.monitor.observe(batch(5))
    watched.clock.now += 900
    watched.monitor.tick()
    assert SILENCE not in of_fraud(watched)
    assert "driftline_predictions_total" in of_fraud(watched)
    watched.clock.now += 1
    watched.monitor.tick()
    assert of_fraud(watched) == {"driftline_model_retired"}
    said = [record.getMessage() for record in caplog.records]
    assert said[1:] == ["model fraud, version 1 is forgotten: no row in 900 s, and it is retired"]
    watched.monitor.observe(batch(5))
    assert "its rows are counted" in caplog.messages[-1]


def test_what_was_silent_before_is_forgotten_at_the_restart(built, tmp_path):
    """Nor a version that never had a row. Nothing is left in the state folder; another model keeps its windows."""
    churn = Baseline.build(table(), model="churn", version="1", prediction="answer")
    known = (built, baseline("2"), churn)
    before = started(*known, settings="environment: prod", folder=tmp_path)
    before.monitor.observe(batch(500))
    stopped(before)
    assert len({path.name[:7] for path in tmp_path.glob("*@*")}) == 3
    before.clock.now += 901
    after = started(*known, settings=RETIRED, folder=tmp_path, clock=before.clock)
    assert of_fraud(after) == {"driftline_model_retired"}
    stopped(after)
    assert {path.name[:7] for path in tmp_path.glob("*@*")} == {"churn@1"}


def test_a_retirement_by_mistake_costs_nothing(built, tmp_path):
    """Of a model whose rows go on, the windows are there when it is retired, and when that is taken back."""
    before = started(built, settings=OWNED, folder=tmp_path)
    before.monitor.observe(batch(500))
    stopped(before)
    for settings in (RETIRED, OWNED):
        after = started(built, settings=settings, folder=tmp_path, clock=before.clock)
        after.clock.now += 600
        after.monitor.observe(batch(500))
        stopped(after)
    assert after.values("driftline_sidecar_window_rows", window="24h") == {(): 1500}
    assert after.values(SILENCE) == {(): 900}


@pytest.mark.parametrize(
    "settings", [OWNED, "environment: prod"], ids=["named", "known by its baseline alone"]
)
def test_a_baseline_that_is_gone_ends_no_waiting(built, tmp_path, settings):
    """A file deleted by accident silences nothing, at its reload, after a restart and after the next."""
    watched = started(built, settings=settings, folder=tmp_path)
    watched.monitor.observe(batch(500))
    awaited = watched.values(SILENCE)
    assert awaited
    watched.monitor.reload(Baselines([]))
    for _ in range(2):
        stopped(watched)
        watched = started(settings=settings, folder=tmp_path, clock=watched.clock)
        assert watched.values(SILENCE) == awaited
    watched.monitor.observe(Batch(model="nobodys", version="1", rows=1, columns=batch(1).columns))
    assert watched.values(SILENCE) == awaited


@pytest.mark.parametrize(("seconds", "rows"), [(15, 1000), (3600, 1000), (3615, 500)])
def test_a_baseline_that_comes_back_finds_its_windows(built, seconds, rows):
    """Within an hour, however often others are reloaded meanwhile; its counters begin at 0. Later the windows begin anew."""
    watched = started(built, settings=OWNED)
    watched.monitor.observe(batch(500))
    watched.monitor.tick()
    watched.monitor.reload(Baselines([]))
    watched.monitor.reload(Baselines([]))
    assert watched.values("driftline_model_version_info") == {("", "", "", "learning"): 1}
    watched.clock.now += seconds
    watched.monitor.tick()
    watched.monitor.reload(Baselines([(Path("a"), built)]))
    assert set(watched.values("driftline_feature_values_total").values()) == {0}
    watched.monitor.observe(batch(500))
    watched.monitor.tick()
    assert watched.values("driftline_sidecar_window_rows", window="24h") == {(): rows}


def test_what_is_taken_out_of_everything_is_not_awaited(built, tmp_path):
    """Neither named nor with a baseline, a model is after the restart one that nobody declared."""
    before = started(built, settings=OWNED, folder=tmp_path)
    before.monitor.observe(batch(500))
    stopped(before)
    after = started(settings="environment: prod", folder=tmp_path, clock=before.clock)
    assert "driftline_predictions_total" in of_fraud(after)
    assert SILENCE not in of_fraud(after)
