"""What a caller says of the rows of a call besides their features: ids, segments, entities, times."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftline import names
from driftline.instrumentation.parts import Columns

if TYPE_CHECKING:
    from driftline.columns import Column

_ID_BYTES = 16
_ID_TEXT_BYTES = 64


class Said(NamedTuple):
    """One value for all rows or one a row each; None for what is not said. A function is given the features."""

    ids: Any = None
    segments: Any = None
    entities: Any = None
    times: Any = None

    def part(self, features: Any, rows: int) -> Columns | None:
        """Return what is said of so many *rows* as columns.

        Raises:
            ValueError: It is not one value, or not one a row, or none of what it should be.
        """
        columns = {}
        for (name, read), given in zip(_READ.items(), self, strict=True):
            if given is not None:
                values = _per_row(name, given(features) if callable(given) else given, rows)
                columns[name] = read(values)
        if not columns:
            return None
        return Columns(
            tuple(columns), list(columns.values()), rows, lambda c, kept: c if kept is None else c[kept]
        )


def _per_row(name: str, given: Any, rows: int) -> list[Any]:
    """Return one value a row."""
    if isinstance(given, (str, bytes, Mapping, datetime)) or not hasattr(given, "__len__"):
        return [given] * rows
    values = list(given)
    if len(values) != rows:
        raise ValueError(f"{len(values)} values as {name} for {rows} rows; give one, or one a row")
    return values


def _ids(values: list[Any]) -> Column:
    raw = [value.bytes if isinstance(value, uuid.UUID) else value for value in values]
    if all(isinstance(value, bytes) and len(value) == _ID_BYTES for value in raw):
        return np.frombuffer(b"".join(raw), "V16")
    return _texts([value.hex() if isinstance(value, bytes) else value for value in raw])


def _texts(values: list[Any]) -> Column:
    """Return text of at most 64 bytes; what is longer is told by its hash."""
    texts = np.empty(len(values), object)
    for row, value in enumerate(values):
        text = None if value is None else str(value)
        if text is not None and len(raw := text.encode("utf-8", "replace")) > _ID_TEXT_BYTES:
            text = hashlib.sha256(raw).hexdigest()
        texts[row] = text
    return texts


def _segments(values: list[Any]) -> Column:
    texts = np.empty(len(values), object)
    for row, value in enumerate(values):
        one = isinstance(value, Mapping) and len(value) == 1
        text = "{}={}".format(*next(iter(value.items()))) if one else value
        if text is not None and (not isinstance(text, str) or not text.partition("=")[1]):
            raise ValueError(f'{value!r} as a segment; give "country=de" or {{"country": "de"}}')
        texts[row] = text
    return texts


def _times(values: list[Any]) -> Column:
    moments = np.empty(len(values), np.int64)
    for row, value in enumerate(values):
        if isinstance(value, np.datetime64):
            moments[row] = value.astype("M8[ns]").astype(np.int64)
        else:
            seconds = value.timestamp() if isinstance(value, datetime) else float(value)
            moments[row] = round(seconds * 1_000_000) * 1000
    return moments


_READ: dict[str, Callable[[list[Any]], Column]] = {
    names.COLUMN_ID: _ids,
    names.COLUMN_SEGMENT: _segments,
    names.COLUMN_ENTITY: _texts,
    names.COLUMN_TIME: _times,
}
