"""Baselines of what is larger than memory: the same as of what is not, within stated bounds."""

# ruff: noqa: PD011 - values of a feature, not of a DataFrame

import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from driftline import histogram
from driftline.baseline import Baseline, files, stream
from driftline.errors import BaselineError

ROWS = 3000


def frame(rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": np.round(rng.lognormal(3, 1, rows), 2),
            "gap": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
            "country": rng.choice(["de", "fr", "at"], rows),
            "member": rng.random(rows) < 0.4,
            "order_id": rng.permutation(rows) + 10**6,
            "y_hat": rng.normal(10, 2, rows),
        }
    )


def parts(data=None, size=700):
    data = frame() if data is None else data
    return [data.iloc[start : start + size] for start in range(0, len(data), size)]


def build(data, **options):
    return Baseline.build(data, model="m", prediction="y_hat", **options)


@pytest.fixture
def small(monkeypatch):
    """Let everything be larger than memory, and the sample be this large."""

    def limit(sample):
        monkeypatch.setattr(stream, "EXACT_ROWS", 0)
        monkeypatch.setattr(stream, "SAMPLE_ROWS", sample)
        monkeypatch.setattr(stream, "HELD_BYTES", 10_000)
        monkeypatch.setattr(files, "CSV_BYTES", 0)
        monkeypatch.setattr(files, "BATCH_ROWS", 500)

    return limit


def as_parquet(path):
    pq.write_table(pa.Table.from_pandas(frame()), path / "t.parquet", row_group_size=400)
    return path / "t.parquet"


def as_arrow(path):
    with pa.ipc.new_file(path / "t.arrow", pa.Table.from_pandas(frame()).schema) as file:
        for part in parts():
            file.write_table(pa.Table.from_pandas(part))
    return path / "t.arrow"


def as_csv(path):
    frame().to_csv(path / "t.csv", index=False)
    return path / "t.csv"


def as_folder(path):
    """As Spark leaves it."""
    folder = path / "train" / "day=1"
    folder.mkdir(parents=True)
    for number, part in enumerate(parts()):
        part.to_parquet(folder / f"part-{number:05d}.snappy.parquet", index=False)
    (path / "train" / "_SUCCESS").touch()
    return path / "train"


def as_pattern(path):
    as_folder(path)
    return str(path / "train" / "*" / "part-*.parquet")


def as_csv_parts(path):
    for number, part in enumerate(parts()):
        part.to_csv(path / f"{number}.csv.gz", index=False)
    return path / "*.csv.gz"


