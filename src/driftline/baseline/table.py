"""Training data in memory as columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftline.baseline.kinds import Unfit
from driftline.columns import Coded, is_missing, of
from driftline.errors import BaselineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from driftline.columns import Column


_PIECE = 8192  # vectors of Arrow's that are read at a time


class Table(NamedTuple):
    """Columns that are read one at a time: a file of many never lies in memory whole.

    Attributes:
        names: The columns' names; of two that are equal ``column`` gives the last.
        rows: How many rows there are.
        column: Reads one; raises Unfit where it holds neither numbers nor text.
        categorical: Those that the data itself says are categories.
        vectors: Those that hold a vector or a list a row.
        pieces: Of these, and of others that may: reads them again and again, piece by piece, each an array of
            vectors or a sequence of objects.
    """

    names: tuple[str, ...]
    rows: int
    column: Callable[[str], Column]
    categorical: frozenset[str] = frozenset()
    vectors: frozenset[str] = frozenset()
    pieces: Mapping[str, Callable[[], Iterable[Any]]] = {}


def open_table(data: Any) -> Table:
    """Return the columns of *data*: a DataFrame, an Arrow table, a dictionary of columns, an array.

    Raises:
        BaselineError: It is something else, cannot be read, or what reads it is not installed.
    """
    if isinstance(data, np.ndarray) and data.ndim == 2:
        data = {f"x{number}": values for number, values in enumerate(data.T)}
    if isinstance(data, Mapping):
        return _mapping(data)
    if _is_from("pandas", data):
        if hasattr(data, "columns"):
            return _frame(data)
    elif hasattr(data, "__arrow_c_stream__"):
        pa = pyarrow(f"a {type(data).__name__}")
        return arrow_table(data if isinstance(data, pa.Table) else pa.table(data))
    raise BaselineError(
        f"the data is a {type(data).__name__}; give a DataFrame, an Arrow table, a dictionary of columns or a path"
    )


def pyarrow(what: str) -> Any:
    """Return the library that reads *what*.

    Raises:
        BaselineError: It is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise BaselineError(f"to read {what} takes pyarrow: pip install 'driftline[baseline]'") from error
    return pa


def _mapping(data: Mapping[Any, Any]) -> Table:
    held = {
        str(name): values if hasattr(values, "__len__") else list(values) for name, values in data.items()
    }
    sizes = {name: len(values) for name, values in held.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name} {size}" for name, size in list(sizes.items())[:10])
        raise BaselineError(f"the columns are of different lengths: {shown}")
    return Table(
        tuple(map(str, data)),
        max(sizes.values(), default=0),
        lambda name: _column(held[name]),
        vectors=frozenset(name for name, values in held.items() if _holds_vectors(values)),
        pieces={name: _pieces(values) for name, values in held.items() if not isinstance(values, Coded)},
    )


def _frame(frame: Any) -> Table:
    titles = tuple(map(str, frame.columns))
    place = {name: number for number, name in enumerate(titles)}
    said = frozenset(name for name, kind in zip(titles, frame.dtypes, strict=True) if str(kind) == "category")
    columns = {name: frame.iloc[:, at] for name, at in place.items()}
    vectors = frozenset(name for name, column in columns.items() if _holds_vectors(column))
    pieces = {name: _pieces(column) for name, column in columns.items()}
    return Table(titles, len(frame), lambda name: _series(columns[name]), said, vectors, pieces)


def arrow_table(table: Any) -> Table:
    """Return the columns of an Arrow table."""
    place = {name: number for number, name in enumerate(table.schema.names)}
    titles, said = told(table.schema)
    pieces = {name: _pieces(table.column(place[name])) for name in of_vectors(table.schema)}

    def column(name: str) -> Column:
        return arrow_column(table.column(place[name]))

    return Table(titles, table.num_rows, column, said, frozenset(pieces), pieces)


def told(schema: Any) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the names of columns, without pandas' index, and which are categories as pandas writes them."""
    pa = pyarrow("a file")
    titles = tuple(name for name in schema.names if not name.startswith("__index_level_"))
    return titles, frozenset(field.name for field in schema if pa.types.is_dictionary(field.type))


def of_vectors(schema: Any) -> list[str]:
    """Return the names of the columns that hold lists of numbers."""
    return [field.name for field in schema if _is_list_of_numbers(field.type)]


def _is_list_of_numbers(kind: Any) -> bool:
    kinds = pyarrow("Arrow's columns").types
    if not (kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)):
        return False
    item = kind.value_type
    return bool(kinds.is_integer(item) or kinds.is_floating(item) or kinds.is_boolean(item))


