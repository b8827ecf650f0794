"""What callers hand over, as columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from driftline.columns import Coded
from driftline.instrumentation.inputs import (
    Unreadable,
    columns,
    read_features,
    read_prediction,
    read_score,
)


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
    ],
    ids=["frame", "lists", "arrays", "series", "dictionaries", "category", "nullable"],
)
def test_tables(features):
    """Frames, dictionaries of columns and lists of dictionaries are the same rows; so are some of them."""
    assert read(features) == ROWS
    assert read(features, kept=[0, 2]) == {"a": [1.5, 3.5], "b": ["x", "y"]}


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
        np.ma.masked_array([[1.0]], [[True]]),
        np.zeros(1, [("a", "f8")]),
        [[1.0], [1.0, 2.0]],
        {"a": [1], "b": [1, 2]},
        {"a": [1], "b": 2},
        {"a": [1], "b": np.zeros((1, 2))},
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
