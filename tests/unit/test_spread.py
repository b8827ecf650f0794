"""Thresholds from recent windows: what wanders gets room, what has moved gets none."""

import numpy as np
import pandas as pd
import pytest

from driftline import config
from driftline import spread as module
from driftline.baseline import Baseline, files, stream
from driftline.cli import main
from driftline.errors import BaselineError
from driftline.spread import Spread, _chosen, by_rows, by_time, spread

DAYS, ROWS = 20, 2000


def rows(days=DAYS, seed=0):
    """``restless`` has another mean every day, ``moved`` another one for good, ``calm`` none; the first day is cut."""
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), ROWS)
    return pd.DataFrame(
        {
            "at": pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(day * 24 + rng.random(len(day)) * 24, "h"),
            "calm": rng.normal(size=len(day)),
            "restless": rng.normal(0.35 * np.where(day % 5 == 3, 2, rng.normal(size=days)[day]), 1),
            "moved": rng.normal(2, 1, len(day)),
            "ticket_id": rng.permutation(len(day)) * 7 + 10**7,
            "y_hat": rng.normal(size=len(day)),
        }
    ).iloc[ROWS * 3 // 4 :]  # fmt: skip


@pytest.fixture(scope="module")
def baseline():
    rng = np.random.default_rng(9)
    names = ("calm", "restless", "moved")
    data = {name: rng.normal(size=50_000) for name in names} | {
        "ticket_id": rng.permutation(50_000) * 7.0,
        "y": rng.normal(size=50_000),
    }
    return Baseline.build(
        data, model="fraud: 1", version="1", features=[*names, "ticket_id"], prediction="y", task="regression"
    )


@pytest.fixture
def recent(tmp_path):
    rows().to_parquet(tmp_path / "recent.parquet")
    return tmp_path / "recent.parquet"


def test_windows(recent):
    """By time they are days; the one that the data cuts off is none. By number they are what fits."""
    numbers = np.concatenate([*by_time(recent, "at", 24)()])
    days, sizes = np.unique(numbers, return_counts=True)
    assert sizes.tolist() == [ROWS // 4] + [ROWS] * (DAYS - 1)
    assert _chosen(by_time(recent, "at", 24)).tolist() == days[1:].tolist()
    (numbers,) = by_rows(1050, 200)()
    assert np.isnan(numbers[1000:]).all()
    assert np.unique(numbers[:1000], return_counts=True)[1].tolist() == [200] * 5


@pytest.mark.parametrize("suffix", ["csv", "arrow"])
def test_times_of_any_file(recent, suffix, tmp_path):
    """The time may lie in CSV, as text that says one, or in Arrow."""
    path = tmp_path / f"r.{suffix}"
    rows().to_csv(path) if suffix == "csv" else rows().reset_index(drop=True).to_feather(path)
    expected = np.concatenate([*by_time(recent, "at", 24)()])
    assert np.array_equal(np.concatenate([*by_time(path, "at", 24)()]), expected)


def test_what_wanders_gets_room(baseline, recent):
    """Its thresholds are beyond nearly all of its own windows; the calm keeps the default; the moved is said."""
    found = {
        s.feature: s
        for s in spread(baseline, recent, by_time(recent, "at", 24), outputs={"@prediction": "y_hat"})
    }
    assert set(found) == {"calm", "restless", "moved", "ticket_id", "@prediction"}
    assert found["calm"].thresholds == found["@prediction"].thresholds == {"P3": 0.1, "P2": 0.25}
    restless = found["restless"]
    assert len(restless.scores) == DAYS - 1
    assert np.quantile(restless.scores, 0.95) < restless.thresholds["P3"] < 1.5 * restless.scores.max()
    assert restless.thresholds["P2"] == pytest.approx(2.5 * restless.thresholds["P3"], abs=0.01)
    assert not restless.moved
    assert found["moved"].moved
    assert found["ticket_id"].look.startswith("looks like ids")


@pytest.mark.parametrize("order", ["sorted", "shuffled"])
@pytest.mark.parametrize("cut", ["time", "rows"])
def test_data_larger_than_memory(baseline, tmp_path, monkeypatch, order, cut):
    """However the rows come in parts, and the windows over them, the scores are those of all of it at once."""
    data = rows() if order == "sorted" else rows().sample(frac=1, random_state=0)
    path = tmp_path / "recent.parquet"
    data.to_parquet(path)

    def found():
        windows = by_time(path, "at", 24) if cut == "time" else by_rows(len(data), 2100)
        return spread(baseline, path, windows, outputs={"@prediction": "y_hat"})

    whole = found()
    monkeypatch.setattr(stream, "EXACT_ROWS", 1000)
    monkeypatch.setattr(files, "BATCH_ROWS", 1777)
    monkeypatch.setattr(module, "BATCH_ROWS", 1300)
    parts = []
    monkeypatch.setattr(module, "_read", lambda part, column: parts.append(part.rows) or part.column(column))
    for one, other in zip(whole, found(), strict=True):
        assert one.feature == other.feature
        assert one.scores.tolist() == other.scores.tolist()
        assert one.look == other.look
    assert max(parts) <= 1777
    assert len(whole[0].scores) == (DAYS - 1 if cut == "time" else len(data) // 2100)


def test_no_window_is_no_reason():
    """A feature without values keeps the default."""
    assert Spread("x", np.empty(0)).thresholds == {"P3": 0.1, "P2": 0.25}
    assert not Spread("x", np.empty(0)).moved


def test_what_is_printed_can_be_pasted(baseline, recent, tmp_path, capsys, monkeypatch):
    """The command's output is YAML of driftline.yaml, with how it was found in comments; nothing is written."""
    monkeypatch.chdir(tmp_path)
    path = baseline.save(tmp_path / "b.json")
    before = sorted(tmp_path.iterdir())
    code = main(
        ["baseline", "check", str(path), "--against", str(recent), "--time", "at", "--prediction", "y_hat"]
    )
    out, err = capsys.readouterr()
    assert (code, err) == (1, "")
    assert sorted(tmp_path.iterdir()) == before
    assert "  ticket_id: looks like ids" in out
    assert "  moved: half of the windows are beyond PSI " in out
    pasted = "\n".join(line for line in out[out.index("#") :].splitlines())
    read = config.parse(f"environment: prod\n{pasted}\n", folder=tmp_path)
    model = read.models["fraud: 1"]
    assert set(model.features) == {"restless"}
    assert model.psi_thresholds("restless")["P3"] > 0.1
    assert pasted.splitlines()[-1] == "# 2 of 5 features keep the default."
    assert "P3 is 1.25 times the PSI that 95% of them stay below," in pasted


def test_calm_data_suggests_nothing(baseline, tmp_path, capsys):
    """Where every feature keeps the default there is no YAML at all, and the exit code is 0."""
    calm = Baseline.build({"x": np.random.default_rng(0).normal(size=9000)}, model="m")
    pd.DataFrame({"x": np.random.default_rng(1).normal(size=9000)}).to_csv(tmp_path / "r.csv")
    path = calm.save(tmp_path)
    assert (
        main(["baseline", "check", str(path), "--against", str(tmp_path / "r.csv"), "--window-rows", "1000"])
        == 0
    )
    out = capsys.readouterr().out
    assert "models:" not in out
    assert out.endswith("# 1 of 1 features keep the default.\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--against: say how long a window is: --time COLUMN, or --window-rows N"),
        (["--window-rows", "9000"], "gives 4 windows of 200 rows or more; 5 are needed"),
        (["--window-rows", "20"], "gives 0 windows of 200 rows or more"),
        (["--time", "none"], "recent.parquet: column 'none' is not there, there are at, calm, restless"),
        (["--time", "calm"], "column 'calm' holds no time"),
    ],
)
def test_what_was_asked_wrongly(options, said, baseline, recent, tmp_path, capsys):
    """It is said, with the remedy."""
    path = baseline.save(tmp_path / "b.json")
    assert main(["baseline", "check", str(path), "--against", str(recent), *options]) == 2
    assert said in capsys.readouterr().err


def test_windows_of_nothing(baseline, tmp_path, capsys):
    """How recent rows are cut means nothing without such rows, which is said."""
    path = baseline.save(tmp_path / "b.json")
    assert main(["baseline", "check", str(path), "--time", "at"]) == 2
    assert "give them: --against DATA" in capsys.readouterr().err


def test_data_of_another_model(baseline, tmp_path):
    """Data without any of the features is refused."""
    path = tmp_path / "x.csv"
    path.write_text("a\n" + "1\n" * 2000)
    with pytest.raises(BaselineError, match="none of the baseline's features: calm, restless"):
        spread(baseline, path, by_rows(2000, 200))
