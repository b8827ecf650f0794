"""``driftline baseline``: what it prints, what it writes, and how it ends."""

import json

import numpy as np
import pandas as pd
import pytest

from driftline.baseline import Baseline
from driftline.cli import main

ROWS = 3000


def train(folder, name="train.parquet", seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "customer_id": rng.permutation(ROWS) * 7919,
            "amount": rng.normal(50 + shift, 10, ROWS),
            "plan": rng.choice(["basic", "plus"], ROWS),
            "code": rng.integers(1, 4, ROWS),
            "y_hat": rng.integers(0, 2, ROWS),
            "p1": rng.random(ROWS),
            "p0": rng.random(ROWS),
            "y": rng.integers(0, 2, ROWS),
        }
    )
    path = folder / name
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    return str(path)


@pytest.fixture
def command(tmp_path, capsys, monkeypatch):
    """Run the command in an empty folder; return its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code = main(["baseline", *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def build(command, data, *options, version="1", model="fraud"):
    code, out, err = command("build", data, "--model", model, "--version", version, *options)
    assert (code, err) == (0, "")
    return out


def test_build(command, tmp_path):
    """A file is written with what was asked for; what is left out is said once, by name."""
    out = build(
        command, train(tmp_path, "train.csv"), "--prediction", "y_hat", "--score", "p1", "--ground-truth", "y",
        "--categorical", "code", "--ignore", "p0", "--dataset-version", "2026-01", "--fallback", "--output", "out",
    )  # fmt: skip
    baseline = Baseline.load(tmp_path / "out" / "fraud@1.baseline.json")
    assert list(baseline.features) == ["amount", "plan", "code", "@prediction", "@score"]
    assert {name: baseline.features[name].kind for name in ("code", "@prediction")} == {
        "code": "categorical",
        "@prediction": "categorical",
    }
    assert (baseline.task, baseline.fallback, baseline.dataset_version) == ("classification", True, "2026-01")
    assert out.count("customer_id") == 1
    assert "  customer_id: skipped, as it looks like ids: by its name, and as every row has another" in out
    assert out.splitlines()[-1] == "out/fraud@1.baseline.json: 5 features from 3000 rows"


def test_what_is_watched_is_named(command, tmp_path):
    """A label that was left in would be missing in every row served: it is seen before it is served."""
    data = train(tmp_path)
    said = "  watches amount, plan, code, y_hat, p1, p0, y: what the service never sends of these, leave out with --ignore"
    assert said in build(command, data).splitlines()
    assert "watches" not in build(command, data, "--features", "amount")
    code, _, err = command("build", data, "--model", "fraud", "--features", "amount,plan")
    assert (code, "column 'amount,plan' is not in the data" in err) == (2, True)
    assert err.endswith("; give each of them by itself\n")


def test_build_of_chosen_features(command, tmp_path):
    """Options that take lists are repeated; a version that is not said serves all."""
    code, _, _ = command(
        "build", train(tmp_path), "--model", "m", "--features", "amount", "--features", "plan"
    )
    assert code == 0
    assert list(Baseline.load("m@%2A.baseline.json").features) == ["amount", "plan"]


def test_scores_of_several_classes(command, tmp_path):
    """A score of its own for each class is CLASS=COLUMN, or the column's name."""
    build(command, train(tmp_path), "--score", "yes=p1", "--score", "p0", "--output", "b.json")
    assert {"@score.yes", "@score.p0"} < set(Baseline.load("b.json").features)


def test_the_newest_older_baseline_is_found(command, tmp_path):
    """What lies where the new file goes gives its edges, the newest of this model, and is named."""
    first, second = train(tmp_path), train(tmp_path, "second.parquet", seed=1)
    out = build(command, first, "--output", "b")
    assert "keeps the bins" not in out
    out = build(command, second, "--output", "b", version="2")
    assert "  keeps the bins of b/fraud@1.baseline.json\n" in out
    one, two = (Baseline.load(f"b/fraud@{n}.baseline.json") for n in (1, 2))
    assert two.features["amount"].binning == one.features["amount"].binning
    assert two.id != one.id
    out = build(command, second, "--output", "b", model="other")
    assert "keeps the bins" not in out
    document = json.loads((tmp_path / "b/fraud@1.baseline.json").read_text()) | {
        "created": "2099-01-01T00:00:00Z"
    }
    (tmp_path / "b/fraud@0.baseline.json").write_text(json.dumps(document))
    assert "fraud@0.baseline.json" in build(command, second, "--output", "b", version="3")


