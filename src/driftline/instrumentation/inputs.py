"""What callers hand to a model and get from it, as columns.

On the service's thread a value is only recognised and copied (:func:`read_features`, ``own``); turning
the copies of many calls into columns is the sender's work (:func:`columns`). Pandas is recognised by
its shape and never imported.
"""

# ruff: noqa: D102 - the methods of a part are documented once, where Part declares them
from __future__ import annotations

import sys
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from driftline import names
from driftline.columns import Coded, Column, category_text, of

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from numpy.typing import NDArray

    Kept = NDArray[np.intp] | None
    """The rows that are kept, by rising index; None for all of them."""

OBJECT_BYTES = 40  # a pointer and a small Python object, such as a float
_SCALARS = (float, str, int, bool, np.generic, type(None), bytes, complex)  # the commonest first
_LISTS = (list, tuple)


class Part(Protocol):
    """Some columns of one call: first the caller's own object, after :meth:`own` a copy of it."""

    @property
    def names(self) -> tuple[str, ...] | None:
        """The columns' names; None for ``x0``, ``x1``, ..."""

    @property
    def rows(self) -> int:
        """How many rows the call has."""

    @property
    def row_bytes(self) -> int:
        """Roughly what the copy of a row costs; how long its text is takes too long to ask."""

    def own(self, kept: Kept) -> None:
        """Replace the caller's object by a copy of its *kept* rows."""

    def layout(self) -> Hashable:
        """What parts must have in common to be joined."""

    @staticmethod
    def join(parts: Sequence[Any]) -> dict[str, Column]:
        """Return the columns of all *parts*, which share one layout, one below the other."""


class Matrix:
    """A two-dimensional array, one column a feature."""

    __slots__ = ("names", "rows", "values")

    def __init__(self, columns: tuple[str, ...] | None, values: NDArray[Any]) -> None:
        self.names = columns
        self.values = values
        self.rows = len(values)

    @property
    def row_bytes(self) -> int:
        width: int = self.values.shape[1]
        return width * (OBJECT_BYTES if self.values.dtype.hasobject else self.values.itemsize)

    def own(self, kept: Kept) -> None:
        self.values = self.values.copy() if kept is None else self.values[kept]

    def layout(self) -> Hashable:
        return self.names, self.values.shape[1], self.values.dtype

    @staticmethod
    def join(parts: Sequence[Matrix]) -> dict[str, Column]:
        values = parts[0].values if len(parts) == 1 else np.concatenate([part.values for part in parts])
        by_column = np.ascontiguousarray(values.T)
        return dict(zip(parts[0].names or _unnamed(len(by_column)), map(_column, by_column), strict=True))


class Records:
    """Rows of Python objects, each with one value a column."""

    __slots__ = ("items", "names", "rows")

    def __init__(self, columns: tuple[str, ...], items: Sequence[Any]) -> None:
        self.names = columns
        self.items = items
        self.rows = len(items)

    @property
    def row_bytes(self) -> int:
        return OBJECT_BYTES * len(self.names)

    def own(self, kept: Kept) -> None:
        items = self.items if kept is None else [self.items[row] for row in kept]
        if items and isinstance(items[0], dict):
            self.names = tuple(dict.fromkeys(chain.from_iterable(items)))
            items = [map(item.get, self.names) for item in items]
        self.items = list(map(tuple, items))

    def layout(self) -> Hashable:
        return self.names

    @staticmethod
    def join(parts: Sequence[Records]) -> dict[str, Column]:
        by_column = zip(*chain.from_iterable(part.items for part in parts), strict=True)
        return _named(zip(parts[0].names, map(of, by_column), strict=True))


class Row(Records):
    """One row, a dictionary; the commonest call of a service, so without a detour."""

    __slots__ = ()

    def own(self, kept: Kept) -> None:  # noqa: ARG002 - one row is kept or the call is not copied at all
        (row,) = self.items
        self.items = (tuple(row.values()),)


class Table:
    """A dictionary of columns."""

    __slots__ = ("rows", "values")

    def __init__(self, values: dict[Any, Any]) -> None:
        self.values = values
        if not all(map(_is_column, values.values())):
            raise Unreadable("a dictionary whose values are neither all columns nor all one row's")
        lengths = set(map(len, values.values()))
        if len(lengths) != 1:
            raise Unreadable("columns of different lengths")
        self.rows = lengths.pop()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(map(str, self.values))

    @property
    def row_bytes(self) -> int:
        return OBJECT_BYTES * len(self.values)

    def own(self, kept: Kept) -> None:
        self.values = {name: _copy(column, kept) for name, column in self.values.items()}

    def layout(self) -> Hashable:
        return tuple((name, type(v), getattr(v, "dtype", None)) for name, v in self.values.items())

    @staticmethod
    def join(parts: Sequence[Table]) -> dict[str, Column]:
        return _named((name, _joined([part.values[name] for part in parts])) for name in parts[0].values)


