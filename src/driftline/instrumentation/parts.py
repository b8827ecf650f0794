"""Some columns of one call: first as the caller's own object, then as a copy, then joined with those of other calls.

On the service's thread a part is only copied (``own``); turning the copies of many calls into columns is
the sender's work (:func:`columns`). No library of tables is imported here: who hands us its object has
imported it.
"""

# ruff: noqa: D102 - the methods of a part are documented once, where Part declares them
from __future__ import annotations

import sys
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from driftline.columns import Coded, Column, of
from driftline.instrumentation.problems import problem

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from numpy.typing import NDArray

    Kept = NDArray[np.intp] | None
    """The rows that are kept, by rising index; None for all of them."""
    Wanted = Callable[[str], bool]

OBJECT_BYTES = 40  # a pointer and a small Python object, such as a float


class Unreadable(Exception):
    """A value that is not sent, and why; the call is recorded without it."""


def not_sent(name: str) -> None:
    """Say and count that a column has not one value a row."""
    problem(
        "features",
        f"column {name[:64]!r} holds vectors, lists or dictionaries and is not sent; of vectors the norm and the "
        "distance are, with embedding= or a baseline of data that has the column",
        of=name,
    )


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

    def only(self, wanted: Wanted) -> Part:
        """Return the columns with a name that is *wanted*, still the caller's own."""

    def own(self, kept: Kept) -> None:
        """Replace the caller's object by a copy of its *kept* rows."""

    def layout(self) -> Hashable:
        """What parts must have in common to be joined."""

    @staticmethod
    def join(parts: Sequence[Any]) -> dict[str, Column]:
        """Return the columns of all *parts*, which share one layout, one below the other."""


class Matrix:
    """A two-dimensional array, one column a feature."""

    __slots__ = ("names", "row_bytes", "rows", "values")

    def __init__(self, columns: tuple[str, ...] | None, values: NDArray[Any]) -> None:
        self.names = columns
        self.values = values
        self.rows, width = values.shape
        self.row_bytes = width * (OBJECT_BYTES if values.dtype.hasobject else values.itemsize)

    def only(self, wanted: Wanted) -> Matrix:
        columns = self.names or unnamed(self.values.shape[1])
        at = [number for number, name in enumerate(columns) if wanted(name)]
        return Matrix(tuple(columns[number] for number in at), self.values[:, at])

    def own(self, kept: Kept) -> None:
        self.values = self.values.copy() if kept is None else self.values[kept]

    def layout(self) -> Hashable:
        return self.names, self.values.shape[1], self.values.dtype

    @staticmethod
    def join(parts: Sequence[Matrix]) -> dict[str, Column]:
        values = parts[0].values if len(parts) == 1 else np.concatenate([part.values for part in parts])
        by_column = np.ascontiguousarray(values.T)
        return named(
            zip(parts[0].names or unnamed(len(by_column)), map(plain_column, by_column), strict=True)
        )


class Opaque(Matrix):
    """A table of a library's own, read by its own functions: rows are taken whole, whatever is kept of them."""

    __slots__ = ("_take", "_taken", "_width")

    def __init__(
        self,
        columns: Sequence[str] | None,
        shape: tuple[int, int],
        take: Callable[[Kept], NDArray[Any]],
        taken: int | None = None,
    ) -> None:
        self.rows, self._width = shape
        self._taken = self._width if taken is None else taken
        self.names = tuple(columns) if columns and len(columns) == self._width else None
        self._take = take

    @property
    def row_bytes(self) -> int:
        return 4 * self._taken

    def only(self, wanted: Wanted) -> Opaque:
        columns = self.names or unnamed(self._width)
        at = [number for number, name in enumerate(columns) if wanted(name)]
        return Opaque(
            [columns[number] for number in at],
            (self.rows, len(at)),
            lambda kept: self._take(kept)[:, at],
            self._taken,
        )

    def own(self, kept: Kept) -> None:
        self.values = self._take(kept)


