"""A record's columns in each of their forms: packed, array, one value, codes of a dictionary, counts."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline import names
from driftline.columns import Coded, of
from driftline.errors import RecordRejected
from driftline.wire.attributes import SCALARS, absent, shown
from driftline.wire.form import CELLS, DTYPES, FORM, HEADER, MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue

    from driftline.columns import Column


_CODES = ("i1", "i2", "i4")
_RESERVED = frozenset(
    value for name, value in vars(names).items() if name.startswith("COLUMN_")
)  # @score.<class> besides


@lru_cache(maxsize=2 * names.MAX_COLUMNS)
def _is_read(name: str) -> bool:
    """Tell whether a column counts: a feature, or a reserved name that this version knows."""
    if not name:
        raise RecordRejected("data", "a column has no name; unnamed ones are called x0, x1, ...")
    if len(name.encode()) > names.MAX_NAME_BYTES:
        raise RecordRejected(
            "data", f"a column's name is longer than {names.MAX_NAME_BYTES} bytes: {shown(name)}"
        )
    return not name.startswith("@") or name in _RESERVED or name.startswith(names.COLUMN_SCORE + ".")


def columns_of(value: AnyValue | None, flat: list[tuple[str, AnyValue]]) -> dict[str, AnyValue]:
    """Return the columns of the map and the flat ones that are read, checked by name and number."""
    columns = pairs_of(value, names.ATTR_DATA, "data")
    for name, sent in flat:
        if name in columns:
            raise RecordRejected("data", f"column {shown(name)} is there twice")
        columns[name] = sent
    if not columns:
        raise RecordRejected("data", f"{names.ATTR_DATA} holds no column")
    if len(columns) > names.MAX_COLUMNS:
        raise RecordRejected("data", f"{len(columns)} columns; a record holds at most {names.MAX_COLUMNS}")
    return {name: sent for name, sent in columns.items() if _is_read(name)}


def pairs_of(value: AnyValue | None, key: str, reason: str) -> dict[str, AnyValue]:
    """Return the map that an attribute holds, each key once."""
    if value is None:
        return {}
    if not value.HasField("kvlist_value"):
        raise RecordRejected(reason, f"{key} must be a map, not {shown(value)}")
    pairs = value.kvlist_value.values
    found = {pair.key: pair.value for pair in pairs}
    if len(found) < len(pairs):
        name = Counter(pair.key for pair in pairs).most_common(1)[0][0]
        raise RecordRejected(reason, f"{key} holds {shown(name)} twice")
    return found


def read_column(name: str, value: AnyValue, rows: int, dictionary: AnyValue | None) -> Column:
    """Return the values of a column, whichever form they have; reject what has none."""
    kind = value.WhichOneof("value")
    if kind is None:
        return np.full(rows, np.nan)
    if kind == "bytes_value":
        array = _packed(name, value.bytes_value, rows)
        return array if dictionary is None else _coded(name, array, _dictionary(name, dictionary))
    if dictionary is not None:
        raise _bad(name, "has a dictionary, so it must hold packed codes, i1, i2 or i4")
    if kind == "array_value":
        return _array(name, value.array_value, rows)
    if kind not in SCALARS:
        raise _bad(name, f"is {shown(value)}; it must be packed bytes, an array or one value")
    if rows != 1:
        raise _bad(name, f"is one value, but {names.ATTR_ROWS} is {rows}")
    return of([getattr(value, kind)])


def _bad(name: str, text: str) -> RecordRejected:
    return RecordRejected("column", f"column {shown(name)} {text}")


def read_counts(attributes: Mapping[str, AnyValue], rows: int) -> dict[str, NDArray[Any]]:
    """Return what a service counted itself; each value is in one bin or of one fault, out of range in both."""
    if names.ATTR_BASELINE_ID not in attributes:
        raise absent(names.ATTR_BASELINE_ID)
    pairs = pairs_of(attributes.get(names.ATTR_COUNTS), names.ATTR_COUNTS, "counts")
    if not pairs or len(pairs) > names.MAX_COLUMNS:
        raise RecordRejected("counts", f"{names.ATTR_COUNTS} holds 1 to {names.MAX_COLUMNS} columns")
    found = {}
    for name, value in pairs.items():
        counted = _packed(name, value.bytes_value, None) if value.HasField("bytes_value") else np.empty(0)
        if counted.dtype != DTYPES[5] or len(counted) <= len(names.FAULTS) or counted.min() < 0:
            raise RecordRejected(
                "counts", f"{shown(name)} must be packed int32: the four faults, then the bins"
            )
        outside = counted[names.FAULTS.index(names.OUT_OF_RANGE)]
        if counted.sum(dtype=np.int64) - outside > rows or outside > rows:
            raise RecordRejected("counts", f"{shown(name)} counts more values than {names.ATTR_ROWS}, {rows}")
        _is_read(name)
        found[name] = counted
    return found


def _packed(name: str, raw: bytes, rows: int | None) -> NDArray[Any]:
    if len(raw) < HEADER.size:
        raise _bad(name, f"is {len(raw)} bytes; packed values begin with a header of {HEADER.size}")
    magic, form, code, count = HEADER.unpack_from(raw)
    if magic != MAGIC or form != FORM:
        raise _bad(name, f'begins with {raw[:3]!r}; packed values begin with "DL" and {FORM}')
    dtype = DTYPES.get(code)
    if dtype is None:
        raise _bad(name, f"has the type {code}; packed types are 1 to {len(DTYPES)}")
    if len(raw) != HEADER.size + count * dtype.itemsize:
        raise _bad(name, f"is {len(raw)} bytes, but {count} values of {dtype.itemsize} are announced")
    if rows is not None and count != rows:
        raise _bad(name, f"holds {count} values, but {names.ATTR_ROWS} is {rows}")
    return np.frombuffer(raw, dtype, count, HEADER.size)


def _array(name: str, array: ArrayValue, rows: int) -> Column:
    elements = array.values
    if len(elements) != rows:
        raise _bad(name, f"holds {len(elements)} values, but {names.ATTR_ROWS} is {rows}")
    if cells := CELLS.get(elements[0].WhichOneof("value") or ""):
        layout, head = cells
        raw = array.SerializeToString()
        if len(raw) == rows * layout.itemsize:
            found = np.frombuffer(raw, layout)
            if (found["head"] == head).all():
                return np.ascontiguousarray(found["value"])
    items, other = items_of(elements)
    if other is not None:
        raise _bad(name, f"holds {shown(other)} as a value")
    return of(items)


def items_of(values: Iterable[AnyValue]) -> tuple[list[Any], AnyValue | None]:
    """Return what *values* hold, None where nothing is set, up to the first that is no single value; and that one."""
    items: list[Any] = []
    for value in values:
        kind = value.WhichOneof("value")
        if kind is None:
            items.append(None)
        elif kind in SCALARS:
            items.append(getattr(value, kind))
        else:
            return items, value
    return items, None


def _dictionary(name: str, value: AnyValue) -> tuple[str, ...]:
    elements = value.array_value.values
    if not value.HasField("array_value") or not all(text.HasField("string_value") for text in elements):
        raise RecordRejected("dictionary", f"the dictionary of {shown(name)} must be an array of strings")
    if len(elements) > names.MAX_DICTIONARY:
        raise RecordRejected(
            "dictionary",
            f"the dictionary of {shown(name)} holds {len(elements)} texts, at most {names.MAX_DICTIONARY} may "
            "be; send an array of strings",
        )
    texts = tuple(text.string_value for text in elements)
    if len(set(texts)) < len(texts):
        raise RecordRejected("dictionary", f"the dictionary of {shown(name)} holds a text twice")
    return texts


def _coded(name: str, codes: NDArray[Any], texts: tuple[str, ...]) -> Coded:
    if codes.dtype.str[1:] not in _CODES:
        raise _bad(name, f"holds {codes.dtype.str[1:]} as codes of a dictionary; send i1, i2 or i4")
    if codes.min() < -1 or codes.max() >= len(texts):
        raise _bad(
            name,
            f"holds codes from {codes.min()} to {codes.max()}; its dictionary has 0 to {len(texts) - 1}, "
            "and -1 is missing",
        )
    return Coded(codes, texts)