def test_a_file_that_is_built_again_keeps_its_bins(command, tmp_path):
    """Building into the same .json file keeps its bins, too."""
    build(command, train(tmp_path), "--output", "mine.json")
    before = Baseline.load("mine.json").features["amount"].binning
    out = build(command, train(tmp_path, "two.csv", seed=1), "--output", "mine.json")
    assert "  keeps the bins of mine.json\n" in out
    assert Baseline.load("mine.json").features["amount"].binning == before


def test_edges_from_none(command, tmp_path):
    """Bins are cut anew where that is said."""
    build(command, train(tmp_path), "--output", "b")
    out = build(
        command, train(tmp_path, "two.csv", seed=1), "--output", "b", "--edges-from", "none", version="2"
    )
    assert "keeps the bins" not in out
    one, two = (Baseline.load(f"b/fraud@{n}.baseline.json").features["amount"].binning for n in (1, 2))
    assert one != two


def test_edges_from_a_file(command, tmp_path):
    """The file that is said comes before what lies in the output folder."""
    build(command, train(tmp_path), "--output", "a")
    build(command, train(tmp_path, "two.csv", seed=1), "--output", "b")
    data = train(tmp_path, "three.csv", seed=2)
    out = build(command, data, "--output", "b", "--edges-from", "a/fraud@1.baseline.json", version="2")
    assert "  keeps the bins of a/fraud@1.baseline.json\n" in out


def test_an_older_baseline_that_is_broken(command, tmp_path):
    """It is not passed over in silence: that would erase last week's reference."""
    (tmp_path / "fraud@1.baseline.json").write_text("{")
    (tmp_path / "other@1.baseline.json").write_text("{")
    code, _, err = command("build", train(tmp_path), "--model", "fraud", "--version", "2")
    assert code == 2
    assert err.splitlines()[0].startswith("fraud@1.baseline.json: is no JSON")
    assert (
        err.splitlines()[1] == "its bins cannot be kept; give another --edges-from FILE, or --edges-from none"
    )
    assert not (tmp_path / "fraud@2.baseline.json").exists()


def test_moved_data_is_said(command, tmp_path):
    """Inherited bins that no longer fit are named, with the remedy."""
    build(command, train(tmp_path))
    out = build(command, train(tmp_path, "two.csv", seed=1, shift=15), version="2")
    assert "  amount: its bins hold " in out
    assert "--edges-from none" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.csv"], ["none.csv: there is no such file"]),
        (
            ["train.parquet", "--features", "a", "--ignore", "b"],
            ["column 'a' is not in", "column 'b' is not in"],
        ),
        (["train.parquet", "--score", "plan"], ["@score, column 'plan', holds no number, only str"]),
        (
            ["train.parquet", "--edges-from", "none.json"],
            ["none.json: cannot be read: No such file", "its bins"],
        ),
        (
            ["train.parquet", "--output", "train.parquet/x"],
            ["train.parquet/x/m@%2A.baseline.json: cannot be written"],
        ),
    ],
)
def test_build_that_cannot_be(command, tmp_path, arguments, said):
    """Each fault is one line; nothing is written; the exit code is 2."""
    train(tmp_path)
    code, _, err = command("build", *arguments, "--model", "m")
    assert code == 2
    assert len(err.splitlines()) == len(said)
    assert all(line.startswith(start) for line, start in zip(err.splitlines(), said, strict=True)), err
    assert not list(tmp_path.glob("*.json*"))


def test_show(command, tmp_path):
    """Each feature is one line: its kind, bins, faults, quantiles and shares; what was skipped below."""
    build(command, train(tmp_path), "--prediction", "y_hat")
    code, out, _ = command("show", "fraud@1.baseline.json")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "fraud 1, classification, 3000 rows"
    assert lines[3].split() == [
        "feature",
        "kind",
        "bins",
        "missing",
        "5",
        "%",
        "median",
        "95",
        "%",
        "bins",
        "by",
        "share",
    ]
    rows = {line.split()[0]: line for line in lines[4:] if line}
    assert rows["amount"].split()[1:4] == ["numeric", "10", "0.0%"]
    assert "basic 50%, plus 50%" in rows["plan"] or "plus 50%, basic 50%" in rows["plan"]
    assert rows["@prediction"].split()[1] == "categorical"
    assert lines[-1].startswith("skipped customer_id: looks like ids")


def test_show_a_folder(command, tmp_path):
    """Each of its baselines; what cannot be read, and where there is none, below."""
    for version in "12":
        Baseline.build({"c": ["a", "b"] * 30}, model="m", version=version).save(tmp_path / "b")
    (tmp_path / "b/broken.json").write_text("{")
    (tmp_path / "empty").mkdir()
    code, out, err = command("show", "b", "empty", "none.json", "n" * 300)
    assert code == 2
    assert [line for line in out.splitlines() if line.startswith("m ")] == [
        "m 1, task unknown, 60 rows",
        "m 2, task unknown, 60 rows",
    ]
    assert [line.partition(":")[0] for line in err.splitlines()] == [
        "empty",
        "none.json",
        "n" * 300,
        "b/broken.json",
    ]
    assert "no baseline in this folder" in err
    assert "cannot be read: File name too long" in err