class Row:
    """One row, a dictionary: the commonest call of a service."""

    __slots__ = ("row_bytes", "rows", "values")

    def __init__(self, values: dict[Any, Any]) -> None:
        self.values = values
        self.rows = 1
        self.row_bytes = OBJECT_BYTES * len(values)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(map(str, self.values))

    def only(self, wanted: Wanted) -> Row:
        return Row({name: value for name, value in self.values.items() if wanted(str(name))})

    def own(self, kept: Kept) -> None:  # noqa: ARG002 - one row is kept, or the call is not copied at all
        self.values = self.values.copy()

    def layout(self) -> Hashable:
        return tuple(self.values)

    @staticmethod
    def join(parts: Sequence[Row]) -> dict[str, Column]:
        by_column = zip(*(part.values.values() for part in parts), strict=True)
        return named(zip(parts[0].values, map(of, by_column), strict=True))


class Records:
    """Rows of Python objects: each a dictionary, or a sequence with one value a column."""

    __slots__ = ("items", "names", "row_bytes", "rows")

    def __init__(self, columns: tuple[str, ...], items: Sequence[Any]) -> None:
        self.names = columns
        self.items = items
        self.rows = len(items)
        self.row_bytes = OBJECT_BYTES * len(columns)

    def only(self, wanted: Wanted) -> Records:
        if self.items and isinstance(self.items[0], dict):
            chosen = [{k: v for k, v in item.items() if wanted(str(k))} for item in self.items]
            return Records(tuple(filter(wanted, map(str, self.names))), chosen)
        at = [number for number, name in enumerate(self.names) if wanted(str(name))]
        return Records(
            tuple(self.names[number] for number in at),
            [tuple(item[number] for number in at) for item in self.items],
        )

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
        return named(zip(parts[0].names, map(of, by_column), strict=True))


class Scalars:
    """One value a row: what a model returned."""

    __slots__ = ("name", "rows", "values")
    row_bytes = OBJECT_BYTES

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self.name = name
        self.values = values
        self.rows = len(values)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def only(self, wanted: Wanted) -> Part:  # noqa: ARG002 - outputs are not chosen among
        return self

    def own(self, kept: Kept) -> None:
        """Nothing to copy: what is one value is not changed."""

    def layout(self) -> Hashable:
        return self.name

    @staticmethod
    def join(parts: Sequence[Scalars]) -> dict[str, Column]:
        return {parts[0].name: of(chain.from_iterable(part.values for part in parts))}


class Table:
    """A dictionary of columns."""

    __slots__ = ("rows", "values")

    def __init__(self, values: dict[Any, Any], rows: int = 0) -> None:
        self.values = values
        lengths = set(map(len, values.values())) or {rows}
        if len(lengths) > 1:
            raise Unreadable("columns of different lengths are no table")
        self.rows = lengths.pop()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(map(str, self.values))

    @property
    def row_bytes(self) -> int:
        return OBJECT_BYTES * len(self.values)

    def only(self, wanted: Wanted) -> Table:
        chosen = {name: column for name, column in self.values.items() if wanted(str(name))}
        return Table(chosen, self.rows)

    def own(self, kept: Kept) -> None:
        self.values = {name: _copy(column, kept) for name, column in self.values.items()}

    def layout(self) -> Hashable:
        return tuple((name, type(v), getattr(v, "dtype", None)) for name, v in self.values.items())

    @staticmethod
    def join(parts: Sequence[Table]) -> dict[str, Column]:
        return named((name, _joined([part.values[name] for part in parts])) for name in parts[0].values)


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

    def only(self, wanted: Wanted) -> Frame:
        return Frame(self.frame.iloc[:, [at for at, name in enumerate(self.names) if wanted(name)]])

    def own(self, kept: Kept) -> None:
        self.frame = self.frame.copy() if kept is None else self.frame.iloc[kept]

    def layout(self) -> Hashable:
        return tuple(self.frame.columns), tuple(self.frame.dtypes)

    @staticmethod
    def join(parts: Sequence[Frame]) -> dict[str, Column]:
        frame = parts[0].frame
        if len(parts) > 1:  # they are equal in columns and types, so nothing is guessed or warned about
            frame = sys.modules["pandas"].concat([part.frame for part in parts], ignore_index=True)
        return named((name, _series(frame.iloc[:, at])) for at, name in enumerate(frame.columns))


