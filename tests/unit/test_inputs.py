"""What callers hand over, as columns."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from driftline.columns import Coded
from driftline.instrumentation.inputs import read_features, read_prediction, read_score
from driftline.instrumentation.parts import Unreadable, columns


def plain(table):
    """Return columns as lists, with None for what is missing."""
    found = {}
    for name, column in table.items():
        if isinstance(column, Coded):
            found[name] = [None if code < 0 else column.texts[code] for code in column.codes.tolist()]
        else:
            found[name] = [None if value != value else value for value in column.tolist()]  # noqa: PLR0124 - NaN
    return found


def read(features, kept=None, names=None):
    part = read_features(features, names)
    part.own(None if kept is None else np.array(kept))
    return plain(columns([[part]], [part.rows if kept is None else len(kept)]))


ROWS = {"a": [1.5, 2.5, 3.5], "b": ["x", None, "y"]}


@pytest.mark.parametrize(
    "features",
    [
        pd.DataFrame(ROWS),
        ROWS,
        {name: np.array(values, object) for name, values in ROWS.items()},
        {name: pd.Series(values) for name, values in ROWS.items()},
        [{"a": 1.5, "b": "x"}, {"a": 2.5}, {"b": "y", "a": 3.5}],
        pd.DataFrame(ROWS).astype({"b": "category"}),
        pd.DataFrame(ROWS).convert_dtypes(),
        pl.DataFrame(ROWS),
        {name: pl.Series(values) for name, values in ROWS.items()},
        pl.DataFrame(ROWS, schema_overrides={"b": pl.Categorical}),
        pa.table(ROWS),
        pa.table(ROWS).to_batches()[0],
        pa.concat_tables([pa.table(ROWS).slice(0, 1), pa.table(ROWS).slice(1)]),
        {name: pa.array(values) for name, values in ROWS.items()},
        np.array([(1.5, "x"), (2.5, None), (3.5, "y")], [("a", "f8"), ("b", object)]),
        np.rec.array([(1.5, "x"), (2.5, None), (3.5, "y")], dtype=[("a", "f8"), ("b", object)]),
    ],
    ids=[
        "frame",
        "lists",
        "arrays",
        "series",
        "dictionaries",
        "category",
        "nullable",
        "polars",
        "polars series",
        "polars categories",
        "arrow",
        "arrow batch",
        "arrow chunks",
        "arrow arrays",
        "structured",
        "records",
    ],
)
def test_tables(features):
    """Whatever holds a table, it is the same rows; so are some of them, and some of its columns."""
    assert read(features) == ROWS
    assert read(features, kept=[0, 2]) == {"a": [1.5, 3.5], "b": ["x", "y"]}
    part = read_features(features).only(lambda name: name == "b")
    part.own(None)
    assert plain(columns([[part]], [3])) == {"b": ROWS["b"]}


class Tensor:
    """What a tensor of any framework shows of itself, around one of numpy."""

    def __init__(self, values, device=1, needs_gradient=False):
        self._values, self._device, self._needs_gradient = np.asarray(values), device, needs_gradient

    def detach(self):
        return Tensor(self._values, self._device)

    def __dlpack_device__(self):
        return (self._device, 0)

    def __dlpack__(self, **options):
        if self._needs_gradient or self._device != 1:
            raise BufferError("not to be had")
        return self._values.__dlpack__(**options)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8", "?"])
def test_tensors(dtype):
    """A tensor in this machine's memory is read as the array it is, gradients or not."""
    values = np.array([[1, 0], [0, 1], [1, 1]], dtype)
    assert read(Tensor(values, needs_gradient=True)) == read(values)
    assert read({"a": Tensor(values[:, 0]), "b": Tensor(values[:, 1])}, kept=[2]) == {"a": [1], "b": [1]}
    assert read({"input": Tensor(values)}, names=("p", "q")) == read(values, names=("p", "q"))
    part = read_prediction(Tensor(values[:, 0], needs_gradient=True))
    part.own(None)
    assert plain(columns([[part]], [3])) == {"@prediction": [1, 0, 1]}
    part = read_score(Tensor(values), ["no", "yes"])
    part.own(None)
    assert plain(columns([[part]], [3])) == {"@score": [0, 1, 1]}