def test_show_obeys_no_category(command, tmp_path):
    """What a stranger typed moves no cursor and breaks no line."""
    Baseline.build({"c": ["\x1b[2J\nfraud"] * 30 + ["b"] * 40}, model="m").save(tmp_path)
    _, out, _ = command("show", "m@%2A.baseline.json")
    assert "b 57%, ?[2J?fraud 43%" in out
    assert "\x1b" not in out


def test_check(command, tmp_path):
    """Sound baselines end with 0, odd and broken ones with 1, absent ones with 2; each is looked at."""
    build(command, train(tmp_path), "--output", "b")
    assert command("check", "b") == (0, "b/fraud@1.baseline.json: sound\n", "")
    copy = (tmp_path / "b/fraud@1.baseline.json").read_text()
    (tmp_path / "b/z.json").write_text(copy)
    (tmp_path / "b/a.json").write_text(copy.replace("fraud", "theft"))
    code, out, err = command("check", "b")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "b/a.json: id is not that of the content, which was edited or damaged: build it anew",
        "b/fraud@1.baseline.json: sound",
        "b/z.json: 1 to look at",
        "  b/fraud@1.baseline.json is for the same model and version; the sidecar refuses two",
    ]
    code, out, err = command("check", "none.json", "b/z.json")
    assert (code, err) == (2, "none.json: there is no such file\n")
    assert "b/z.json: sound" in out


def test_check_of_few_rows(command, tmp_path):
    """What makes scores less telling is found."""
    Baseline.build({"x": [1.0] * 5}, model="m").save(tmp_path)
    code, out, _ = command("check", "m@%2A.baseline.json")
    assert code == 1
    assert out.splitlines()[1:] == [
        "  built from 5 rows; drift is judged well from 1000 on",
        "  x: has one bin, so only its faults tell anything",
    ]


def test_parts_are_merged(command, tmp_path):
    """Parts counted on one baseline's bins, each by itself, are merged into the baseline of all rows."""
    build(command, train(tmp_path), "--prediction", "y_hat", "--score", "p1", "--output", "plan.json")
    outputs = ("--prediction", "y_hat", "--score", "p1")
    for number in range(3):
        data = train(tmp_path, f"{number}.parquet", seed=number)
        code, out, err = command(
            "part", data, "--of", "plan.json", *outputs, "--output", f"parts/{number}.json"
        )
        assert (code, err) == (0, "")
        assert out == f"parts/{number}.json: 7 features from 3000 rows\n"
    code, out, err = command("merge", "parts", "--output", "whole")
    assert (code, out, err) == (0, "whole/fraud@1.baseline.json: 7 features from 9000 rows\n", "")
    code, _, _ = command("part", "[0-2].parquet", "--of", "plan.json", *outputs, "--output", "all.json")
    assert code == 0
    merged, whole = Baseline.load("whole/fraud@1.baseline.json"), Baseline.load("all.json")
    for name, feature in merged.features.items():
        assert feature.counts.tolist() == whole.features[name].counts.tolist()
        assert feature.faults == whole.features[name].faults


def test_parts_of_other_bins_are_refused(command, tmp_path):
    """Whatever cannot be added up is named, feature by feature, with the remedy; nothing is written."""
    build(command, train(tmp_path), "--output", "a.json")
    build(command, train(tmp_path, "b.parquet", seed=1), "--output", "b.json")
    code, _, err = command("merge", "a.json", "b.json", "--output", "whole.json")
    assert code == 2
    assert (
        "part 2: amount: its edges, range, quantiles differ from those of the first; count every part on the "
        "bins of one baseline: driftline baseline part (Baseline.part)"
    ) in err.splitlines()
    build(command, train(tmp_path), "--ignore", "amount", "--output", "c.json", version="2")
    code, _, err = command("merge", "a.json", "c.json", "none.json", "--output", "whole.json")
    assert (code, err) == (2, "none.json: there is no such file\n")
    code, _, err = command("merge", "a.json", "c.json", "--output", "whole.json")
    assert err.splitlines() == [
        "part 2: its version is '2', that of the first '1'",
        "part 2: its features are others, or in another order: amount",
    ]
    (tmp_path / "x.csv").write_text("amount\n1\n")
    code, _, err = command("part", "x.csv", "--of", "a.json", "--output", "part.json")
    assert code == 2
    assert "column 'plan' is not in the data, which has amount" in err.splitlines()
    assert not list(tmp_path.glob("whole*")) + list(tmp_path.glob("part.json"))