class Frame:
    """A pandas DataFrame."""

    __slots__ = ("frame", "rows")

    def __init__(self, frame: Any) -> None:
        self.frame = frame
        self.rows = len(frame)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(map(str, self.frame.columns))

    @property
    def row_bytes(self) -> int:
        return OBJECT_BYTES * len(self.frame.columns)

    def own(self, kept: Kept) -> None:
        self.frame = self.frame.copy() if kept is None else self.frame.iloc[kept]

    def layout(self) -> Hashable:
        return tuple(self.frame.columns), tuple(self.frame.dtypes)

    @staticmethod
    def join(parts: Sequence[Frame]) -> dict[str, Column]:
        frame = parts[0].frame
        if len(parts) > 1:  # they are equal in columns and types, so nothing is guessed or warned about
            frame = sys.modules["pandas"].concat([part.frame for part in parts], ignore_index=True)
        return _named((name, _series(frame.iloc[:, at])) for at, name in enumerate(frame.columns))


class Unreadable(Exception):
    """A value whose form is not known; the call is observed without it."""


def read_features(features: Any, columns: tuple[str, ...] | None = None) -> Part:
    """Recognise what a model was called with, without copying or consuming it.

    A dictionary of scalars, a one-dimensional array or a list of numbers is one row; text in one
    dimension is one column.

    Args:
        features: Array, DataFrame, Series, dictionary, list of dictionaries or of rows.
        columns: Names for what has none; ``x0``, ``x1``, ... where they do not fit.

    Raises:
        Unreadable: It is something else.
    """
    if isinstance(features, np.ndarray):
        return _array(features, columns)
    if isinstance(features, dict):
        if not features:
            raise Unreadable("an empty dictionary")
        first = next(iter(features.values()))
        if not isinstance(first, _SCALARS) and _is_column(first):
            return Table(features)
        return Row(tuple(features), (features,))
    if isinstance(features, _LISTS):
        return _list(features, columns)
    if _is_frame(features):
        return Frame(features)
    if _is_series(features):
        if all(isinstance(key, str) for key in features.index):  # frame.iloc[0]
            return Records(tuple(features.index), [features.to_numpy()])
        return Table({features.name or "x0": features})
    if isinstance(features, _SCALARS):
        return Records(_fitting(columns, 1), [(features,)])
    if isinstance(features, Matrix):  # a framework's own table
        return features
    raise Unreadable(f"{type(features).__module__}.{type(features).__qualname__}")


def _array(features: NDArray[Any], columns: tuple[str, ...] | None) -> Part:
    if features.dtype.kind == "V" or (type(features) is not np.ndarray and np.ma.isMaskedArray(features)):
        raise Unreadable("a masked or structured array")
    if features.ndim == 1 and features.dtype.kind in "OUST":
        features = features[:, np.newaxis]
    elif features.ndim < 2:
        features = features.reshape(1, -1)
    elif features.ndim > 2:
        raise Unreadable(f"an array of {features.ndim} dimensions")
    return Matrix(columns if columns and len(columns) == features.shape[1] else None, features)


def _list(features: Sequence[Any], columns: tuple[str, ...] | None) -> Part:
    if not features:
        return Records((), ())
    first = features[0]
    if isinstance(first, dict):
        return Records(tuple(first), features)
    if isinstance(first, (list, tuple, np.ndarray)):
        widths = set(map(len, features))
        if len(widths) != 1:
            raise Unreadable("rows of different lengths")
        return Records(_fitting(columns, widths.pop()), features)
    if isinstance(first, str):
        return Table({"x0": features})
    return Records(_fitting(columns, len(features)), [features])


def read_prediction(prediction: Any) -> Part:
    """Recognise one prediction a row.

    Raises:
        Unreadable: It is something else.
    """
    return _single(names.COLUMN_PREDICTION, prediction)


def read_score(score: Any, classes: Iterable[Any] | None = None) -> Part:
    """Recognise scores: one a row, one a class and row, or a dictionary by class.

    Of two classes the second's score is sent as ``@score``, of more each as ``@score.<class>``.

    Raises:
        Unreadable: It is something else.
    """
    if isinstance(score, dict):
        values = tuple(score.values())
        columns = tuple(f"{names.COLUMN_SCORE}.{category_text(name) or name}" for name in score)
        if values and _is_column(values[0]):
            return Table(dict(zip(columns, values, strict=True)))
        return Records(columns, [values])
    if isinstance(score, _LISTS) and score and isinstance(score[0], _LISTS):
        score = np.array(score)
    if not isinstance(score, np.ndarray) or score.ndim < 2:
        return _single(names.COLUMN_SCORE, score)
    if score.ndim > 2:
        raise Unreadable(f"an array of {score.ndim} dimensions")
    width = score.shape[1]
    if width <= 2:
        return Matrix((names.COLUMN_SCORE,), score[:, -1:])
    known = tuple(classes) if classes is not None else ()
    return Matrix(_score_names(known if len(known) == width else tuple(range(width))), score)