class Columns:
    """Columns of another library, each read into one of ours when it is copied.

    Args:
        columns: Their names.
        sources: The columns themselves.
        rows: How many rows they have.
        read: What copies the kept rows of a source.
    """

    __slots__ = ("_read", "_sources", "columns", "names", "rows")

    def __init__(
        self,
        columns: tuple[str, ...],
        sources: Sequence[Any],
        rows: int,
        read: Callable[[Any, Kept], Column],
    ) -> None:
        self.names = columns
        self.rows = rows
        self._sources = sources
        self._read = read
        self.columns: dict[str, Column] = {}

    @property
    def row_bytes(self) -> int:
        return OBJECT_BYTES * len(self.names)

    def source(self, name: str) -> Any:
        """Return the caller's own column *name*."""
        return self._sources[self.names.index(name)]

    def only(self, wanted: Wanted) -> Columns:
        pairs = [pair for pair in zip(self.names, self._sources, strict=True) if wanted(pair[0])]
        return Columns(
            tuple(name for name, _ in pairs), [source for _, source in pairs], self.rows, self._read
        )

    def own(self, kept: Kept) -> None:
        flat = []
        for name, source in zip(self.names, self._sources, strict=True):
            if getattr(source, "ndim", 1) > 1:
                not_sent(name)
            else:
                flat.append((name, source))
        self.columns = named((name, self._read(source, kept)) for name, source in flat)
        self._sources = ()

    def layout(self) -> Hashable:
        return self.names

    @staticmethod
    def join(parts: Sequence[Columns]) -> dict[str, Column]:
        rows = [len(next(iter(part.columns.values()), ())) for part in parts]
        return {name: stacked([part.columns[name] for part in parts], rows) for name in parts[0].columns}


class Sparse:
    """A matrix of scipy.sparse; what it does not hold is 0, and not missing."""

    __slots__ = ("matrix", "names", "rows")

    def __init__(self, columns: tuple[str, ...] | None, matrix: Any) -> None:
        self.matrix = matrix
        self.names = columns
        self.rows = int(matrix.shape[0])

    @property
    def row_bytes(self) -> int:
        held: int = self.matrix.nnz * (self.matrix.dtype.itemsize + 8) // max(self.rows, 1)
        return held + 8

    def only(self, wanted: Wanted) -> Sparse:
        columns = self.names or unnamed(self.matrix.shape[1])
        at = [number for number, name in enumerate(columns) if wanted(name)]
        return Sparse(tuple(columns[number] for number in at), self.matrix.tocsc()[:, at])

    def own(self, kept: Kept) -> None:
        self.matrix = self.matrix.tocsr(copy=True) if kept is None else self.matrix.tocsr()[kept]

    def layout(self) -> Hashable:
        return self.names, self.matrix.shape[1]

    @staticmethod
    def join(parts: Sequence[Sparse]) -> dict[str, Column]:
        matrix = parts[0].matrix
        if len(parts) > 1:
            matrix = sys.modules["scipy.sparse"].vstack([part.matrix for part in parts])
        by_column = matrix.tocsc()
        by_column.sum_duplicates()
        rows, width = by_column.shape
        starts = by_column.indptr.tolist()
        return named(
            (name, _Scattered(rows, by_column.indices[start:end], by_column.data[start:end]))
            for name, start, end in zip(
                parts[0].names or unnamed(width), starts[:-1], starts[1:], strict=True
            )
        )


