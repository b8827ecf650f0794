"""Baselines: built from data of any kind, saved, and read back believing nothing."""

# ruff: noqa: PD011 - values of a feature, not of a DataFrame

import contextlib
import copy
import datetime as dt
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from driftline import names
from driftline.baseline import Baseline, bins
from driftline.baseline.bins import digest
from driftline.columns import Coded
from driftline.errors import BaselineError

ROWS = 2000


def table(rows=ROWS, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    return {
        "amount": np.round(rng.lognormal(3 + shift, 1, rows), 2),
        "country": np.array(["de", "fr", "at"], object)[rng.choice(3, rows, p=[0.6, 0.3, 0.1])],
        "member": rng.random(rows) < 0.4,
        "note": [" ".join(["word"] * n) for n in rng.integers(1, 900, rows)],
        "score": rng.random(rows),
        "answer": rng.normal(10, 2, rows),
        "label": rng.integers(0, 2, rows),
    }


def build(data=None, **options):
    return Baseline.build(table() if data is None else data, **{"model": "m"} | options)


def faults_of(call, *arguments, **options):
    with pytest.raises(BaselineError) as caught:
        call(*arguments, **options)
    return caught.value.faults


# --- what is built ----------------------------------------------------------------------------


def test_kinds():
    """Numbers, categories, booleans and the length of free text are told apart."""
    features = build(prediction="answer", score="score", task="regression", ground_truth="label").features
    assert {name: feature.kind for name, feature in features.items()} == {
        "amount": "numeric",
        "country": "categorical",
        "member": "boolean",
        "note": "text_length",
        "@prediction": "numeric",
        "@score": "numeric",
    }


def test_numbers():
    """128 fine bins fold into ten, each of about a tenth; the file's share is the smoothed one."""
    amount = build().features["amount"]
    assert amount.fine >= 100
    assert amount.bins == tuple(f"{n:02d}" for n in range(10))
    assert amount.ratios == pytest.approx(0.1, abs=0.02)
    data = table()["amount"]
    assert amount.mean == pytest.approx(data.mean())
    assert amount.stddev == pytest.approx(data.std())
    assert amount.quantiles["0.5"] == np.quantile(data, 0.5, method="inverted_cdf")
    assert amount.sums.sum() == pytest.approx(np.clip(data, *amount.range).sum())


def test_an_atom_has_fine_bins_of_its_own():
    """A value of exactly 1/128 of the rows is apart from its neighbours on either side."""
    values = np.concatenate((np.linspace(0, 1, 12_700), np.full(100, 0.50001)))
    feature = build({"x": values}, features=["x"]).features["x"]
    assert feature.counts[np.searchsorted(feature.edges[1:-1], 0.50001)] == 100


def test_a_tenth_stands_alone():
    """A value of exactly a tenth is a bin of its own; runs lighter than a twentieth a piece stay whole."""
    assert bins.fold_of(np.array([1, 1, 10, 1, 1, 86])).tolist() == [0, 0, 1, 2, 2, 3]
    assert bins.fold_of(np.array([2, 2, 5, 2, 89])).tolist() == [0, 0, 1, 1, 2]


@pytest.mark.parametrize(
    ("values", "spans"),
    [
        ([1, 2, 3], ("to 1.5", "1.5 to 2.5", "above 2.5")),
        ([1_772_452_800, 1_772_452_802], ("to 1772452801", "above 1772452801")),
        ([1e9, 1e9 + 2, 1e9 + 4], ("to 1000000001", "1000000001 to 1000000003", "above 1000000003")),
        ([7], ("all",)),
        (["a", "b"], ("a", "b")),
        ([True, False], ("false", "true")),
    ],
)
def test_spans_say_what_a_bin_holds(values, spans):
    """A bin is written by its ends, with as many digits as tell them apart; a category by its name."""
    feature = build({"x": np.repeat(np.array(values), 100)}).features["x"]
    assert feature.layout.spans() == spans


def test_more_atoms_than_bins():
    """The least joins its lesser neighbour, until there are ten."""
    counts = np.array([3, 180, 1, 190, 2, 200, 4, 210, 5, 200, 6])
    assert bins.fold_of(counts).tolist() == [0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_categories():
    """The commonest come first; those of 20 rows are named, the rest is other."""
    data = ["b"] * 300 + ["a"] * 300 + ["rare"] * 19 + ["12"] * 20 + ["other"] * 40 + ["=x"] * 50
    country = build({"c": data}).features["c"]
    assert country.categories == ("a", "b", "=x", "other", "12", "rare")
    assert country.bins == ("a", "b", "==x", "=other", "=12", "other")
    assert country.fold.tolist() == [0, 1, 2, 3, 4, 5]
    assert country.counts.tolist() == [300, 300, 50, 40, 20, 19]


def test_categories_beyond_the_kept():
    """Eleven are named, 64 kept, and rows of others are booked as unseen and in no share."""
    data = [f"c{n:03d}" for n in range(80) for _ in range(100 - n)]
    feature = build({"c": data}).features["c"]
    assert feature.bins == (*(f"c{n:03d}" for n in range(11)), "other")
    assert len(feature.categories) == 64
    left_out = sum(100 - n for n in range(64, 80))
    assert feature.faults == {"missing": 0, "unseen": left_out, "wrong_type": 0}
    assert feature.values == len(data) - left_out
    assert feature.ratios[-1] == pytest.approx(
        (sum(100 - n for n in range(11, 64)) + 0.5) / (feature.values + 6)
    )


def test_booleans():
    """False, true, 0, 1 and their texts are two values, whatever type they come as."""
    feature = build({"b": [True, False, None, True]}).features["b"]
    assert (feature.kind, feature.bins, feature.counts.tolist()) == ("boolean", ("false", "true"), [1, 2])
    assert feature.faults == {"missing": 1, "unseen": 0, "wrong_type": 0}
    for column in (
        np.array([0, 1, 1]),
        np.array([0.0, 1.0, 1.0], np.float32),
        Coded(np.array([0, 1, 1]), ("false", "true")),
    ):
        assert feature.count(column).values.tolist() == [1, 2]
    assert feature.count(np.array([2, 1])).faults.tolist() == [0, 1, 0, 0]


def test_lengths_of_text():
    """The length is that of what the wire carries; what is no text is a wrong type, NaN is missing."""
    data = ["x" * (n % 97) for n in range(400)]
    feature = build({"t": data}).features["t"]
    assert feature.kind == "text_length"
    mixed = np.empty(5, object)
    mixed[:] = ["é" * 100, None, 7, float("nan"), b"x"]
    assert feature.count(mixed).faults.tolist() == [2, 0, 2, 0]
    assert feature.count(mixed).sums.sum() == 60 + 8
    assert feature.count(np.array([np.nan, 1.0])).faults.tolist() == [1, 0, 1, 0]
    long = feature.count(Coded(np.array([0, -1]), ("x" * 4000,)))
    assert (long.values[-1], long.sums[-1], long.faults[3]) == (1, feature.range[1], 1)


def test_a_wild_value_is_cut_to_the_range_within_its_bin():
    """Counted where it lies, summed where the range ends, and never outside of its own bin."""
    built = build({"x": np.linspace(0, 1, 5000)}, features=["x"])
    feature = built.features["x"]
    found = feature.count(np.array([-1e300, 0.5, 7.0]))
    assert found.faults.tolist() == [0, 0, 0, 2]
    assert (found.values[0], found.values[-1]) == (1, 1)
    assert (found.sums[0], found.sums[-1]) == feature.range
    narrow = build({"x": np.append(np.linspace(0.4, 0.6, 5000), 0.99)}, features=["x"], edges_from=built)
    feature = narrow.features["x"]
    top = np.flatnonzero(feature.counts)[-1]
    assert feature.range[1] < feature.edges[top] <= feature.sums[top]


def test_out_of_range():
    """Values beyond the thousandth are out of range, and in the outer bin as well."""
    feature = build({"x": np.arange(10_000) / 10}).features["x"]
    assert feature.range == (0.95, 998.95)
    assert feature.faults[names.OUT_OF_RANGE] == 20
    counted = feature.count(np.array([-1e9, 500.0, 1e300, np.inf, np.nan]))
    assert counted.faults.tolist() == [1, 0, 1, 2]
    assert (counted.values[0], counted.values[-1]) == (1, 1)


def test_range_is_compared_exactly():
    """A float32 is compared as it is: 0.1 of that width is above 0.1."""
    feature = replace(build({"x": [0.0, 1.0]}).features["x"], range=(0.0, 0.1))
    assert feature.count(np.array([0.1], np.float32)).faults.tolist() == [0, 0, 0, 1]
    assert feature.count(np.array([0.1])).faults.tolist() == [0, 0, 0, 0]


def test_binning_tells_kinds_apart():
    """Lengths and numbers on equal edges are not one series."""
    sizes = np.random.default_rng(0).integers(1, 90, 300)
    features = build({"n": sizes, "t": ["x" * size for size in sizes.tolist()]}).features
    assert features["n"].edges.tolist() == features["t"].edges.tolist()
    assert features["n"].binning != features["t"].binning


@pytest.mark.parametrize("value", [9.99, -9.99, 0.0, 1e300, 5e-324])
def test_a_constant(value):
    """A constant is one bin; the same value in float32 is not out of range."""
    feature = build({"x": np.full(50, value)}, features=["x"]).features["x"]
    assert (feature.bins, feature.stddev, feature.mean) == (("00",), 0.0, value)
    with np.errstate(over="ignore", under="ignore"):
        narrow = np.array([value]).astype(np.float32)
    if np.isfinite(narrow).all() and (narrow != 0).all():
        assert feature.count(narrow).faults.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("options", "task"),
    [
        ({"prediction": "answer"}, "regression"),
        ({"prediction": "label"}, "classification"),
        ({"prediction": "member"}, "classification"),
        ({"prediction": "country"}, "classification"),
        ({"prediction": "answer", "score": "score"}, "classification"),
        ({"score": "score"}, "classification"),
        ({"prediction": "label", "task": "ranking"}, "ranking"),
        ({}, None),
    ],
)
def test_task(options, task):
    """A score, text, booleans and few whole numbers mean classification; what was said comes first."""
    assert build(**options).task == task


def test_outputs():
    """A prediction is categories iff the task is classification; scores may be several."""
    assert build(prediction="label").features["@prediction"].kind == "categorical"
    assert build(prediction="label", task="regression").features["@prediction"].kind == "numeric"
    assert build(prediction="member", task="regression").features["@prediction"].kind == "numeric"
    assert faults_of(build, prediction="country", task="regression") == (
        "@prediction, column 'country', holds no number, only str",
    )
    many = build(score={"yes": "score", "no": "answer"}).features
    assert {"@score.yes", "@score.no"} <= set(many)
    assert "score" not in many
    assert faults_of(build, score="country") == ("@score, column 'country', holds no number, only str",)


def test_number_columns_said_to_be_categories():
    """A numeric column named in categorical is one; 1 and 1.0 are one category."""
    plan = build({"plan": np.array([1.0, 2.0, 2.0, np.nan] * 30)}, categorical=["plan"]).features["plan"]
    assert plan.categories == ("2", "1")
    assert plan.faults["missing"] == 30


# --- what is skipped --------------------------------------------------------------------------

SKIPPED = {
    "customer_id": [f"{n % 900:05d}" for n in range(1000)],
    "userId": np.random.default_rng(0).permutation(1000) * 7919,
    "row": np.arange(1000),
    "uuid4": [f"{n:08x}-0000-4000-8000-{n:012x}" for n in range(1000)],
    "contact": [f"someone{n % 50}@example.org" for n in range(1000)],
    "created": 1.7e9 + np.random.default_rng(0).random(1000) * 1e7,
    "created_ms": (1_700_000_000_000 + np.random.default_rng(0).integers(0, 10**10, 1000)).astype(float),
    "day": [f"2026-01-{1 + n % 28:02d}" for n in range(1000)],
    "moment": pd.date_range("2026-01-01", periods=1000, freq="min"),
    "items": [[1] * (n % 9) for n in range(1000)],
    "nothing": [None] * 1000,
}
KEPT = {
    "age": np.random.default_rng(0).integers(18, 90, 1000),
    "paid": np.random.default_rng(0).normal(50, 9, 1000),
    "sorted": np.sort(np.random.default_rng(0).normal(size=1000)),
    "kid": ["yes", "no"] * 500,
    "price": np.round(np.random.default_rng(0).lognormal(9, 2, 1000)),
}


@pytest.mark.parametrize("name", SKIPPED)
def test_skipped_by_name(name, caplog):
    """Ids, e-mail addresses, points in time, lists and nothing at all are skipped, and said to be."""
    baseline = build({name: SKIPPED[name], **KEPT})
    assert list(baseline.skipped) == [name]
    assert f"{name}: skipped, as it " in caplog.text
    assert list(baseline.features) == list(KEPT)


@pytest.mark.parametrize("name", ["customer_id", "userId", "row", "uuid4", "contact", "created", "day"])
def test_what_was_asked_for_is_never_skipped(name):
    """Whatever looks like an id is watched once it is named."""
    assert list(build({name: SKIPPED[name], **KEPT}, features=[name]).features) == [name]


@pytest.mark.parametrize("name", ["moment", "items", "nothing"])
def test_what_was_asked_for_and_cannot_be(name):
    """What has no distribution is refused by name, never left out in silence."""
    (fault,) = faults_of(build, SKIPPED, features=[name])
    assert fault.startswith(f"feature {name!r} holds ")


# --- what the data may be ---------------------------------------------------------------------


def frame():
    data = table()
    return pd.DataFrame(data | {"country": pd.Series(data["country"], dtype="str")})


def as_parquet(folder):
    frame().to_parquet(folder / "train.parquet")
    return folder / "train.parquet"


def as_csv(folder):
    frame().to_csv(folder / "train.csv", index=False)
    return str(folder / "train.csv")


def as_compressed_csv(folder):
    frame().to_csv(folder / "train.csv.gz", index=False)
    return folder / "train.csv.gz"


@pytest.mark.parametrize(
    "form",
    [
        lambda _: frame(),
        lambda _: frame().astype(object),
        lambda _: frame().convert_dtypes(),
        lambda _: frame().convert_dtypes(dtype_backend="pyarrow"),
        lambda _: pa.Table.from_pandas(frame()),
        lambda _: pa.RecordBatchReader.from_batches(
            pa.Table.from_pandas(frame()).schema, pa.Table.from_pandas(frame()).to_batches(300)
        ),
        as_parquet,
        as_csv,
        as_compressed_csv,
    ],
    ids=["pandas", "objects", "nullable", "arrow-backed", "arrow", "stream", "parquet", "csv", "csv.gz"],
)
def test_every_kind_of_table_gives_the_same_bins(form, tmp_path):
    """One and the same data is one and the same baseline, however it is held."""
    expected, found = build(), build(form(tmp_path))
    assert list(found.features) == list(expected.features)
    for name, feature in expected.features.items():
        other = found.features[name]
        assert (other.kind, other.binning, other.bins) == (feature.kind, feature.binning, feature.bins)
        assert other.counts.tolist() == feature.counts.tolist()


@pytest.mark.parametrize(
    ("series", "kind", "values", "missing"),
    [
        (pd.Series([1, None, 3] * 20, dtype="Int64"), "numeric", 40, 20),
        (pd.Series([1.5, None, 3] * 20, dtype="Float32"), "numeric", 40, 20),
        (pd.Series([True, None, False] * 20, dtype="boolean"), "boolean", 40, 20),
        (pd.Series([True, None, False] * 20, dtype=object), "boolean", 40, 20),
        (pd.Series([3, 1, 3] * 20, dtype="category"), "categorical", 60, 0),
        (pd.Series([f"c{n}" for n in range(60)], dtype="category"), "categorical", 60, 0),
        (pd.Series(["a", None, "b"] * 20), "categorical", 40, 20),
        (pd.Series(["a", 1, 2.5, None] * 20, dtype=object), "numeric", 40, 20),
        (pd.Series(["a", "b", "a", 1] * 20, dtype=object), "categorical", 80, 0),
        (pd.Series([1, 2, 3] * 20, dtype="uint8"), "numeric", 60, 0),
        (pd.Series([2**63, 2**63 + 2048, 5] * 20, dtype="uint64"), "numeric", 60, 0),
        (pd.Series([2**70, 1, None] * 20, dtype=object), "numeric", 40, 20),
        (pa.chunked_array([pa.array([Decimal("1.10"), None, Decimal("2.25")] * 20)]), "numeric", 40, 20),
        (pa.array(["x", "y", None] * 20).dictionary_encode(), "categorical", 40, 20),
        (pa.array([1, 2, None] * 20).dictionary_encode(), "numeric", 40, 20),
        (pa.array([1, 2, None] * 20, pa.float16()), "numeric", 40, 20),
        (np.ma.masked_equal([1, 2, 3] * 20, 2), "numeric", 40, 20),
        (np.array([1, 2, 3] * 20, np.float16), "numeric", 60, 0),
        (iter([1, 2, 3] * 20), "numeric", 60, 0),
    ],
)
def test_columns(series, kind, values, missing):
    """Nullable, categorical, decimal, dictionary and mixed columns are read as what they hold."""
    data = {"c": series} if not isinstance(series, pd.Series) else series.to_frame("c")
    feature = build(data, features=["c"]).features["c"]
    assert (feature.kind, feature.values, feature.faults["missing"]) == (kind, values, missing)


@pytest.mark.parametrize(
    "column",
    [
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([[1], [2]]),
        pa.array([b"a", b"b"]),
        pa.array([1, 2], pa.timestamp("us", "UTC")),
        pa.array([1, 2], pa.date32()),
        pa.array([1, 2], pa.duration("s")),
        pd.Series(pd.period_range("2026", periods=2, freq="M")),
        pd.Series(pd.timedelta_range("1h", periods=2)),
        pd.Series(pd.date_range("2026", periods=2, tz="UTC")),
        pd.Series([dt.date(2026, 1, 1), dt.date(2026, 1, 2)]),
        np.array([1j, 2j]),
        np.ones((2, 1)),
        [["a", "b"], ["c", "d"]],
        np.array([b"a", b"b"]),
        pa.nulls(2),
    ],
    ids=str,
)
def test_columns_that_cannot_be_features(column):
    """What is neither number nor text is refused by the column's name."""
    (fault,) = faults_of(build, {"c": column}, features=["c"])
    assert fault.startswith("feature 'c' holds ")
    temporal = "time" in str(getattr(column, "dtype", getattr(column, "type", "")))
    assert ("points in time" in fault) >= temporal
    assert build({"c": column, "x": [1.0, 2.0]}).skipped.keys() == {"c"}


def test_an_array_is_unnamed_columns():
    """The columns of a plain array are x0, x1, as a sender calls them."""
    assert list(build(np.random.default_rng(0).normal(size=(100, 3))).features) == ["x0", "x1", "x2"]


def test_the_index_that_pandas_writes_is_no_feature(tmp_path):
    """A DataFrame's index in a Parquet file is passed over."""
    path = tmp_path / "t.parquet"
    frame().sample(frac=0.5, random_state=1).to_parquet(path)
    assert "__index_level_0__" not in build(path).features | build(path).skipped


AT_NAME = (
    "column '@a' cannot be a feature: a name is text of 1 to 256 bytes that does not begin with @; "
    "rename it or ignore it"
)


@pytest.mark.parametrize(
    ("data", "options", "faults"),
    [
        ({}, {}, ["the data has no rows"]),
        ({"a": []}, {}, ["the data has no rows"]),
        ({"a": [1], "b": [1, 2]}, {}, ["the columns are of different lengths: a 1, b 2"]),
        ({"a": [1]}, {"prediction": "y", "ignore": ["z"]},
         ["column 'y' is not in the data, which has a", "column 'z' is not in the data, which has a"]),
        ({"a": [1]}, {"features": "a"}, ['features is a list of columns; write ["a"]']),
        ({"a": [1]}, {"features": ["a", "a"]}, ["feature 'a' is named twice"]),
        ({"a": [1]}, {"features": ["a"], "prediction": "a"}, ["feature 'a' is named in another role, too"]),
        ({"@a": [1]}, {}, [AT_NAME]),
        ({"a": [1]}, {"model": ""}, ["model must be text of 1 to 128 bytes, not ''"]),
        ({"a": [1]}, {"version": 3}, ["version must be text of 1 to 128 bytes, not 3"]),
        ({"a": [1]}, {"task": "guessing"},
         ["task must be one of classification, regression, ranking, forecasting, generation, not 'guessing'"]),
        ({"a": [None]}, {}, ["no column is left to watch; a holds no number: every row is missing"]),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), {}, ["column 'a' stands twice in the data"]),
        (pa.table([[1], [2]], ["a", "a"]), {}, ["column 'a' stands twice in the data"]),
        (pd.Series([1]), {}, ["the data is a Series; give a DataFrame, an Arrow table, a dictionary of columns or a path"]),
        (7, {}, ["the data is a int; give a DataFrame, an Arrow table, a dictionary of columns or a path"]),
    ],
    ids=str,
)  # fmt: skip
def test_what_was_asked_wrongly(data, options, faults):
    """Every fault is named at once, with the remedy."""
    assert faults_of(build, data, **options) == tuple(faults)