def _holds_vectors(values: Any) -> bool:
    """Tell whether most of what a column holds is one vector or list a row, of whatever."""
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return values.shape[1] > 1 and values.dtype.kind in "fiub"
    if _is_from("pyarrow", values):
        return _is_list_of_numbers(values.type)
    if isinstance(values, Coded) or getattr(getattr(values, "dtype", None), "kind", "O") != "O":
        return False
    lists = {kind for kind in set(map(type, values)) if issubclass(kind, list | tuple | np.ndarray)}
    if not lists:
        return False
    others = sum(type(item) not in lists and not is_missing(item) for item in values)
    return sum(type(item) in lists for item in values) > others


def read_pieces(batches: Callable[[Sequence[str]], Iterable[Any]], name: str) -> Callable[[], Iterable[Any]]:
    """Return what reads a column of vectors, batch by batch of Arrow's."""
    return lambda: (_vectors(chunk) for batch in batches([name]) for chunk in batch.column(0).chunks)


def _pieces(values: Any) -> Callable[[], Iterable[Any]]:
    """Return what reads a column of vectors; those of Arrow are views of its memory."""
    if _is_from("pyarrow", values):
        chunks = getattr(values, "chunks", [values])
        return lambda: (
            _vectors(chunk.slice(start, _PIECE)) for chunk in chunks for start in range(0, len(chunk), _PIECE)
        )
    return lambda: [values.to_numpy() if _is_from("pandas", values) else values]


def _vectors(lists: Any) -> NDArray[Any]:
    """Return Arrow's *lists* as an array of vectors, where they are of one length by their type, else as objects."""
    if pyarrow("Arrow's columns").types.is_fixed_size_list(lists.type) and not lists.null_count:
        rows: NDArray[Any] = lists.flatten().to_numpy(zero_copy_only=False)
        return rows.reshape(len(lists), lists.type.list_size)
    objects: NDArray[Any] = lists.to_numpy(zero_copy_only=False)
    return objects


def _is_from(package: str, value: Any) -> bool:
    return any(kind.__module__.partition(".")[0] == package for kind in type(value).__mro__)


def _column(values: Any) -> Column:
    if isinstance(values, Coded):
        return values
    if _is_from("pandas", values):
        return _series(values)
    if _is_from("pyarrow", values):
        return arrow_column(values)
    return _array(values) if isinstance(values, np.ndarray) else of(values)


def _array(values: NDArray[Any]) -> Column:
    if values.ndim != 1:
        raise Unfit(f"holds {values.ndim} dimensions, not one value a row")
    kind = values.dtype.kind
    if kind in "fiub" and not isinstance(values, np.ma.MaskedArray):
        return values
    if kind in "mM":
        raise Unfit("holds points in time; give what the model gets, such as the hour")
    if kind in "SVc":
        raise Unfit(f"holds {values.dtype.name}, which is neither number nor text")
    return of(values.tolist())


def _series(series: Any) -> Column:
    if isinstance(series.dtype, np.dtype):
        return _array(series.to_numpy())
    pa = pyarrow(f"pandas' {series.dtype}")
    try:
        return arrow_column(pa.array(series, from_pandas=True))
    except (pa.ArrowException, TypeError) as error:
        raise Unfit(f"holds {series.dtype}, which is neither number nor text") from error


def arrow_column(values: Any) -> Column:
    """Return what Arrow holds as a column.

    Raises:
        Unfit: It holds neither numbers nor text.
    """
    pa = pyarrow("Arrow's columns")
    kinds, kind = pa.types, values.type
    if isinstance(values, pa.Array):
        values = pa.chunked_array([values])
    if kinds.is_dictionary(kind):
        return arrow_column(values.cast(kind.value_type))
    if kinds.is_temporal(kind):
        raise Unfit("holds points in time; give what the model gets, such as the hour")
    if kinds.is_decimal(kind):
        return arrow_column(values.cast(pa.float64()))
    if kinds.is_null(kind):
        return np.full(len(values), np.nan)
    if kinds.is_boolean(kind):
        return of(values.to_pylist())
    if kinds.is_integer(kind) or kinds.is_floating(kind):
        read: NDArray[Any] = values.to_numpy()
        return read
    if str(kind) in ("string", "large_string", "string_view"):
        coded = values.cast(pa.large_string()).dictionary_encode().combine_chunks()
        chunks = coded.chunks if isinstance(coded, pa.ChunkedArray) else [coded]
        texts = chunks[0].dictionary.to_pylist() if chunks else []
        codes = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in chunks]
        return Coded(np.concatenate(codes or [np.empty(0, np.int64)]), tuple(texts))
    raise Unfit(f"holds {kind}, which is neither number nor text")
