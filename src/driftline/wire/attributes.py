"""What a record says of itself: its attributes, each as what it must be."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from driftline import names
from driftline.columns import clip
from driftline.errors import RecordRejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


SCALARS = frozenset(("double_value", "int_value", "string_value", "bool_value"))
_READ_ATTRIBUTES = frozenset(
    value for name, value in vars(names).items() if name.startswith("ATTR_") and value != names.ATTR_DATA_FLAT
)
_STREAM_BYTES = 16


def attributes_of(pairs: Iterable[KeyValue]) -> tuple[dict[str, AnyValue], list[tuple[str, AnyValue]]]:
    """Return the attributes that are read and set, and the columns that were sent flat."""
    known: dict[str, AnyValue] = {}
    flat: list[tuple[str, AnyValue]] = []
    for pair in pairs:
        key = pair.key
        if key.startswith(names.ATTR_DATA_FLAT):
            flat.append((key[len(names.ATTR_DATA_FLAT) :], pair.value))
        elif key in _READ_ATTRIBUTES:
            if key in known:
                raise RecordRejected("attribute", f"{key} is there twice")
            known[key] = pair.value
    return {key: value for key, value in known.items() if value.WhichOneof("value")}, flat


def absent(key: str) -> RecordRejected:
    """Return the error of a record that lacks a required attribute."""
    return RecordRejected("attribute", f"{key} is required")


def as_integer(
    attributes: Mapping[str, AnyValue], key: str, least: int, most: int = np.iinfo(np.int64).max
) -> int | None:
    """Return a whole number between *least* and *most*, None where there is none; reject anything else."""
    value = attributes.get(key)
    if value is None:
        return None
    if not value.HasField("int_value") or not least <= value.int_value <= most:
        raise RecordRejected("attribute", f"{key} must be an integer, {least} to {most}, not {shown(value)}")
    return value.int_value


def as_text(attributes: Mapping[str, AnyValue], key: str) -> str | None:
    """Return a text, cut where it is too long; None for none and for ``""``."""
    value = attributes.get(key)
    if value is None:
        return None
    if not value.HasField("string_value"):
        raise RecordRejected("attribute", f"{key} must be a string, not {shown(value)}")
    return clip(value.string_value) or None


def as_name(attributes: Mapping[str, AnyValue], key: str) -> str:
    """Return a name, which is required and never cut."""
    if not as_text(attributes, key):
        raise absent(key)
    text = attributes[key].string_value
    if len(text.encode()) > names.MAX_MODEL_BYTES:
        raise RecordRejected(
            "attribute", f"{key} is longer than {names.MAX_MODEL_BYTES} bytes: {shown(text)}"
        )
    return text


def as_segment(attributes: Mapping[str, AnyValue]) -> str | None:
    """Return the segment of the whole batch, ``name=value``."""
    text = as_text(attributes, names.ATTR_SEGMENT)
    if text is not None and not text.partition("=")[1]:
        raise RecordRejected("attribute", f"{names.ATTR_SEGMENT} must be name=value, not {shown(text)}")
    return text


def as_sample_rate(attributes: Mapping[str, AnyValue]) -> float | None:
    """Return the share of rows that were kept."""
    value = attributes.get(names.ATTR_SAMPLE_RATE)
    if value is None:
        return None
    # JavaScript sends 1.0 as an integer
    rate = float(value.int_value) if value.HasField("int_value") else value.double_value
    if not 0 < rate <= 1:
        raise RecordRejected(
            "attribute", f"{names.ATTR_SAMPLE_RATE} must be a double above 0, at most 1, not {shown(value)}"
        )
    return rate


def as_stream(attributes: Mapping[str, AnyValue]) -> bytes | None:
    """Return the 16 bytes of the stream, of which the text is hexadecimal."""
    value = attributes.get(names.ATTR_STREAM)
    if value is None:
        return None
    stream = value.bytes_value
    if re.fullmatch("[0-9a-fA-F]{32}", value.string_value):
        stream = bytes.fromhex(value.string_value)
    if len(stream) != _STREAM_BYTES:
        raise RecordRejected(
            "attribute", f"{names.ATTR_STREAM} must be 16 bytes or 32 hex digits, not {shown(value)}"
        )
    return stream


def shown(value: AnyValue | str) -> str:
    """Return what an error's text quotes of *value*."""
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else value[:80] + "…")
    kind = value.WhichOneof("value")
    if kind in SCALARS:
        return shown(value.string_value) if kind == "string_value" else repr(getattr(value, kind))
    return {None: "unset", "array_value": "an array", "kvlist_value": "a map"}.get(kind, "bytes")
