"""Two tables, one verdict: what moved is found, what did not is left alone, and the exit code says so."""

import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import csv, parquet

from driftline.baseline import Baseline
from driftline.baseline.table import arrow_table
from driftline.cli import main
from driftline.compare import compare
from driftline.errors import BaselineError
from watched import baseline, table


@pytest.fixture(scope="module")
def built():
    return baseline()


def verdicts(built, observed, **options):
    found = compare(built, observed, outputs={"@prediction": "answer"}, **options)
    return {verdict.feature: verdict for verdict in found.verdicts}


def test_the_same_population_has_not_moved(built):
    """Other rows of one population: every feature is the same, twenty times over."""
    for seed in range(1, 21):
        found = verdicts(built, table(2000, seed=seed))
        assert [v.feature for v in found.values() if v.found] == []


def test_a_shift_is_found_and_comes_first(built):
    """The shifted feature alone drifted, and stands on top."""
    found = compare(built, table(4000, seed=5, shift=0.6))
    assert found.verdicts[0].feature == "amount"
    assert [v.feature for v in found.verdicts if v.drifted] == ["amount"]
    assert found.verdicts[0].p_value < 1e-6
    assert found.verdicts[0].scores["wasserstein"] == pytest.approx(0.6, abs=0.05)


def test_a_threshold_is_the_callers(built):
    """A shift below it is small, however sure."""
    found = verdicts(built, table(4000, seed=5, shift=0.3), threshold=2.0)
    assert (found["amount"].drifted, found["amount"].says) == (False, "small shift")


def test_few_rows_are_no_evidence(built):
    """Under 200 values nothing is called drift."""
    found = verdicts(built, table(50, seed=5, shift=3.0))
    assert (found["amount"].drifted, found["amount"].says) == (False, "too few rows")


def test_clustered_rows_are_less_evidence(built):
    """A hundred rows, each there twenty times, differ from training by chance: said, and not called drift."""
    drifted = 0
    for seed in range(20):
        few = table(20, seed=seed)
        many = {name: np.repeat(values, 20) for name, values in few.items()}
        drifted += verdicts(built, many)["amount"].drifted
    assert drifted == 0
    found = compare(built, many)
    assert any("clusters" in note for note in found.notes)


def test_faults_are_found(built):
    """Missing, unseen and out-of-range values that became many are named with their share."""
    data = table(2000, seed=7)
    data["amount"][:300] = np.nan
    data["plan"][:100] = "gold"
    data["answer"][:60] = 1e6
    found = verdicts(built, data)
    assert found["amount"].faults == {"missing": pytest.approx(0.15)}
    assert found["plan"].faults == {"unseen": pytest.approx(0.05)}
    assert found["@prediction"].faults == {"out_of_range": pytest.approx(0.03, abs=0.003)}
    assert found["member"].faults == {}


def test_the_worst_fault_comes_first(built):
    """What moved is sorted by how far, what is faulty by how much: a column that is gone is not the sixth of five."""
    data = table(2000, seed=7, shift=2.0)
    data["answer"][:1000] = np.nan
    found = compare(built, data, outputs={"@prediction": "answer"})
    assert found.drifted[0].feature == "amount"
    assert [one.feature for one in found.faulty][:2] == ["@prediction", "amount"]


def test_columns_that_came_or_went_are_noted(built):
    """A column more or less is a note, not a crash."""
    data = table(500, seed=3)
    del data["member"]
    data["colour"] = np.ones(500)
    notes = " ".join(compare(built, data).notes)
    assert "Not in the observed data: member." in notes
    assert "Not in the baseline, and not judged: answer, colour." in notes


def test_what_cannot_be_compared_is_said(built):
    """No rows, nothing in common, no table: each one clear error."""
    with pytest.raises(BaselineError, match="no rows"):
        compare(built, {"amount": np.empty(0)})
    with pytest.raises(BaselineError, match="none of the baseline's features: amount, plan"):
        compare(built, {"x": np.ones(10)})
    with pytest.raises(BaselineError):
        compare(built, 7)


