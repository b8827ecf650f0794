"""Requests of a right form whose contents are hostile: names, times, numbers without end, the same again and again."""

import time

import numpy as np
import pytest

from driftline.baseline import Baseline
from driftline.columns import Coded
from driftline.wire import Batch, encode
from hostile.target import Target, answered, dropped
from stack.processes import eventually
from watched import table

NAMES = {
    "a series of its own": 'x",version="1"} 7\nforged_total{a="b',
    "a backslash at the end": "x\\",
    "a line feed": "one\ntwo",
    "other line ends": "one\r\x0b\x0c\x1c\x85\u2028two",
    "zero": "a\0b",
    "what a terminal obeys": "\x1b]0;x\x07\x1b[2J\x1b[31m",
    "right to left": "\u202etxt.exe\u2066\u2069",
    "nothing to see": "\u200b\ufeff\u00ad",
    "a template": "{{ $labels.owner }} ${HOME} %s %n",
    "128 bytes": "\U0001f98a" * 32,
    "a way up": "../../../../etc/evil",
    "from the root": "/etc/evil",
    "this folder": ".",
    "the folder above": "..",
    "escaped already": "%2e%2e%2fevil",
    "another model": "fraud ",
}


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outer") / "inner"
    (folder / "baselines").mkdir(parents=True)
    Baseline.build(table(), model="victim", version="1", prediction="answer", task="regression").save(
        folder / "baselines"
    )
    with Target(folder, settings={"state": {"path": "state/", "every": "1s"}}) as running:
        yield running


def counted(rows, records=1):
    return {
        "driftline_sidecar_batches_total{outcome=counted}": records,
        "driftline_sidecar_rows_total{outcome=counted}": rows,
    }


def series(target, name, **labels):
    found, _ = target.samples()
    return sum(
        value for (series, pairs), value in found.items() if series == name and labels.items() <= set(pairs)
    )


@pytest.mark.parametrize("kind", NAMES)
def test_hostile_names(target, kind):
    """Whatever a model, its version, columns, categories and errors are called is one label, and no more."""
    name = NAMES[kind]
    hostile = Batch(
        model=name,
        version=name,
        rows=2,
        columns={
            name: Coded(np.zeros(2, "i1"), (name,)),
            "@error": Coded(np.array([-1, 0], "i1"), (name,)),
            "@segment": Coded(np.zeros(2, "i1"), (f"{name}={name}",)),
            f"@score.{name[:8]}": np.zeros(2),
        },
        dataset_version=name,
        task=name,
        segment=f"s={name}",
        resource={name: name, "deployment.environment.name": name, "service.name": name},
    )
    moves = answered("http", 200) | counted(2) | {"driftline_sidecar_environment_differs_total": 1}
    with target.unharmed(moves, born=(name,)):
        assert target.post(encode(hostile)) == (200, "")
    assert series(target, "driftline_predictions_total", model=name, version=name) == 2
    assert series(target, "driftline_prediction_errors_total", model=name, error_type=name) == 1
    assert series(target, "driftline_model_version_info", model=name, dataset_version=name) == 1
    assert series(target, "driftline_feature_faults_total", model=name, feature=name) == 0
    assert "forged_total" not in {key for (key, _), _ in target.samples()[0].items()}


def test_names_stay_where_they_belong(target):
    """No name leaves the folder of the state, breaks a line of the log or reaches whoever reads it."""
    for name in NAMES.values():
        sent = Batch(model=name, version="1", rows=1, columns={"x": np.zeros(1)}, baseline_id=name)
        assert target.post(encode(sent))[0] == 200
    written = target.folder / "state" / "models.json"
    before = written.stat().st_mtime_ns
    eventually(lambda: written.stat().st_mtime_ns > before + 10**9)
    outside = {path for path in target.folder.parent.rglob("*") if path.is_file()}
    assert {path.parent.name for path in outside} <= {"inner", "baselines", "state"} | {
        path.name for path in (target.folder / "state").iterdir()
    }
    log = target.said()
    assert "learning" in log
    assert all(line.isprintable() and line[:4].isdecimal() for line in log.rstrip("\n").split("\n"))


def test_a_million_categories(target):
    """Each is counted as unseen; none is remembered, named or paid for twice."""
    rows = 65_536
    asked = answered("http", 200, 16) | counted(16 * rows, 16)
    before = series(target, "driftline_feature_faults_total", model="victim", feature="plan", fault="unseen")
    series_before = len(target.samples()[0])
    with target.unharmed(asked, born=("victim",)):
        for part in range(16):
            texts = np.array([f"{part}-{row}" for row in range(rows)], object)
            sent = Batch(model="victim", version="1", rows=rows, columns={"plan": texts})
            assert target.post(encode(sent)) == (200, "")
    after = series(target, "driftline_feature_faults_total", model="victim", feature="plan", fault="unseen")
    assert after - before == 16 * rows
    assert len(target.samples()[0]) - series_before < 100  # scores, which begin with rows