def test_files_that_cannot_be_read(tmp_path):
    """A missing, broken or endless file is one clear error."""
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "bad.csv").write_bytes(b"a,b\n1,2,3\n")
    for name, said in (
        ("none.csv", "no such file"),
        ("pipe.csv", "is no file"),
        ("bad.parquet", "neither Parquet"),
        ("bad.csv", "neither"),
    ):
        (fault,) = faults_of(build, tmp_path / name)
        assert fault.startswith(f"{tmp_path / name}: ")
        assert said in fault
        assert "\n" not in fault


@pytest.mark.parametrize("absent", ["pyarrow", "pandas"])
def test_without_what_reads_it(absent, tmp_path):
    """A dictionary is built from and a file loaded with numpy alone; a table's file needs pyarrow, not pandas."""
    (tmp_path / "x.csv").write_text("x\n1\n2\n")
    code = f"""
import sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name == {absent!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent)
from driftline.baseline import Baseline
from driftline.errors import BaselineError
built = Baseline.build({{"x": [1.0, 2.0, 3.0] * 9, "c": ["a", "b", None] * 9}}, model="m")
assert Baseline.load(built.save("out")).id == built.id
try:
    print(*Baseline.build("x.csv", model="m").features)
except BaselineError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    said = {"pyarrow": "to read x.csv takes pyarrow: pip install 'driftline[baseline]'", "pandas": "x"}
    assert done.stdout.strip() == said[absent]


# --- older edges ------------------------------------------------------------------------------


def test_inherited_bins():
    """A retrain keeps bins, labels and binning; shares and counts are its own."""
    old = build(version="1")
    new = build(table(seed=1), version="2", edges_from=old)
    for name, feature in new.features.items():
        assert feature.binning == old.features[name].binning
        assert feature.values == ROWS
    assert new.id != old.id
    assert new.features["amount"].counts.tolist() != old.features["amount"].counts.tolist()


def test_inherited_from_a_file(tmp_path):
    """Edges may come from a file, whose own faults are named."""
    path = build().save(tmp_path)
    assert (
        build(table(seed=1), edges_from=path).features["amount"].binning == build().features["amount"].binning
    )
    path.write_text("{")
    (fault,) = faults_of(build, edges_from=str(path))
    assert fault.startswith(f"{path}: is no JSON")


def test_a_feature_that_became_something_else_gets_bins_of_its_own(caplog):
    """Bins that hold less than half of the values are no reference any more."""
    old = build({"c": ["a", "b"] * 50, "n": np.arange(100.0)}, features=["c", "n"])
    new = build({"c": ["x", "y"] * 50, "n": ["u", "v"] * 50}, edges_from=old, features=["c", "n"])
    assert new.features["c"].categories == ("x", "y")
    assert new.features["n"].kind == "categorical"
    assert "c: what it holds does not fit the older baseline" in caplog.text


def test_what_was_constant_gets_bins():
    """One bin says nothing and is not inherited."""
    old = build({"x": np.zeros(100)}, features=["x"])
    assert len(build({"x": np.arange(100.0)}, features=["x"], edges_from=old).features["x"].bins) == 10


def test_what_was_watched_stays_watched():
    """What looks like an id and was asked for once is not skipped by the next build on its bins."""
    data = {name: SKIPPED[name] for name in ("userId", "row")} | KEPT
    old = build(data, features=["userId"])
    new = build(data, edges_from=old)
    assert "userId" in new.features
    assert list(new.skipped) == ["row"]


def test_a_bin_that_ran_empty_is_said():
    """Less than 5 % in an inherited bin is odd, though none holds more than 20 %."""
    values = np.random.default_rng(0).random(9000)
    old = build({"x": values})
    (line,) = build({"x": values[(values < 0.3) | (values > 0.4)]}, edges_from=old).oddities()
    assert line.startswith("x: its bins hold 0.")


def test_shares_that_left_their_bounds_are_said(caplog):
    """Inherited bins that hold less than 5 or more than 20 % are odd; those of fresh data are not."""
    old = build(table(9000))
    assert not [line for line in old.oddities() if "its bins hold" in line]
    moved = build(table(9000, seed=1, shift=0.7), edges_from=old)
    (line,) = [line for line in moved.oddities() if "its bins hold" in line]
    assert line.startswith("amount: its bins hold ")
    assert "--edges-from none (edges_from=None) cuts them anew" in line
    assert line in caplog.text
    again = build(table(9000, seed=2, shift=0.7), edges_from=moved)
    assert [line.split(":")[0] for line in again.oddities()] == ["amount"]
    assert not build(table(9000, seed=1), edges_from=old).oddities()


def test_oddities():
    """Few rows, one bin and many categories that are not kept are said."""
    words = [f"w{n % 500}" for n in range(900)]
    lines = build({"one": [1.0] * 900, "many": words}, categorical=["many"]).oddities()
    assert lines == [
        "built from 900 rows; drift is judged well from 1000 on",
        "one: has one bin, so only its faults tell anything",
        "many: has one bin, so only its faults tell anything",
        "many: 772 of 900 rows are of categories that are not kept",
    ]


# --- the file ---------------------------------------------------------------------------------


def test_id():
    """The id is that of the content: not of the moment, not of the order of rows or their container."""
    data = table()
    order = np.random.default_rng(3).permutation(ROWS)
    shuffled = pd.DataFrame(data).iloc[order].to_dict("list")
    early = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    one = build(data, created=early)
    assert one.created == "2026-01-01T00:00:00Z"
    assert one.id == build(data).id == build({name: np.asarray(shuffled[name]) for name in data}).id
    assert one.id != build(data, version="2").id
    assert one.id != build(data, fallback=True).id


def test_save(tmp_path):
    """A folder gives the file its name, percent-encoded; nothing else is left behind."""
    path = build(model="a/b ~ü", version="*").save(tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "a%2Fb%20%7E%C3%BC@%2A.baseline.json"
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert build().save(tmp_path / "mine.json") == tmp_path / "mine.json"
    assert Baseline.load(path).model == "a/b ~ü"
    (tmp_path / "file").write_text("")
    (fault,) = faults_of(build().save, tmp_path / "file")
    assert "cannot be written" in fault


def test_the_published_schema_holds():
    """docs/baseline.schema.json describes what is written, and what is refused without numpy."""
    schema = json.loads((Path(__file__).parents[2] / "docs" / "baseline.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema)
    for baseline in (
        build(prediction="label", score="score", dataset_version="2026-01"),
        build({"x": [1.0]}),
        build({"c": ["é", "other", None] * 30}, fallback=True),
        build(SKIPPED | KEPT),
    ):
        check.validate(json.loads(baseline.to_json()))
    document = json.loads(build().to_json())
    for spoil in BROKEN.values():
        broken = copy.deepcopy(document)
        spoil[0](broken)
        if not spoil[2]:
            assert not check.is_valid(broken), spoil[1]


def _set(path, value):
    def spoil(document):
        place = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return spoil


def _drop(*path):
    def spoil(document):
        place = document
        for key in path[:-1]:
            place = place[key]
        del place[path[-1]]

    return spoil


AMOUNT, COUNTRY, MEMBER = (("features", n) for n in range(3))
# what is done to a sound file, what load says, and whether only the values' meaning is wrong
BROKEN = {
    "no model": (_drop("model"), "model is not there", False),
    "model of a number": (_set(("model",), 3), "model must be text of 1 to 128 bytes, not 3", False),
    "unknown task": (_set(("task",), "magic"), "task must be null or one of", False),
    "rows of text": (_set(("rows",), "many"), "rows must be a whole number from 0, not 'many'", False),
    "rows of a fraction": (_set(("rows",), 1.5), "rows must be a whole number", False),
    "rows of a boolean": (_set(("rows",), True), "rows must be a whole number", False),
    "created at noon": (_set(("created",), "noon"), "created must be a time such as", False),
    "fallback of a number": (_set(("fallback",), 1), "fallback must be true or false", False),
    "skipped of a list": (_set(("skipped",), []), "skipped must be texts by column", False),
    "features of an object": (_set(("features",), {}), "features must be a list", False),
    "a feature of text": (_set(("features", 0), "amount"), "features must be a list", False),
    "unknown kind": (_set((*AMOUNT, "kind"), "vector"), "kind must be one of numeric, text_length", False),
    "kind of a list": (_set((*AMOUNT, "kind"), []), "kind must be one of", False),
    "no counts": (_drop(*AMOUNT, "counts"), "counts is not there", False),
    "counts of nothing": (_set((*COUNTRY, "counts"), []), "counts must hold at least one bin", False),
    "negative counts": (_set((*AMOUNT, "counts", 3), -1), "counts must be a list of at most 1024 whole", False),
    "counts of fractions": (_set((*AMOUNT, "counts", 3), 0.5), "counts must be a list", False),
    "counts beyond int64": (_set((*AMOUNT, "counts", 3), 2**64), "counts must be a list", False),
    "counts too many": (_set((*AMOUNT, "counts"), [1] * 1025), "counts must be a list", False),
    "nested counts": (_set((*AMOUNT, "counts", 3), [1]), "counts must be a list", False),
    "wrong counts": (_set((*AMOUNT, "counts", 3), 999), "counts and faults add up to", True),
    "edges of text": (_set((*AMOUNT, "edges", 3), "1"), "edges must be a list of at most 1024 numbers", False),
    "edges beyond float64": (_set((*AMOUNT, "edges", 3), 10**400), "edges must be a list", True),
    "falling edges": (_set((*AMOUNT, "edges", 3), -5.0), "edges must be one fewer than counts, and rise", True),
    "edges too few": (_drop(*AMOUNT, "edges", 3), "edges must be one fewer than counts", True),
    "sums too few": (_drop(*AMOUNT, "sums", 3), "sums must be as many as counts", True),
    "wrong sums": (_set((*AMOUNT, "sums", 3), 1e12), "sums must be those of values inside the edges", True),
    "fold too short": (_drop(*AMOUNT, "fold", 3), "fold must be as many as counts", True),
    "falling fold": (_set((*AMOUNT, "fold", 0), 5), "fold must be as many as counts, rise", True),
    "fold beyond bins": (_set((*AMOUNT, "fold", -1), 12), "fold must be as many as counts, rise", True),
    "wrong bins": (_set((*AMOUNT, "bins", 0), "zero"), "bins must be 00, 01", True),
    "bins twice": (_set((*COUNTRY, "bins", 0), "fr"), "bins must be de, fr, at", True),
    "ratios too few": (_drop(*AMOUNT, "ratios", 0), "ratios must be as many as bins", True),
    "wrong ratios": (_set((*AMOUNT, "ratios", 0), 0.5), "ratios must be (n_b + 0.5) / (n + 0.5 B)", True),
    "wrong binning": (_set((*AMOUNT, "binning"), "0" * 12), "binning must be that of the fold", True),
    "range backwards": (_set((*AMOUNT, "range"), [2, 1]), "range must be two numbers, the lower one first", True),
    "range of one": (_set((*AMOUNT, "range"), [2]), "range must be two numbers", False),
    "negative deviation": (_set((*AMOUNT, "stddev"), -1), "stddev must be a number from 0", False),
    "quantiles of text": (_set((*AMOUNT, "quantiles"), {"0.5": "x"}), "quantiles must be numbers", False),
    "categories twice": (_set((*COUNTRY, "categories", 0), "fr"), "categories must be as many as counts, and", False),
    "categories of numbers": (_set((*COUNTRY, "categories", 0), 1), "categories must be a list of", False),
    "half a character": (_set((*COUNTRY, "categories", 0), "\ud800"), "categories must be a list of", True),
    "a third truth": (_set((*MEMBER, "categories"), ["no", "yes"]), "categories of a boolean must be", True),
    "unknown faults": (_set((*COUNTRY, "faults"), {"odd": 1}), "faults must be missing, unseen", False),
    "reserved name": (_set((*AMOUNT, "name"), "@secret"), "name must be a feature's name", False),
    "name twice": (_set((*COUNTRY, "name"), "amount"), "'amount' is there twice", True),
}  # fmt: skip


def spoilt(spoil):
    """Return a file's text after *spoil*, with the id that its content then has."""
    document = json.loads(build().to_json())
    spoil(document)
    content = {key: value for key, value in document.items() if key not in ("id", "created")}
    with contextlib.suppress(UnicodeEncodeError):
        document["id"] = digest(content)
    return json.dumps(document)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file(name):
    """Each fault of a file is named, though its id was made to match."""
    spoil, said, _ = BROKEN[name]
    faults = faults_of(Baseline.from_json, spoilt(spoil))
    assert any(said in fault for fault in faults), faults


