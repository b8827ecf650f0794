"""One column of a batch, and what its values mean: numbers, categories, missing, wrong type.

Both ends of the wire and the baseline read values through these functions, so that ``1`` and
``1.0`` are one category everywhere, and an infinity is never counted in one place and refused in
another.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

MAX_TEXT_BYTES = 128
_HASH_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Coded:
    """Text as codes into a dictionary.

    Attributes:
        codes: Integers of shape (rows,), each -1 (missing) or an index into ``texts``.
        texts: The distinct texts; they need not all occur.
    """

    codes: NDArray[np.integer[Any]]
    texts: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)


Column: TypeAlias = "NDArray[Any] | Coded"
"""The values of one column, by row.

* a numeric array (f4, f8, i1, i2, i4, i8): NaN is missing;
* a boolean array;
* :class:`Coded` text;
* an array of 16-byte ids (dtype ``V16``);
* an object array of ``None`` (missing), bool, int, float and str where these are mixed.
"""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A column read as numbers.

    Attributes:
        values: The finite values, float32 or float64, in row order, without missing and wrong ones.
        rows: The row of each value, or None when every row has one.
        missing: How many rows hold nothing.
        wrong_type: How many rows hold something that is no finite number.
    """

    values: NDArray[np.floating[Any]]
    rows: NDArray[np.intp] | None
    missing: int
    wrong_type: int


@dataclass(frozen=True, slots=True)
class Categories:
    """A column read as categories.

    Attributes:
        codes: The code of each value that is a category, in row order.
        texts: The canonical text of each code, distinct.
        rows: The row of each value, or None when every row has one.
        missing: How many rows hold nothing.
        wrong_type: How many rows hold something that can be no category.
    """

    codes: NDArray[np.intp]
    texts: tuple[str, ...]
    rows: NDArray[np.intp] | None
    missing: int
    wrong_type: int


def of(items: Iterable[Any]) -> Column:
    """Return the narrowest column that holds *items*, one a row, each of them any object.

    Numbers become int64 or, with missing ones or fractions among them, float64; booleans and text
    without exception become a boolean array and :class:`Coded`; nothing but missing ones becomes
    NaN. What is really mixed, and integers no number of 64 bits holds, stay as they are.

    >>> of([1, None, 2.5]), of([True, False])
    (array([1. , nan, 2.5]), array([ True, False]))
    >>> of(["a", None, "a"])
    Coded(codes=array([ 0, -1,  0]), texts=('a',))
    """
    items = list(items)
    if items and isinstance(items[0], str) and (found := _coded(items)):
        return found
    kinds = set(map(type, items))
    if not kinds <= _PLAIN:
        items = [_plain(item) for item in items]
        kinds = set(map(type, items))
    present = kinds - {type(None)}
    if present == {str} and (found := _coded(items)):
        return found
    if kinds == {bool}:
        return np.array(items, np.bool_)
    if present <= {int, float}:
        try:
            return np.array(items, np.int64 if kinds == {int} else np.float64)
        except OverflowError:
            pass
    mixed = np.empty(len(items), object)
    mixed[:] = items
    return mixed


def _coded(items: list[Any]) -> Coded | None:
    """Return *items* as codes if all are text or None: two look-ups an item, and no line of Python."""
    try:
        distinct = dict.fromkeys(items)
    except TypeError:  # one cannot be looked up, so it is no text
        return None
    missing = None in distinct
    distinct.pop(None, None)
    if not set(map(type, distinct)) <= {str}:
        return None
    code_of: dict[str | None, int] = {text: code for code, text in enumerate(distinct)}
    if missing:
        code_of[None] = -1
    return Coded(np.fromiter(map(code_of.__getitem__, items), np.intp, len(items)), tuple(distinct))


_PLAIN = {bool, int, float, str, type(None)}


def _plain(item: Any) -> Any:
    if is_missing(item):
        return None
    if isinstance(item, np.bool_ | np.integer | np.floating):
        return item.item()
    return str(item) if isinstance(item, str) else item


def is_missing(item: Any) -> bool:
    """Tell whether *item* holds nothing: None, NaN, NaT, pandas' NA.

    >>> [is_missing(item) for item in (None, float("nan"), np.datetime64("NaT"), 0, "")]
    [True, True, True, False, False]
    """
    if item is None:
        return True
    try:
        return bool(item != item)  # noqa: PLR0124 - what differs from itself is NaN, whatever its type
    except TypeError:  # pandas' NA refuses to be true or false
        return True
    except Exception:  # noqa: BLE001 - an array, or a foreign object that cannot be compared
        return False