@lru_cache(maxsize=256)
def _score_names(classes: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(f"{names.COLUMN_SCORE}.{category_text(name) or name}" for name in classes)


def _single(name: str, values: Any) -> Part:
    if isinstance(values, np.ndarray):
        if values.ndim == 1:
            return Matrix((name,), values[:, np.newaxis])
        if values.ndim == 0 or values.size == len(values):
            return Matrix((name,), values.reshape(-1, 1))
        raise Unreadable(f"an array of shape {values.shape}, not one value a row")
    if isinstance(values, _SCALARS):
        return Records((name,), [(values,)])
    if _is_column(values) and not (len(values) and _is_column(next(iter(values)))):
        return Table({name: values})
    raise Unreadable(f"{type(values).__module__}.{type(values).__qualname__}")


def columns(runs: Iterable[Sequence[Part | None]], rows: Sequence[int]) -> dict[str, Column]:
    """Return the columns of several *runs* of parts, each run of one layout, one below the other.

    Where a run has no part, or not every column, its rows are missing.

    Args:
        runs: Parts that are joined together; a run of None holds nothing.
        rows: How many rows each run has.
    """
    pieces: dict[str, list[Column | None]] = {}
    for at, run in enumerate(runs):
        if run[0] is not None:
            for name, column in run[0].join(run).items():
                pieces.setdefault(name, [None] * len(rows))[at] = column
    return {name: _stacked(column, rows) for name, column in pieces.items()}


def _stacked(pieces: Sequence[Column | None], rows: Sequence[int]) -> Column:
    if len(pieces) == 1 and pieces[0] is not None:
        return pieces[0]
    arrays = [
        np.full(count, np.nan) if piece is None else piece for piece, count in zip(pieces, rows, strict=True)
    ]
    kinds = {array.dtype.kind if isinstance(array, np.ndarray) else "O" for array in arrays}
    if kinds <= set("iuf") or kinds == {"b"}:
        return np.concatenate(arrays)  # type: ignore[arg-type]
    return of(chain.from_iterable(map(_items, arrays)))


def _items(column: Column) -> list[Any]:
    if isinstance(column, Coded):
        return [None if code < 0 else column.texts[code] for code in column.codes.tolist()]
    items: list[Any] = column.tolist()
    return items


def _column(values: Any) -> Column:
    """Return one column's values, whatever holds them, as a column."""
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise Unreadable("a column of more than one dimension")
        return values if values.dtype.kind in "fiub" else of(values.tolist())
    return _series(values) if _is_series(values) else of(values)


def _joined(values: list[Any]) -> Column:
    """Return what several calls gave for one column; all are of one type."""
    if len(values) == 1:
        return _column(values[0])
    if isinstance(values[0], np.ndarray):
        return _column(np.concatenate(values))
    if isinstance(values[0], list):
        return of(chain.from_iterable(values))
    return _series(sys.modules["pandas"].concat(values, ignore_index=True))


def _series(series: Any) -> Column:
    if isinstance(series.dtype, np.dtype):
        return _column(series.to_numpy())
    if hasattr(series.dtype, "categories"):
        texts = series.cat.categories.tolist()
        if all(type(text) is str for text in texts):
            return Coded(series.cat.codes.to_numpy(), tuple(texts))
    return of(series.astype(object).tolist())


def _copy(column: Any, kept: Kept) -> Any:
    if isinstance(column, np.ndarray):
        return column.copy() if kept is None else column[kept]
    if _is_series(column):
        return column.copy() if kept is None else column.iloc[kept]
    return list(column) if kept is None else [column[row] for row in kept]


def _named(pairs: Iterable[tuple[Any, Column]]) -> dict[str, Column]:
    """Name columns by text; of two equal names the first stays."""
    named: dict[str, Column] = {}
    for name, column in pairs:
        named.setdefault(str(name), column)
    return named


@lru_cache(maxsize=64)
def _unnamed(width: int) -> tuple[str, ...]:
    return tuple(f"x{at}" for at in range(width))


def _fitting(columns: tuple[str, ...] | None, width: int) -> tuple[str, ...]:
    return columns if columns and len(columns) == width else _unnamed(width)


def _is_column(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, _LISTS) or _is_series(value)


def _is_frame(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("iloc", "columns", "dtypes"))


def _is_series(value: Any) -> bool:
    return all(hasattr(value, name) for name in ("iloc", "index", "dtype"))