def test_tensors_stay_on_their_device():
    """What lies on a device is not copied from there: it is named, and its protocol never asked for the values."""
    for read_it in (read_features, read_prediction, read_score):
        with pytest.raises(Unreadable, match=r"test_inputs\.Tensor lies on a device"):
            read_it(Tensor([[1.0]], device=2))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"])
def test_sparse(form):
    """What a sparse matrix does not hold is 0 and not missing, whatever its form, and of the rows that are kept."""
    dense = np.array([[0.0, 1.5, 0.0], [2.5, 0.0, np.nan], [0.0, 0.0, 0.0], [0.0, 3.5, 0.0]])
    for make in (f"{form}_array", f"{form}_matrix"):
        matrix = getattr(sparse, make)(dense)
        for kept in (None, [1, 3]):
            part = read_features(matrix)
            part.own(None if kept is None else np.array(kept))
            rows = np.arange(4 if kept is None else 2)
            found = [column[rows] for column in columns([[part]], [len(rows)]).values()]
            assert np.array_equal(np.transpose(found), dense if kept is None else dense[kept], equal_nan=True)


def test_sparse_is_never_dense():
    """A hundred thousand rows of two thousand columns cost what they hold: whole they were 1.6 GB."""
    matrix = sparse.random_array((100_000, 2000), density=1e-4, rng=0, format="csr")
    tracemalloc.start()
    part = read_features(matrix)
    part.own(None)
    table = columns([[part]], [100_000])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * part.row_bytes * 100_000 < 20e6
    some = np.arange(50_000, 50_010)
    assert np.array_equal(np.transpose([column[some] for column in table.values()]), matrix[some].toarray())


def test_sparse_calls_are_joined():
    """Calls of few rows are one column each, and a column that only some calls have is missing in the others."""
    parts = [read_features(sparse.csr_array([[0.0, float(at)]])) for at in range(3)]
    other = read_features({"x0": 7.0})
    for part in (*parts, other):
        part.own(None)
    table = columns([parts, [other]], [3, 1])
    assert plain(table) == {"x0": [0.0, 0.0, 0.0, 7.0], "x1": [0.0, 1.0, 2.0, None]}


def test_masked():
    """What is masked is missing."""
    masked = np.ma.masked_array([[1, 2], [3, 4]], [[True, False], [False, False]])
    assert read(masked, names=("p", "q")) == {"p": [None, 3.0], "q": [2.0, 4.0]}
    assert read(masked, kept=[0]) == {"x0": [None], "x1": [2.0]}


def test_moments():
    """Moments are seconds since 1970, and NaT is missing."""
    assert read({"t": np.array(["1970-01-01T00:00:01.5", "NaT"], "M8[ns]")}) == {"t": [1.5, None]}
    assert read(pd.DataFrame({"t": pd.to_datetime(["1970-01-01T00:01", None])})) == {"t": [60.0, None]}
    assert read({"t": np.array([1500, "NaT"], "m8[ms]")}) == {"t": [1.5, None]}