def test_command(tmp_path, capsys):
    """0 when nothing moved, 1 when something did, 2 when it could not be told; a baseline or data will do."""
    import pandas as pd

    frames = {"train": table(4000), "same": table(2000, seed=2), "moved": table(2000, seed=2, shift=1.0)}
    for name, data in frames.items():
        pd.DataFrame(data).to_parquet(tmp_path / f"{name}.parquet")
    baseline().save(tmp_path / "b.json")
    train, same, moved = (str(tmp_path / f"{name}.parquet") for name in frames)
    assert main(["compare", train, same]) == 0
    assert "Nothing has moved" in capsys.readouterr().out
    assert main(["compare", train, moved, "--prediction", "answer"]) == 1
    said = capsys.readouterr().out
    assert "2,000 rows of" in said
    assert "Drifted, 1 of 4: amount." in said
    assert main(["compare", str(tmp_path / "b.json"), moved]) == 1
    assert main(["compare", train, str(tmp_path / "absent.parquet")]) == 2
    assert main(["compare", train, same, "--threshold", "0"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_one_wild_value_changes_no_verdict():
    """One value of 1e6 among 10,000 rows neither hides a shift nor makes one."""
    rng = np.random.default_rng(0)
    built = Baseline.build({"x": rng.normal(size=10_000)}, model="m")
    for shift, drifted in ((0.0, False), (0.5, True)):
        rows = rng.normal(shift, 1, 10_000)
        rows[77] = 1e6
        (verdict,) = compare(built, {"x": rows}).verdicts
        assert verdict.drifted == drifted


def test_page(tmp_path, capsys):
    """With --html the same verdict is a page: every feature in its table, what moved drawn as it was and is."""
    import pandas as pd

    train, moved, page = tmp_path / "train.parquet", tmp_path / "moved.parquet", tmp_path / "out.html"
    pd.DataFrame(table(4000)).to_parquet(train)
    data = table(2000, seed=2, shift=1.0)
    data["plan"][:300] = "<script>"
    pd.DataFrame(data).to_parquet(moved)
    assert main(["compare", str(train), str(moved), "--html", str(page)]) == 1
    text = page.read_text()
    assert "Drifted, 1 of 4: amount." in capsys.readouterr().out
    assert "<title>moved.parquet against train.parquet</title>" in text
    assert "<p>amount has moved.</p>" in text
    assert "plan: 15.0 % unseen." in text
    assert text.count("<figure>") == 2, "amount drifted, plan has faults"
    assert [
        name for name in ("amount", "plan", "member", "answer") if f'<td class="text">{name}</td>' not in text
    ] == []
    assert "<script>" not in text


def test_what_is_wrong_is_said_before_the_work(tmp_path, capsys, monkeypatch):
    """Training data may take minutes: a path that is wrong, or a page that cannot be drawn, is told first."""
    monkeypatch.setattr("driftline.cli.compare._expected", lambda _: pytest.fail("the work was begun"))
    train = tmp_path / "train.parquet"
    pd.DataFrame({"amount": np.arange(300.0)}).to_parquet(train)
    assert main(["compare", str(train), str(tmp_path / "absent.parquet")]) == 2
    assert capsys.readouterr().err == f"{tmp_path}/absent.parquet: there is no such file\n"
    monkeypatch.setitem(sys.modules, "driftline.report.comparison", None)
    assert main(["compare", str(train), str(train), "--html", str(tmp_path / "page.html")]) == 2
    assert "pip install 'driftline[report]'" in capsys.readouterr().err


def test_page_of_what_has_not_moved(built, tmp_path):
    """Nothing that moved is a page, too: it says so, and draws what came nearest."""
    from driftline.report.comparison import comparison

    found = compare(built, table(2000, seed=2))
    page = comparison(found, expected="a", expected_rows=1, observed="b", threshold=0.1)
    assert (page.tone, page.verdict) == (
        "good",
        "Nothing has moved more than chance explains and the threshold allows.",
    )
    assert len(page.sections[1].figures) == 3


def test_spread_is_what_is_scored(built):
    """The shares that are drawn are those of PSI, the observed ones before they are smoothed."""
    data = table(2000, seed=2, shift=0.5)
    (amount,) = [one for one in compare(built, data).verdicts if one.feature == "amount"]
    expected, observed = np.array(amount.spread.expected), np.array(amount.spread.observed)
    assert expected.sum() == pytest.approx(1)
    smoothed = (observed * 2000 + 10 * expected) / 2010
    assert amount.scores["psi"] == pytest.approx(((smoothed - expected) * np.log(smoothed / expected)).sum())
    assert amount.spread.bins[0].startswith("to ")
    assert observed[0] == pytest.approx(
        (data["amount"] <= float(amount.spread.bins[0][3:])).mean(), abs=0.002
    )


def test_where_a_page_cannot_be_written(tmp_path, capsys):
    """A page that cannot be written is named; the exit code says that it is not there."""
    import pandas as pd

    pd.DataFrame(table(500)).to_parquet(tmp_path / "a.parquet")
    same = str(tmp_path / "a.parquet")
    assert main(["compare", same, same, "--html", str(tmp_path)]) == 2
    assert f"{tmp_path} cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["rows.parquet", "rows.csv", "parts"])
@pytest.mark.parametrize("count", [5, 30, 4003])
def test_a_file_larger_than_memory_gets_the_same_verdict(built, name, count, tmp_path, monkeypatch):
    """Read in small batches, whose borders are not those of the twelve stretches, the same rows say the same."""
    rows = table(count, seed=9, shift=0.5)
    rows["amount"][: count // 20] = np.nan
    rows["colour"] = np.ones(count)
    arrow, path = pa.table(rows), tmp_path / name
    if name == "parts":
        path.mkdir()
        for number, start in enumerate(range(0, count, 1700)):
            parquet.write_table(arrow.slice(start, 1700), path / f"{number}.parquet")
    elif name == "rows.csv":
        csv.write_csv(arrow, path)
    else:
        parquet.write_table(arrow, path, row_group_size=600)
    read = []
    monkeypatch.setattr("driftline.baseline.files.BATCH_ROWS", 700)
    monkeypatch.setattr("driftline.baseline.files.CSV_BYTES", 0)
    monkeypatch.setattr("driftline.baseline.stream.EXACT_ROWS", 0)
    monkeypatch.setattr(
        "driftline.baseline.files.arrow_table", lambda part: read.append(part) or arrow_table(part)
    )
    outputs = {"@prediction": "answer"}
    found, wanted = compare(built, path, outputs=outputs), compare(built, rows, outputs=outputs)
    assert sum(part.num_rows for part in read) == found.rows == wanted.rows == count
    assert len(read) > 1 or count < 600 or name == "rows.csv", "it was read in batches"
    assert found.notes == wanted.notes
    for mine, whole in zip(found.verdicts, wanted.verdicts, strict=True):
        assert (mine.feature, mine.says, mine.faults) == (whole.feature, whole.says, whole.faults)
        assert mine.scores == pytest.approx(whole.scores, rel=1e-6, abs=1e-9)
        assert (mine.p_value, mine.overdispersion) == (whole.p_value, whole.overdispersion)


def test_both_sides_may_be_larger_than_memory(tmp_path, monkeypatch, capsys):
    """The command tells a shift between two files of which neither is ever read whole."""
    for seed, (name, shift) in enumerate((("train", 0.0), ("same", 0.0), ("moved", 1.0))):
        rows = pa.table(table(6000, seed=seed, shift=shift))
        parquet.write_table(rows, tmp_path / f"{name}.parquet", row_group_size=500)

    def whole(self):
        raise AssertionError(f"{self.path} was read whole")

    monkeypatch.setattr("driftline.baseline.stream.EXACT_ROWS", 4000)
    monkeypatch.setattr("driftline.baseline.stream.SAMPLE_ROWS", 3000)
    monkeypatch.setattr("driftline.baseline.files.Files.table", whole)
    train, same, moved = (str(tmp_path / f"{name}.parquet") for name in ("train", "same", "moved"))
    assert main(["compare", train, same]) == 0
    assert main(["compare", train, moved]) == 1
    said = capsys.readouterr().out
    assert "6,000 rows of" in said
    assert "Drifted, 1 of 4: amount." in said
