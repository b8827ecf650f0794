"""What callers hand to a model and get from it, recognised as parts without being copied or consumed.

Other libraries are known by the names of their modules and by their shapes, and never imported.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline import names
from driftline.columns import Column, category_text, of
from driftline.instrumentation.parts import (
    Columns,
    Frame,
    Matrix,
    Part,
    Records,
    Row,
    Scalars,
    Sparse,
    Table,
    Unreadable,
    is_series,
    plain_column,
    unnamed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from driftline.instrumentation.parts import Kept

SCALARS = (float, str, int, bool, np.generic, type(None), bytes, complex)  # the commonest first
_LISTS = (list, tuple)
_CPU = 1  # DLPack's number
_ELSEWHERE = frozenset(
    ("cudf", "dask", "pyspark")
)  # frames like pandas' that lie on a device, or are not there yet


def read_features(features: Any, columns: tuple[str, ...] | None = None) -> Part:
    """Recognise what a model was called with, without copying or consuming it.

    A dictionary of scalars, a one-dimensional array or a list of numbers is one row; text in one
    dimension is one column.

    Args:
        features: Array, DataFrame, Series, Arrow table, sparse matrix, tensor, dictionary, list of
            dictionaries or of rows.
        columns: Names for what has none; ``x0``, ``x1``, ... where they do not fit.

    Raises:
        Unreadable: It is something else.
    """
    if type(features) is np.ndarray and features.ndim == 2 and not features.dtype.names:
        return Matrix(columns and _fitting(columns, features.shape[1]), features)
    if isinstance(features, dict) and not hasattr(features, "tocsr"):  # a sparse matrix may be one too
        return _dictionary(features, columns)
    if isinstance(features, _LISTS):
        return _list(features, columns)
    if _is_frame(features):
        return Frame(features)
    if is_series(features):
        if all(isinstance(key, str) for key in features.index):  # frame.iloc[0]
            return Records(tuple(features.index), [features.to_numpy()])
        return Table({features.name or "x0": features})
    if isinstance(features, np.void) and features.dtype.names:
        return Records(features.dtype.names, [features.item()])
    if isinstance(features, SCALARS):
        return Records(_names(columns, 1), [(features,)])
    if isinstance(features, Matrix):  # a framework's own table
        return features
    foreign = _TABLES.get(library(features))
    if foreign is not None and (found := foreign(features, columns)) is not None:
        return found
    return _array(as_array(features), columns)


def _dictionary(features: dict[Any, Any], columns: tuple[str, ...] | None) -> Part:
    if not features:
        raise Unreadable("an empty dictionary holds no row")
    first = next(iter(features.values()))
    if isinstance(first, SCALARS):
        return Row(features)
    if all(map(_is_column, features.values())):
        return Table(features)
    if len(features) == 1 and not isinstance(
        first, dict
    ):  # a model of one input, such as ONNX's, by its name
        return read_features(first, columns)
    return _columns({str(name): _as_column(value) for name, value in features.items()})


def _columns(sources: dict[str, Any]) -> Columns:
    rows = set(map(len, sources.values()))
    if len(rows) != 1:
        raise Unreadable("columns of different lengths are no table")
    return Columns(tuple(sources), list(sources.values()), rows.pop(), _copied)


def _as_column(value: Any) -> Any:
    """Return *value* if it is a column, or a view of it as one."""
    if _is_column(value) or library(value) in _READERS:
        return value
    if not isinstance(value, (*SCALARS, dict)) and (array := as_array(value)).ndim:
        return array
    raise Unreadable("a dictionary whose values are neither all columns nor all one row's is not understood")


def _array(features: NDArray[Any], columns: tuple[str, ...] | None) -> Part:
    if features.dtype.names:
        flat = features.reshape(-1)
        return _columns({name: flat[name] for name in features.dtype.names})
    if features.ndim == 1 and features.dtype.kind in "OUST":
        features = features[:, np.newaxis]
    elif features.ndim < 2:
        features = features.reshape(1, -1)
    elif features.ndim > 2:
        raise Unreadable(f"an array of {features.ndim} dimensions is not understood")
    width = features.shape[1]
    if isinstance(features, np.ma.MaskedArray):
        return Columns(_names(columns, width), list(features.T), len(features), _unmasked)
    return Matrix(_fitting(columns, width), features)


def _list(features: Sequence[Any], columns: tuple[str, ...] | None) -> Part:
    if not features:
        return Records((), ())
    first = features[0]
    if isinstance(first, dict):
        return Records(tuple(first), features)
    if isinstance(first, (list, tuple, np.ndarray)):
        widths = set(map(len, features))
        if len(widths) != 1:
            raise Unreadable("rows of different lengths are no table")
        return Records(_names(columns, widths.pop()), features)
    if isinstance(first, str):
        return Table({"x0": features})
    if not isinstance(first, SCALARS):
        raise Unreadable(f"a list of {_described(first)} is not understood")
    return Records(_names(columns, len(features)), [features])


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
    elif not isinstance(score, (np.ndarray, *_LISTS, *SCALARS)) and _is_tensor(score):
        score = as_array(score)
    if not isinstance(score, np.ndarray) or score.ndim < 2:
        return _single(names.COLUMN_SCORE, score)
    if score.ndim > 2:
        raise Unreadable(f"an array of {score.ndim} dimensions is not understood")
    width = score.shape[1]
    if not width:
        raise Unreadable("scores of no class are none")
    if width <= 2:
        return Matrix((names.COLUMN_SCORE,), score[:, -1:])
    known = tuple(classes) if classes is not None else ()
    return Matrix(_score_names(known if len(known) == width else tuple(range(width))), score)


@lru_cache(maxsize=256)
def _score_names(classes: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(f"{names.COLUMN_SCORE}.{category_text(name) or name}" for name in classes)


def _single(name: str, values: Any) -> Part:
    if isinstance(values, SCALARS):
        return Scalars(name, (values,))
    if not isinstance(values, np.ndarray) and _is_tensor(values):
        values = as_array(values)
    if isinstance(values, np.ndarray):
        if values.ndim == 1:
            return Matrix((name,), values[:, np.newaxis])
        if values.ndim == 0 or values.size == len(values):
            return Matrix((name,), values.reshape(-1, 1))
        raise Unreadable(f"an array of shape {values.shape} is not one value a row")
    if library(values) in _READERS and hasattr(values, "__len__"):
        return Columns((name,), [_only_column(values)], len(values), _copied)
    if _is_column(values) and not (len(values) and _is_column(next(iter(values)))):
        return Table({name: values})
    if _is_frame(values) and values.shape[1] == 1:
        return Table({name: values.iloc[:, 0]})
    raise Unreadable(f"{_described(values)} is not understood as one value a row")


# --- other libraries --------------------------------------------------------------------------


def library(value: Any) -> str:
    """Return the name of the library that *value* is of."""
    module: str = type(value).__module__
    return module.partition(".")[0]


def _polars(features: Any, _: tuple[str, ...] | None) -> Part | None:
    if hasattr(features, "get_columns"):
        return Columns(tuple(features.columns), features.get_columns(), features.height, _copied)
    if hasattr(features, "to_list"):  # a Series; a LazyFrame is not run for our sake
        return Columns((features.name or "x0",), [features], len(features), _copied)
    return None


def _arrow(features: Any, _: tuple[str, ...] | None) -> Part | None:
    if hasattr(features, "column_names"):
        return Columns(tuple(features.column_names), features.columns, features.num_rows, _copied)
    if hasattr(features, "to_pylist") and hasattr(features, "take"):
        return Columns(("x0",), [features], len(features), _copied)
    return None


def _scipy(features: Any, columns: tuple[str, ...] | None) -> Part | None:
    if hasattr(features, "tocsr") and features.ndim == 2:
        return Sparse(_fitting(columns, features.shape[1]), features)
    return None


_TABLES: dict[str, Callable[[Any, tuple[str, ...] | None], Part | None]] = {
    "polars": _polars,
    "pyarrow": _arrow,
    "scipy": _scipy,
}


def _polars_column(series: Any, kept: Kept) -> Column:
    """Copy a polars Series; a null is missing."""
    chosen = series if kept is None else series.gather(kept)
    if chosen.dtype.is_numeric() or (str(chosen.dtype) == "Boolean" and not chosen.null_count()):
        values = np.array(chosen.to_numpy())
        if values.dtype.kind in "fiub":
            return values
    return of(chosen.to_list())


def _arrow_column(array: Any, kept: Kept) -> Column:
    """Copy an Arrow array, chunked or not; a null is missing."""
    chosen = array if kept is None else array.take(kept)
    if str(chosen.type).startswith(("int", "uint", "float", "double", "halffloat", "bool")):
        values = np.array(chosen.to_numpy(zero_copy_only=False))
        if values.dtype.kind in "fiub":
            return values
    return of(chosen.to_pylist())


_READERS: dict[str, Callable[[Any, Kept], Column]] = {"polars": _polars_column, "pyarrow": _arrow_column}


def _copied(column: Any, kept: Kept) -> Column:
    read = _READERS.get(library(column))
    if read is not None:
        return read(column, kept)
    if is_series(column):
        return plain_column(column.copy() if kept is None else column.iloc[kept])
    if isinstance(column, np.ndarray):
        return plain_column(column.copy() if kept is None else column[kept])
    return of(column if kept is None else [column[row] for row in kept])


def _unmasked(column: Any, kept: Kept) -> Column:
    """Copy a column of a masked array; what is masked is missing."""
    chosen = column if kept is None else column[kept]
    if chosen.dtype.kind in "fiu":
        filled: Column = chosen.astype(np.float64).filled(np.nan)
        return filled
    return of(chosen.tolist())


def _only_column(values: Any) -> Any:
    """Return *values* if it is a column, or the only column of a table."""
    if hasattr(values, "get_columns") or hasattr(values, "column_names"):
        (column,) = values.get_columns() if hasattr(values, "get_columns") else values.columns
        return column
    return values


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "__dlpack__") or library(value) == "tensorflow"


def as_array(value: Any) -> NDArray[Any]:
    """Return a view of a tensor that lies in the memory of this machine; none is copied off a device.

    Raises:
        Unreadable: It lies elsewhere, or is no tensor.
    """
    if isinstance(value, np.ndarray):
        return value
    if not _is_tensor(value):
        raise Unreadable(f"{_described(value)} is not understood")
    if hasattr(value, "detach"):  # torch hands out no tensor that gradients flow through
        value = value.detach()
    if hasattr(value, "__dlpack__"):
        if value.__dlpack_device__()[0] != _CPU:
            raise Unreadable(
                f"{_described(value)} lies on a device and is not copied from there; hand its values to "
                "driftline.observe where they are on the CPU anyway"
            )
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError) as error:  # a type that numpy lacks, such as bfloat16
            raise Unreadable(f"{_described(value)} has no form that numpy reads ({error})") from error
    if "CPU" not in str(getattr(value, "device", "CPU")):
        raise Unreadable(f"{_described(value)} lies on a device and is not copied from there")
    return np.asarray(value)


def _described(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _fitting(columns: tuple[str, ...] | None, width: int) -> tuple[str, ...] | None:
    return columns if columns is not None and len(columns) == width else None


def _names(columns: tuple[str, ...] | None, width: int) -> tuple[str, ...]:
    return _fitting(columns, width) or unnamed(width)


def _is_column(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and not isinstance(value, np.ma.MaskedArray)
    return isinstance(value, _LISTS) or is_series(value)


def _is_frame(value: Any) -> bool:
    return library(value) not in _ELSEWHERE and all(
        hasattr(value, name) for name in ("iloc", "columns", "dtypes")
    )