@pytest.mark.parametrize(
    "make",
    [
        pl.DataFrame,
        pd.DataFrame,
        pa.table,
        lambda columns: np.column_stack(list(columns.values())),
        lambda columns: sparse.csr_array(np.column_stack(list(columns.values()))),
        lambda columns: {name: pl.Series(values) for name, values in columns.items()},
    ],
    ids=["polars", "pandas", "arrow", "numpy", "sparse", "series"],
)
def test_a_copy_holds_nothing_large(make):
    """The copy of a row does not keep the whole table alive that it was cut from."""
    whole = make({"a": np.arange(200_000.0), "b": np.arange(200_000.0)})
    row = {name: column[5:6] for name, column in whole.items()} if isinstance(whole, dict) else whole[5:6]
    part = read_features(row)
    part.own(None)
    assert len(pickle.dumps(part)) < 20_000


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ({"a": 1, "b": "x", "c": None, "d": True}, {"a": [1], "b": ["x"], "c": [None], "d": [True]}),
        (np.array([1.0, 2.0]), {"x0": [1.0], "x1": [2.0]}),
        ([1, 2], {"x0": [1], "x1": [2]}),
        ((1, "x"), {"x0": [1], "x1": ["x"]}),
        ([[1, "x"], [2, "y"]], {"x0": [1, 2], "x1": ["x", "y"]}),
        ([np.array([1.0, 2.0]), np.array([3.0, 4.0])], {"x0": [1.0, 3.0], "x1": [2.0, 4.0]}),
        (["first", "second"], {"x0": ["first", "second"]}),
        (np.array(["first", "second"]), {"x0": ["first", "second"]}),
        (np.array([["a", 1], ["b", 2]], object), {"x0": ["a", "b"], "x1": [1, 2]}),
        (pd.Series({"a": 1.0, "b": 2.0}), {"a": [1.0], "b": [2.0]}),
        (pd.Series(["x", "y"], name="t"), {"t": ["x", "y"]}),
        (pd.DataFrame([[1, 2], [3, 4]]), {"0": [1, 3], "1": [2, 4]}),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), {"a": [1]}),
        (3.5, {"x0": [3.5]}),
        ("text", {"x0": ["text"]}),
        (np.float32(0.5), {"x0": [0.5]}),
        (np.array(3.0), {"x0": [3.0]}),
        (np.array([(1.5, 2)], [("a", "f8"), ("b", "i4")])[0], {"a": [1.5], "b": [2]}),
        (pl.Series("t", ["x", None]), {"t": ["x", None]}),
        (pl.DataFrame({"a": [1, None], "c": [True, None]}), {"a": [1.0, None], "c": [True, None]}),
        (pa.array([1, None]), {"x0": [1.0, None]}),
        ({"input": np.ones((2, 2))}, {"x0": [1.0, 1.0], "x1": [1.0, 1.0]}),
    ],
)
def test_forms(features, expected):
    """What is one row, and what is one column."""
    assert read(features) == expected


def test_given_names():
    """Names are given to what has none, where their number fits."""
    assert read(np.ones((1, 2)), names=("p", "q")) == {"p": [1.0], "q": [1.0]}
    assert read([[1.0, 1.0]], names=("p", "q")) == {"p": [1.0], "q": [1.0]}
    assert read(np.ones((1, 2)), names=("p",)) == {"x0": [1.0], "x1": [1.0]}


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i8", "u8", "?"])
def test_dtypes_are_kept(dtype):
    """The caller's number type is the column's."""
    part = read_features(np.ones((3, 2), dtype))
    part.own(None)
    assert columns([[part]], [3])["x0"].dtype == dtype


@pytest.mark.parametrize(
    "features",
    [
        iter([1]),
        {1, 2},
        {},
        object(),
        np.zeros((1, 1, 1)),
        pl.LazyFrame({"a": [1]}),
        [object()],
        [[1.0], [1.0, 2.0]],
        {"a": [1], "b": [1, 2]},
        {"a": [1], "b": 2},
    ],
    ids=lambda features: type(features).__name__,
)
def test_unreadable(features):
    """What is not known is named, never guessed or consumed."""
    with pytest.raises(Unreadable):
        read_features(features)