def numbers(column: Column) -> Numbers:
    """Read *column* as numbers: text, ids and infinities are wrong type, booleans are 0 and 1."""
    if isinstance(column, Coded):
        missing = int(np.count_nonzero(column.codes < 0))
        return Numbers(np.empty(0), np.empty(0, np.intp), missing, len(column) - missing)
    kind = column.dtype.kind
    if kind == "f":
        if column.dtype not in (np.float32, np.float64):
            column = column.astype(np.float64)
        finite = np.isfinite(column)
        if finite.all():
            return Numbers(column, None, 0, 0)
        missing = int(np.count_nonzero(np.isnan(column)))
        rows = np.flatnonzero(finite)
        return Numbers(column[rows], rows, missing, len(column) - len(rows) - missing)
    if kind in "iub":
        return Numbers(column.astype(np.float64), None, 0, 0)
    if kind == "O":
        return _mixed_numbers(column)
    return Numbers(np.empty(0), np.empty(0, np.intp), 0, len(column))


def _mixed_numbers(column: NDArray[Any]) -> Numbers:
    missing = 0
    values: list[float] = []
    rows: list[int] = []
    for row, item in enumerate(column.tolist()):
        if is_missing(item):
            missing += 1
        elif isinstance(item, bool | int | float | np.bool_ | np.integer | np.floating):
            value = _as_float(item)
            if math.isfinite(value):
                values.append(value)
                rows.append(row)
    found = None if len(rows) == len(column) else np.asarray(rows, np.intp)
    return Numbers(np.asarray(values, np.float64), found, missing, len(column) - len(rows) - missing)


def _as_float(item: Any) -> float:
    try:
        return float(item)
    except OverflowError:  # an int beyond 1e308 is no value of a numeric feature
        return math.inf


def categories(column: Column) -> Categories:
    """Read *column* as categories, by canonical text: ids and infinities are wrong type."""
    if isinstance(column, Coded):
        codes = column.codes.astype(np.intp, copy=False)
        rows = None if (codes >= 0).all() else np.flatnonzero(codes >= 0)
        kept = codes if rows is None else codes[rows]
        return _merged(kept, [clip(text) for text in column.texts], rows, len(codes) - len(kept), 0)
    kind = column.dtype.kind
    if kind == "b":
        return Categories(column.astype(np.intp), ("false", "true"), None, 0, 0)
    if kind in "iu":
        distinct, codes = np.unique(column, return_inverse=True)
        return Categories(codes.astype(np.intp), tuple(str(v) for v in distinct.tolist()), None, 0, 0)
    if kind == "f":
        return _float_categories(column)
    if kind == "O":
        return _mixed_categories(column)
    return Categories(np.empty(0, np.intp), (), np.empty(0, np.intp), 0, len(column))


def _float_categories(column: NDArray[np.floating[Any]]) -> Categories:
    finite = np.isfinite(column)
    rows = None if finite.all() else np.flatnonzero(finite)
    values = column if rows is None else column[rows]
    missing = int(np.count_nonzero(np.isnan(column)))
    distinct, codes = np.unique(values, return_inverse=True)
    wrong = len(column) - len(values) - missing
    return _merged(codes.astype(np.intp), [category_text(v) for v in distinct], rows, missing, wrong)


def _mixed_categories(column: NDArray[Any]) -> Categories:
    known: dict[str, int] = {}
    codes: list[int] = []
    rows: list[int] = []
    missing = 0
    for row, item in enumerate(column.tolist()):
        text = category_text(item)
        if text is None:
            missing += is_missing(item)
        else:
            codes.append(known.setdefault(text, len(known)))
            rows.append(row)
    wrong = len(column) - len(rows) - missing
    found = None if len(rows) == len(column) else np.asarray(rows, np.intp)
    return Categories(np.asarray(codes, np.intp), tuple(known), found, missing, wrong)


def _merged(
    codes: NDArray[np.intp],
    texts: Iterable[str | None],
    rows: NDArray[np.intp] | None,
    missing: int,
    wrong_type: int,
) -> Categories:
    """Give equal texts one code: two long texts may be cut alike, -0.0 and 0.0 are one number."""
    known: dict[str, int] = {}
    index = np.asarray([known.setdefault(text or "", len(known)) for text in texts], np.intp)
    if len(known) < len(index):
        codes = index[codes]
    return Categories(codes, tuple(known), rows, missing, wrong_type)