def test_a_clock_gone_wrong(target):
    """Rows of another time are refused by reason, to the row; those whose time cannot be told count."""
    now = time.time_ns()
    day = 86_400 * 10**9
    times = np.array([0, -(2**63), now - 31 * day, now, now + 10**9, now + day, 2**63 - 1], "<i8")

    def refused():
        name = "driftline_sidecar_rows_dropped_total"
        return [series(target, name, model="victim", reason=reason) for reason in ("time_late", "time_early")]

    late, early = refused()
    with target.unharmed(answered("http", 200) | counted(2) | dropped(5), born=("victim",)):
        sent = Batch(model="victim", version="1", rows=7, columns={"amount": np.zeros(7), "@time": times})
        assert target.post(encode(sent)) == (200, "")
    assert refused() == [late + 3, early + 2]
    odd = np.array(["yesterday", True, None, float("nan"), float("inf"), 2**70], object)
    with target.unharmed(answered("http", 200) | counted(4) | dropped(2), born=("victim",)):
        sent = Batch(model="victim", version="1", rows=6, columns={"amount": np.zeros(6), "@time": odd})
        assert target.post(encode(sent)) == (200, "")
    assert refused() == [late + 4, early + 3]


def test_replays(target):
    """The same batch a hundred times counts once; one of long ago is too late; neither moves anything else."""

    def sent(sequence):
        return encode(
            Batch(
                model="replayed", version="1", rows=3, columns={"amount": np.zeros(3)},
                stream=b"replayed........", sequence=sequence, rows_total=3 * (sequence + 1),
            )
        )  # fmt: skip

    def of(reason, rows):
        labels = f"environment=prod,model=replayed,reason={reason},version=1"
        return {f"driftline_sidecar_rows_dropped_total{{{labels}}}": rows}

    with target.unharmed(answered("http", 200) | counted(3), born=("replayed",)):
        assert target.post(sent(2000)) == (200, "")
    with target.unharmed(answered("grpc", "OK", 99) | dropped(297, records=99) | of("duplicate", 297)):
        for _ in range(99):
            assert target.call(sent(2000)) == ("OK", "")
    with target.unharmed(answered("http", 200) | dropped(3, records=1) | of("too_late", 3)):
        assert target.post(sent(2000 - 1024)) == (200, "")


@pytest.mark.parametrize(
    "totals",
    [
        {"rows_total": 1, "dropped_rows_total": 2**62},
        {"rows_total": 2**62, "dropped_rows_total": 2**62},
        {"rows_total": 1, "error_rows_total": 2**62},
    ],
)
def test_totals_that_cannot_be(target, totals):
    """A sender whose counts contradict each other is counted by its rows."""
    before = series(target, "driftline_predictions_total", model="victim")
    errors = series(target, "driftline_prediction_errors_total", model="victim")
    sent = Batch(
        model="victim", version="1", rows=1, columns={"amount": np.zeros(1)},
        stream=np.random.default_rng().bytes(16), sequence=0, **totals,
    )  # fmt: skip
    with target.unharmed(answered("http", 200) | counted(1), born=("victim",)):
        assert target.post(encode(sent)) == (200, "")
    assert series(target, "driftline_predictions_total", model="victim") == before + 1
    assert series(target, "driftline_prediction_errors_total", model="victim") == errors


def test_a_thousand_models(tmp_path):
    """As many as limits.models are known; the rest is dropped by reason, and those that were there stay."""
    with Target(tmp_path) as target:
        sent = [Batch(model=f"m{n}", version="1", rows=2, columns={"x": np.zeros(2)}) for n in range(1000)]
        known = 100 - 2  # the bystander and the application
        moves = answered("grpc", "OK", 1000) | counted(2 * known, known)
        beyond = 1000 - known
        moves |= dropped(2 * beyond, records=beyond, model_limit=2 * beyond)
        with target.unharmed(moves, born=[batch.model for batch in sent], memory=100 << 20):
            for batch in sent:
                assert target.call(encode(batch))[0] == "OK"
        assert series(target, "driftline_predictions_total") == 2 * known + 500 + 2 * 5
        moves = answered("http", 200, 1000) | counted(4, 4) | dropped(996, records=996, model_limit=996)
        with target.unharmed(moves, born=["m0"], memory=100 << 20):
            for number in range(1000):  # versions without end of one that is known
                version = Batch(model="m0", version=f"v{number}", rows=1, columns={"x": np.zeros(1)})
                assert target.post(encode(version))[0] == 200