@pytest.mark.parametrize(
    ("prediction", "expected"),
    [
        (np.array([1, 0]), [1, 0]),
        (np.array([[1.0], [2.0]]), [1.0, 2.0]),
        ([True, False], [True, False]),
        (("a", None), ["a", None]),
        (pd.Series(["a", "b"], index=["x", "y"]), ["a", "b"]),
        (np.array(["a", "b"]), ["a", "b"]),
        (3, [3]),
        (np.int64(3), [3]),
        (np.array(3.5), [3.5]),
        (pl.Series([1.5, None]), [1.5, None]),
        (pl.DataFrame({"p": ["a", "b"]}), ["a", "b"]),
        (pa.chunked_array([[1.5], [2.5]]), [1.5, 2.5]),
        (pd.DataFrame({"p": [1.5]}), [1.5]),
    ],
)
def test_predictions(prediction, expected):
    """One prediction a row, in whatever holds it."""
    part = read_prediction(prediction)
    part.own(None)
    assert plain(columns([[part]], [part.rows])) == {"@prediction": expected}


@pytest.mark.parametrize("prediction", [np.zeros((2, 2)), [[1, 2]], {"a": 1}, iter([1]), object()])
def test_predictions_of_many_values(prediction):
    """More than one value a row is no prediction."""
    with pytest.raises(Unreadable):
        read_prediction(prediction)


@pytest.mark.parametrize(
    ("score", "classes", "expected"),
    [
        (0.5, None, {"@score": [0.5]}),
        ([0.5, 0.25], None, {"@score": [0.5, 0.25]}),
        (np.array([[0.25, 0.75]]), ["no", "yes"], {"@score": [0.75]}),
        ([[0.25, 0.75]], None, {"@score": [0.75]}),
        (np.array([[0.5, 0.25, 0.25]]), None, {"@score.0": [0.5], "@score.1": [0.25], "@score.2": [0.25]}),
        (np.array([[0.5, 0.25, 0.25]]), np.array([1.0, 2.5, 4.0]), {"@score.1": [0.5], "@score.2.5": [0.25], "@score.4": [0.25]}),
        ({"a": 0.5, True: 0.5}, None, {"@score.a": [0.5], "@score.true": [0.5]}),
        ({"a": [0.5, 0.25], "b": np.array([0.5, 0.75])}, None, {"@score.a": [0.5, 0.25], "@score.b": [0.5, 0.75]}),
    ],
)  # fmt: skip
def test_scores(score, classes, expected):
    """One score a row, or one a class and row under the class's name."""
    part = read_score(score, classes)
    part.own(None)
    assert plain(columns([[part]], [part.rows])) == expected


def test_scores_of_no_class():
    """Scores without a class are named, and not sent as a column that is none."""
    with pytest.raises(Unreadable, match="scores of no class"):
        read_score([[], []])


def test_runs_are_stacked():
    """Where a run has no such column its rows are missing; numbers and text among them stay themselves."""
    runs = []
    for features in ({"a": 1, "b": 2.5, "c": "x"}, {"a": 2.5, "c": True}, None):
        part = None if features is None else read_features(features)
        if part is not None:
            part.own(None)
        runs.append([part])
    assert plain(columns(runs, [1, 1, 2])) == {
        "a": [1.0, 2.5, None, None],
        "b": [2.5, None, None, None],
        "c": ["x", True, None, None],
    }


def test_many_calls_of_one_layout():
    """Calls of one layout are joined, whatever holds them."""
    for first, second in (
        (pd.DataFrame({"a": [1], "t": ["x"]}), pd.DataFrame({"a": [2], "t": ["y"]}, index=[7])),
        ({"a": [1], "t": ["x"]}, {"a": [2], "t": ["y"]}),
        ({"a": np.array([1]), "t": pd.Series(["x"])}, {"a": np.array([2]), "t": pd.Series(["y"])}),
        ({"a": 1, "t": "x"}, {"a": 2, "t": "y"}),
    ):
        parts = [read_features(first), read_features(second)]
        for part in parts:
            part.own(None)
        assert parts[0].layout() == parts[1].layout()
        assert plain(columns([parts], [2])) == {"a": [1, 2], "t": ["x", "y"]}