class _Scattered:
    """A column of few values and zeros, written out for the rows that are asked for and never whole."""

    def __init__(self, rows: int, places: NDArray[Any], values: NDArray[Any]) -> None:
        self._rows = rows
        self._places = places
        self._values = values
        self.dtype = values.dtype
        self.itemsize = values.dtype.itemsize
        self.nbytes = values.nbytes

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, rows: NDArray[np.intp]) -> NDArray[Any]:
        at = np.searchsorted(self._places, rows)
        found = np.zeros(len(rows), self.dtype)
        inside = np.flatnonzero(at < len(self._places))
        hit = inside[self._places[at[inside]] == rows[inside]]
        found[hit] = self._values[at[hit]]
        return found


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
    return {name: stacked(column, rows) for name, column in pieces.items()}


def stacked(pieces: Sequence[Column | None], rows: Sequence[int]) -> Column:
    """Return the *pieces* of a column, of so many *rows* each, one below the other; None is missing."""
    if len(pieces) == 1 and pieces[0] is not None:
        return pieces[0]
    arrays = [
        np.full(count, np.nan) if piece is None else whole(piece)
        for piece, count in zip(pieces, rows, strict=True)
    ]
    kinds = {array.dtype.kind if isinstance(array, np.ndarray) else "O" for array in arrays}
    if kinds <= set("iuf") or kinds in ({"b"}, {"V"}):
        return np.concatenate(arrays)  # type: ignore[arg-type]
    return of(chain.from_iterable(map(items, arrays)))


def whole(column: Any) -> Column:
    """Return *column* with all of its values written out."""
    written: Column = column[np.arange(len(column))] if isinstance(column, _Scattered) else column
    return written


def items(column: Column) -> list[Any]:
    """Return the values of a column, one a row; None where one is missing from text."""
    if isinstance(column, Coded):
        return [None if code < 0 else column.texts[code] for code in column.codes.tolist()]
    found: list[Any] = column.tolist()
    return found


def named(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Column]:
    """Name columns by text; of two equal names the first stays."""
    found: dict[str, Column] = {}
    for name, column in pairs:
        found.setdefault(str(name), column)
    return found


@lru_cache(maxsize=64)
def unnamed(width: int) -> tuple[str, ...]:
    """Return the names of columns without one."""
    return tuple(f"x{at}" for at in range(width))


def is_series(value: Any) -> bool:
    """Tell a pandas Series by its shape."""
    return all(hasattr(value, name) for name in ("iloc", "index", "dtype"))


def plain_column(values: Any) -> Column:
    """Return one column's values, whatever holds them, as a column."""
    if isinstance(values, np.ndarray):
        if values.ndim != 1:
            raise Unreadable("a column of more than one dimension is not understood")
        kind = values.dtype.kind
        if kind in "fiub":
            return values
        if kind in "Mm":  # moments and spans of time are seconds, NaT is missing
            unit: Any = np.timedelta64(1, "s")
            epoch: Any = np.datetime64(0, "s") if kind == "M" else np.timedelta64(0, "s")
            seconds: Column = (values - epoch) / unit
            return seconds
        return of(values.tolist())
    return _series(values) if is_series(values) else of(values)


def _joined(values: list[Any]) -> Column:
    """Return what several calls gave for one column; all are of one type."""
    if len(values) == 1:
        return plain_column(values[0])
    if isinstance(values[0], np.ndarray):
        return plain_column(np.concatenate(values))
    if isinstance(values[0], list):
        return of(chain.from_iterable(values))
    return _series(sys.modules["pandas"].concat(values, ignore_index=True))


def _series(series: Any) -> Column:
    if isinstance(series.dtype, np.dtype):
        return plain_column(series.to_numpy())
    if hasattr(series.dtype, "categories"):
        texts = series.cat.categories.tolist()
        if all(type(text) is str for text in texts):
            return Coded(series.cat.codes.to_numpy(), tuple(texts))
    return of(series.astype(object).tolist())


def _copy(column: Any, kept: Kept) -> Any:
    if isinstance(column, np.ndarray):
        return column.copy() if kept is None else column[kept]
    if is_series(column):
        return column.copy() if kept is None else column.iloc[kept]
    return list(column) if kept is None else [column[row] for row in kept]