FORMS = {
    "parquet": as_parquet,
    "arrow": as_arrow,
    "csv": as_csv,
    "folder": as_folder,
    "pattern": as_pattern,
    "csv parts": as_csv_parts,
    "frames": lambda _: iter(parts()),
    "list of tables": lambda _: [pa.Table.from_pandas(part, preserve_index=False) for part in parts()],
    "reader": lambda _: pa.Table.from_pandas(frame()).to_reader(400),
    "dictionaries": lambda _: (part.to_dict("list") for part in parts()),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_fits_is_built_as_one_table(form, tmp_path):
    """However the rows come, one and the same data has one and the same id."""
    assert build(form(tmp_path)).id == build(frame()).id


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_what_does_not_fit_differs_by_rounding_only(form, tmp_path, small):
    """Read in batches, with a sample that holds every row, all but the rounding of sums is as in memory."""
    whole = build(frame())
    small(ROWS)
    found = build(form(tmp_path))
    assert (found.rows, found.task, found.skipped) == (whole.rows, whole.task, whole.skipped)
    assert list(found.features) == list(whole.features)
    for name, feature in found.features.items():
        expected = whole.features[name]
        for field in ("kind", "dtype", "bins", "binning", "values", "range", "quantiles", "faults"):
            assert getattr(feature, field) == getattr(expected, field), (name, field)
        for field in ("edges", "counts", "fold", "ratios"):
            assert np.array_equal(getattr(feature, field), getattr(expected, field)), (name, field)
        assert feature.sums == pytest.approx(expected.sums, rel=1e-9)
        assert (feature.mean, feature.stddev) == pytest.approx((expected.mean, expected.stddev), rel=1e-9)


def test_a_sample_is_off_by_no_more_than_is_stated(small):
    """Shares of the bins, found by a sample of an eighth of sorted rows, are within the bound for its size."""
    data = frame(80_000).sort_values("amount")
    exact = build(data)
    small(10_000)
    found = build(iter(parts(data, 9000)))
    bound = np.sqrt(np.log(2 / 1e-6) / (2 * 10_000))
    for name in ("amount", "gap", "@prediction"):
        feature, expected = found.features[name], exact.features[name]
        assert feature.values == expected.values
        edges = feature.edges[1:-1]
        place = np.searchsorted(np.sort(data[name.replace("@prediction", "y_hat")].dropna()), edges, "right")
        assert np.array_equal(feature.counts.cumsum()[:-1], place), "counts are those of all rows"
        assert len(feature.bins) == 10
        folded = feature.layout.folded(feature.counts) / feature.values
        assert np.abs(folded - 0.1).max() < 2 * bound + 1 / 128
        assert feature.faults["out_of_range"] / feature.rows == pytest.approx(0.002, abs=0.001)
        for key, value in feature.quantiles.items():
            rank = (data[name.replace("@prediction", "y_hat")].dropna() <= value).mean()
            assert abs(rank - float(key)) < bound


def test_a_sample_is_always_the_same(small):
    """Built twice, or from batches that are cut elsewhere, a baseline has the same bins."""
    small(1000)
    one, other = (build(iter(parts(size=size))) for size in (700, 41))
    assert [f.binning for f in one.features.values()] == [f.binning for f in other.features.values()]
    assert one.features["amount"].counts.tolist() == other.features["amount"].counts.tolist()


def test_ids_are_told_from_numbers_by_a_sample(small):
    """Whole numbers that run on are ids; those that repeat are not, though few of a sample do."""
    rng = np.random.default_rng(3)
    data = pd.DataFrame({"order": np.arange(60_000), "cents": rng.integers(0, 60_000, 60_000), "x": 1.5})
    small(4000)
    found = Baseline.build(iter(parts(data, 5000)), model="m")
    assert list(found.features) == ["cents", "x"]
    assert found.skipped["order"].startswith("looks like ids: whole numbers that run on")


@pytest.mark.parametrize(
    ("later", "kind"),
    [
        ("7", "int64"),
        ("7.5", "float64"),
        ("", "float64"),
        ("n/a", "float64"),
        ("seven", "text"),
        ("true", "text"),
    ],
)
def test_types_of_csv_hold_for_every_row(later, kind, tmp_path, small, monkeypatch):
    """What the last rows of a large CSV hold decides its types as it does where all of it is read at once."""
    path = tmp_path / "t.csv"
    rows = [f"{n % 90},{n % 7}" for n in range(400_000)]
    path.write_text("\n".join(["a,b", *rows, f"{later},1", "3,1"]) + "\n")
    expected = Baseline.build(path, model="m", features=["a", "b"])
    assert expected.features["a"].dtype == kind
    monkeypatch.setattr(files, "CSV_BYTES", 0)
    monkeypatch.setattr(stream, "SAMPLE_ROWS", 10**6)
    found = Baseline.build(path, model="m", features=["a", "b"])
    for name in ("a", "b"):
        assert found.features[name].dtype == expected.features[name].dtype
        assert found.features[name].counts.tolist() == expected.features[name].counts.tolist()


def test_parts_of_other_types_are_one_table(tmp_path, small):
    """Whole numbers in one part and fractions in another are numbers; categories stay what they are."""
    one = pd.DataFrame({"x": np.arange(100), "c": pd.Categorical(["a", "b"] * 50)})
    two = pd.DataFrame({"x": np.arange(100) / 2, "c": pd.Categorical(["b", "c"] * 50)})
    expected = Baseline.build(pd.concat([one, two]), model="m")
    small(10_000)
    found = Baseline.build([one, two], model="m")
    for name in ("x", "c"):
        assert found.features[name].kind == expected.features[name].kind
        assert found.features[name].counts.tolist() == expected.features[name].counts.tolist()


def test_nothing_is_left_behind(tmp_path, small, monkeypatch):
    """Batches that can be read only once lie in a temporary folder, and are gone when the baseline is built."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    small(1000)
    seen = []

    def watched():
        for part in parts():
            seen.append(len(list(tmp_path.glob("driftline-*/*.arrow"))))
            yield part

    build(watched())
    assert max(seen) > 1
    assert not list(tmp_path.iterdir())
    with pytest.raises(BaselineError):
        build(iter([frame(), 7]))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("faster", [True, False])
def test_sums_do_not_hang_on_the_machine(faster, monkeypatch):
    """Served rows may be summed to 7 digits where a machine sorts slowly; training data is summed the one exact way."""
    data = frame(40_000)
    exact = {name: np.sort(data[name].dropna()) for name in ("amount", "gap")}
    monkeypatch.setattr(histogram, "_grid_is_faster", lambda: faster)
    built = build(data)
    assert build(data.sample(frac=1, random_state=1)).id == built.id
    for name, values in exact.items():
        feature = built.features[name]
        place = np.searchsorted(feature.edges[1:-1], values)
        assert feature.sums[1:-1] == pytest.approx(np.bincount(place, values)[1:-1], rel=1e-12)


def _mixed_formats(path):
    as_csv(path)
    as_parquet(path)
    return path


def _other_types(path):
    pq.write_table(pa.table({"x": [1, 2]}), path / "a.parquet")
    pq.write_table(pa.table({"x": ["a", "b"]}), path / "b.parquet")
    return path


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (lambda path: path, "is an empty folder"),
        (lambda path: path / "*.parquet", "no file has such a name"),
        (_mixed_formats, "holds csv and parquet; give files of one format"),
        (_other_types, "Field x has incompatible types: int64 vs string"),
        (lambda _: [frame(), 7], "batch 1 is a int; give DataFrames or Arrow tables"),
        (lambda _: [pd.DataFrame({"x": [1, "a"]})], "batch 0 cannot be read: "),
        (lambda _: [pd.DataFrame({"x": [1]}), pd.DataFrame({"x": ["a"]})], "are not of one table"),
        (lambda _: iter([]), "the data has no rows"),
    ],
)
def test_what_cannot_be_read(data, said, tmp_path):
    """A bad part is one clear error that names it."""
    with pytest.raises(BaselineError) as caught:
        Baseline.build(data(tmp_path), model="m")
    assert said in str(caught.value)


def test_memory_is_bounded(tmp_path):
    """850 MB of rows are built from in less than a quarter of that."""
    path = tmp_path / "t.parquet"
    rng = np.random.default_rng(0)
    rows = 1 << 18
    texts = pa.array([f"{number}" * 100 for number in range(5)])
    table = pa.table(
        {
            "x": rng.normal(size=rows),
            "y": rng.lognormal(size=rows),
            **{name: pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, 5, rows)), texts).cast("string") for name in "cd"},
        }
    )  # fmt: skip
    with pq.ParquetWriter(path, table.schema) as file:
        for _ in range(16):
            file.write_table(table)
    megabytes = 16 * table.nbytes / 1e6
    assert megabytes > 850
    code = """
    import resource, sys
    from driftline.baseline import Baseline
    from pyarrow import dataset, csv
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    built = Baseline.build(sys.argv[1], model="m")
    print(built.rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), path], capture_output=True, text=True, check=True
    )
    rows, grown = map(float, done.stdout.split())
    assert rows == 16 * table.num_rows
    assert grown < megabytes / 4
