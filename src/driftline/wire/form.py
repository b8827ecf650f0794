"""What both directions share: the header of packed values, cells of arrays, the name of the event."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from driftline.columns import clip

HEADER = struct.Struct("<2sBBI")
MAGIC, FORM = b"DL", 1
DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("i1"),
    4: np.dtype("<i2"),
    5: np.dtype("<i4"),
    6: np.dtype("<i8"),
    7: np.dtype("V16"),
}
CODE_OF = {dtype: code for code, dtype in DTYPES.items()}

# An element of an ArrayValue as it is serialised: tag and length of the AnyValue, tag of its kind, value.
# Where every element is of one kind of fixed size, numpy reads and writes them all at once.
CELLS = {
    "double_value": (np.dtype([("head", "u1", 3), ("value", "<f8")]), (0x0A, 9, 0x21)),
    "bool_value": (np.dtype([("head", "u1", 3), ("value", "?")]), (0x0A, 2, 0x10)),
}

_EVENT_NAME = LogRecord.DESCRIPTOR.fields_by_name.get("event_name")
_EVENT_NAME_NUMBER = 12  # LogRecord.event_name, which opentelemetry-proto 1.27 does not know yet


def event_field(event: str) -> bytes:
    """Return ``LogRecord.event_name`` as it is serialised, for a class that may not have the field."""
    raw = clip(event).encode()
    return bytes([_EVENT_NAME_NUMBER << 3 | 2, len(raw) & 0x7F | 0x80, len(raw) >> 7]) + raw


def event_name(record: LogRecord) -> str:
    """Return ``LogRecord.event_name``, whether or not the class has the field."""
    if _EVENT_NAME is not None:
        return record.event_name
    for unknown in UnknownFieldSet(record):  # type: ignore[attr-defined]  # the stubs know only its items
        if unknown.field_number == _EVENT_NAME_NUMBER and isinstance(unknown.data, bytes):
            return unknown.data.decode("utf-8", "replace")
    return ""


def as_double(item: int) -> float:
    """Return *item* as a double, an infinite one where it is too large."""
    try:
        return float(item)
    except OverflowError:
        return np.inf if item > 0 else -np.inf


def without_surrogates(text: str) -> str:
    """Return *text* with a question mark for what UTF-8 cannot hold: half a surrogate pair."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