def test_two_bins_of_one_name():
    """Labels that would be one series are refused."""

    def spoil(document):
        document["features"][1] |= {"fold": [0, 0, 1], "bins": ["other", "other"], "ratios": [0.9, 0.1]}

    assert "features[1] 'country': bins must be other" in faults_of(Baseline.from_json, spoilt(spoil))


def test_a_sum_of_nothing():
    """A bin without values has no sum."""
    older = build({"x": np.arange(200.0)}, features=["x"])
    document = json.loads(build({"x": np.arange(150.0)}, features=["x"], edges_from=older).to_json())
    assert document["features"][0]["counts"][-1] == 0
    document["features"][0]["sums"][-1] = 500.0
    content = {key: value for key, value in document.items() if key not in ("id", "created")}
    assert faults_of(Baseline.from_json, json.dumps(document | {"id": digest(content)})) == (
        "features[0] 'x': sums must be those of values inside the edges",
    )


def test_all_faults_at_once():
    """A file with many faults names them all, each with its feature."""

    def spoil(document):
        for name in ("no model", "negative counts", "categories twice", "fallback of a number"):
            BROKEN[name][0](document)

    faults = faults_of(Baseline.from_json, spoilt(spoil))
    assert [fault.split(":")[0] for fault in faults] == [
        "model is not there",
        "fallback must be true or false, not 1",
        "features[0] 'amount'",
        "features[1] 'country'",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no JSON"),
        ("[1, 2", "is no JSON"),
        ("[]", 'has no "format"'),
        ('{"format": "1"}', 'has no "format"'),
        ('{"format": true}', 'has no "format"'),
        ('{"format": 2}', "is of format 2, this driftline reads 1: upgrade driftline"),
        ('{"format": 0}', "build it anew"),
        ('{"format": 1, "format": 1}', "an object holds 'format' twice"),
        ('{"format": 1, "rows": NaN}', "NaN is no number of JSON"),
        ('{"format": 1, "rows": -Infinity}', "-Infinity is no number of JSON"),
        ('{"format": 1, "rows": 1e999}', "rows must be a whole number"),
        ('{"format": 1, "rows": ' + "9" * 5000 + "}", "is no JSON"),
        ("[" * 200_000, "nested too deeply"),
        ('{"format": 1, "x": ' + "[" * 900 + "]" * 900 + "}", "model is not there"),
    ],
)
def test_a_hostile_text(text, said):
    """What is no JSON, or not what it says, is one clear error."""
    assert any(said in fault for fault in faults_of(Baseline.from_json, text))