def missing_rows(column: Column) -> NDArray[np.bool_]:
    """Return which rows of *column* hold nothing.

    >>> missing_rows(np.array([1.0, np.nan]))
    array([False,  True])
    """
    if isinstance(column, Coded):
        return column.codes < 0
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "O":
        return np.fromiter(map(is_missing, column.tolist()), np.bool_, len(column))
    return np.zeros(len(column), np.bool_)


def category_text(item: Any) -> str | None:
    """Return the canonical text of one category, or None when *item* can be none.

    Booleans are ``true`` and ``false``, whole numbers are written out without a point, other
    numbers are the shortest decimal that reads back in their own type, text is itself, cut by
    :func:`clip`.

    >>> category_text(True), category_text(1.0), category_text(np.float32(0.1)), category_text("")
    ('true', '1', '0.1', '')
    """
    if isinstance(item, bool | np.bool_):
        return "true" if item else "false"
    if isinstance(item, int | float | np.integer | np.floating):
        value = _as_float(item)
        if not math.isfinite(value):
            return None
        if value.is_integer():  # through int: 2**60 and 2.0**60 are one category, 0.0 and -0.0 too
            return clip(str(int(item)))
        return clip(np.format_float_positional(item, unique=True, trim="-"))
    if isinstance(item, str):
        return clip(item)
    return None


def clip(text: str) -> str:
    """Return *text* if it fits in 128 bytes of UTF-8, else its beginning and 8 hex of its SHA-256.

    The cut is made between characters, and the result fits in 128 bytes. Half a surrogate pair,
    which UTF-8 cannot hold, becomes a question mark.
    """
    if len(text) <= MAX_TEXT_BYTES and text.isascii():
        return text
    raw = text.encode("utf-8", "replace")
    if len(raw) <= MAX_TEXT_BYTES:
        return raw.decode()
    head = raw[: MAX_TEXT_BYTES - _HASH_DIGITS].decode("utf-8", "ignore")
    return head + hashlib.sha256(raw).hexdigest()[:_HASH_DIGITS]


def take(column: Column, rows: NDArray[Any] | slice) -> Column:
    """Return the given *rows* (a mask, indices or a slice) of *column*."""
    if isinstance(column, Coded):
        return Coded(column.codes[rows], column.texts)
    taken: NDArray[Any] = column[rows]
    return taken


def join(parts: Sequence[tuple[Column | None, int]]) -> Column:
    """Return columns, each with its number of rows, one after another; one that is None has only missing rows.

    Texts that do not occur are left out.

    >>> join([(np.array([1, 2]), 2), (None, 1), (np.array([0.5]), 1)])
    array([1. , 2. , nan, 0.5])
    >>> join([(Coded(np.array([0, -1]), ("a",)), 2), (Coded(np.array([1]), ("a", "b")), 1)])
    Coded(codes=array([ 0, -1,  1]), texts=('a', 'b'))
    """
    present = [column for column, _ in parts if column is not None]
    absent = len(present) < len(parts)
    if present and all(isinstance(column, Coded) for column in present):
        known: dict[str, int] = {}
        codes = []
        for column, rows in parts:
            if isinstance(column, Coded):
                place = np.full(len(column.texts) + 1, -1)  # the last one is where a code of -1 leads
                for code in np.unique(column.codes[column.codes >= 0]).tolist():
                    place[code] = known.setdefault(column.texts[code], len(known))
                codes.append(place[column.codes])
            else:
                codes.append(np.full(rows, -1))
        return Coded(np.concatenate(codes), tuple(known))
    kinds = {"text" if isinstance(column, Coded) else column.dtype.kind for column in present}
    if kinds <= set("fiu") or (kinds == {"b"} and not absent):
        return np.concatenate([np.full(rows, np.nan) if column is None else column for column, rows in parts])
    return of([item for column, rows in parts for item in _items(column, rows)])


def _items(column: Column | None, rows: int) -> list[Any]:
    if column is None:
        return [None] * rows
    if isinstance(column, Coded):
        return [None if code < 0 else column.texts[code] for code in column.codes.tolist()]
    items: list[Any] = column.tolist()
    return items