def test_a_truncated_file_at_every_length():
    """A file cut anywhere is refused, never read in part."""
    text = build({"x": [1.0, 2.0] * 9}, features=["x"]).to_json()
    for size in range(len(text) - 2):
        with pytest.raises(BaselineError):
            Baseline.from_json(text[:size])


def test_an_edited_file_is_told_by_its_id():
    """A sound file that was changed does not pass for what it was."""
    text = build().to_json().replace('"model": "m"', '"model": "n"')
    assert faults_of(Baseline.from_json, text) == (
        "id is not that of the content, which was edited or damaged: build it anew",
    )


def test_keys_of_a_later_release_are_passed_over():
    """A file with more than this release knows is read, and keeps its id."""

    def spoil(document):
        document["performance"] = {"auc": 0.9}
        document["features"][0]["losses"] = [1.0]

    text = spoilt(spoil)
    assert Baseline.from_json(text).id == json.loads(text)["id"]


def test_what_is_no_file(tmp_path):
    """A folder, a pipe, a missing, a huge and a binary file are refused at once, by name."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(100 << 20)
    for name, said in (
        ("", "cannot be read: Is a directory"),
        ("pipe", "is no file"),
        ("absent", "cannot be read: No such file"),
        ("huge", "is larger than 33554432 bytes"),
        ("binary", "not UTF-8"),
    ):
        (fault,) = faults_of(Baseline.load, tmp_path / name)
        assert fault.startswith(f"{tmp_path / name}: ")
        assert said in fault


def test_a_reader_never_sees_half_a_file(tmp_path):
    """While one file is written over and over, every reading of it is whole."""
    versions = [build({"x": np.arange(400.0) + n}, features=["x"]) for n in range(2)]
    path = versions[0].save(tmp_path)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            for baseline in versions:
                baseline.save(path)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert {Baseline.load(path).id for _ in range(50)} <= {baseline.id for baseline in versions}
    finally:
        stop.set()
        writer.join()


def test_numpy_is_enough():
    """A sidecar loads baselines without pandas, pyarrow and scipy."""
    code = "import driftline.baseline, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tempfile.gettempdir()
    )
    assert not {"pandas", "pyarrow", "scipy"} & set(done.stdout.split())
