"""A request in OTLP's JSON into batches."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from driftline.errors import RequestUnreadable
from driftline.wire.attributes import shown
from driftline.wire.decoding import read
from driftline.wire.form import as_double, event_field, without_surrogates

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    from driftline.wire.batch import Request


_DEPTH = 32
"""How deeply values may lie in each other; the contract needs three."""

_KINDS = {
    spelling: kind
    for kind, camel in {
        "string_value": "stringValue",
        "bool_value": "boolValue",
        "int_value": "intValue",
        "double_value": "doubleValue",
        "bytes_value": "bytesValue",
        "array_value": "arrayValue",
        "kvlist_value": "kvlistValue",
    }.items()
    for spelling in (kind, camel)
}
_SPECIAL = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?")


def decode_json(body: bytes) -> Request:
    """Read an ``ExportLogsServiceRequest`` in OTLP's JSON encoding.

    A stock reader of protobuf's JSON refuses ``null`` among the values of an array, where the contract
    means a missing value, so this one is our own; what it builds is read as if it had come in protobuf.

    Raises:
        RequestUnreadable: *body* is no such message.
    """
    try:
        tree = json.loads(body.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise RequestUnreadable("the body's JSON is nested too deeply") from error
    except ValueError as error:
        raise RequestUnreadable(f"the body is no JSON: {error}") from error
    message = ExportLogsServiceRequest()
    for resource_logs in _list(tree, "resource_logs", "resourceLogs"):
        to_resource = message.resource_logs.add()
        resource = _field(resource_logs, "resource")
        if resource is not None:
            _put_pairs(to_resource.resource.attributes, _list(resource, "attributes"))
        for scope_logs in _list(resource_logs, "scope_logs", "scopeLogs"):
            to_scope = to_resource.scope_logs.add()
            for record in _list(scope_logs, "log_records", "logRecords"):
                to_record = to_scope.log_records.add()
                _put_pairs(to_record.attributes, _list(record, "attributes"))
                dropped = _field(record, "dropped_attributes_count", "droppedAttributesCount")
                to_record.dropped_attributes_count = (
                    0 if dropped is None else _json_integer(dropped, 0, 2**32)
                )
                event = _field(record, "event_name", "eventName")
                to_record.MergeFromString(event_field("" if event is None else _json_text(event)))
    return read(message)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise RequestUnreadable("the body's JSON holds an object with a key twice")
    return tree


def _no_constant(name: str) -> None:
    raise RequestUnreadable(f'the body is no JSON: {name} is none; write null, or "{name}" as a doubleValue')


def _field(tree: Any, *spellings: str) -> Any:
    """Return what *tree*, an object, holds under one of the *spellings*, None where it holds nothing."""
    if not isinstance(tree, dict):
        raise RequestUnreadable(f"the body's JSON holds {_json_shown(tree)} where an object belongs")
    found = [spelling for spelling in spellings if spelling in tree]
    if len(found) > 1:
        raise RequestUnreadable(f"the body's JSON holds both {' and '.join(found)}")
    return tree[found[0]] if found else None


def _list(tree: Any, *spellings: str) -> list[Any]:
    items = _field(tree, *spellings)
    if items is None:
        return []
    if not isinstance(items, list):
        raise RequestUnreadable(
            f"the body's JSON holds {_json_shown(items)} as {spellings[-1]}, not an array"
        )
    return items


def _put_pairs(pairs: Any, trees: list[Any], depth: int = 0) -> None:
    for tree in trees:
        key = _field(tree, "key")
        pair = pairs.add(key="" if key is None else _json_text(key))
        _put_json(pair.value, _field(tree, "value"), depth)


def _put_json(value: AnyValue, tree: Any, depth: int) -> None:
    """Write an AnyValue in JSON into *value*; ``null``, bare or typed, sets nothing."""
    if tree is None:
        return
    if depth > _DEPTH:
        raise RequestUnreadable(f"the body's values lie in each other more than {_DEPTH} deep")
    _field(tree)
    for spelling, item in tree.items():
        kind = _KINDS.get(spelling)
        if kind is None or item is None:
            continue
        if value.WhichOneof("value"):
            raise RequestUnreadable(f"the body's JSON holds a value of two kinds: {_json_shown(tree)}")
        if kind == "array_value":
            value.array_value.SetInParent()
            for element in _list(item, "values"):
                _put_json(value.array_value.values.add(), element, depth + 1)
        elif kind == "kvlist_value":
            value.kvlist_value.SetInParent()
            _put_pairs(value.kvlist_value.values, _list(item, "values"), depth + 1)
        else:
            setattr(value, kind, _JSON_SCALARS[kind](item))


def _json_text(item: Any) -> str:
    if not isinstance(item, str):
        raise RequestUnreadable(f"the body's JSON holds {_json_shown(item)} where a string belongs")
    return without_surrogates(item)


def _json_boolean(item: Any) -> bool:
    if not isinstance(item, bool):
        raise RequestUnreadable(f"the body's JSON holds {_json_shown(item)} as a boolValue")
    return item


def _json_integer(item: Any, least: int = -(2**63), end: int = 2**63) -> int:
    """Read an integer, which protobuf's JSON may write as a number, whole, or as text."""
    written_as_text = isinstance(item, str) and re.fullmatch(r"-?[0-9]{1,20}", item)
    written_whole = isinstance(item, float) and item.is_integer()
    number = int(item) if written_as_text or written_whole else item
    if isinstance(number, bool) or not isinstance(number, int) or not least <= number < end:
        raise RequestUnreadable(f"the body's JSON holds {_json_shown(item)} where an integer belongs")
    return number


def _json_double(item: Any) -> float:
    if isinstance(item, str):
        if item in _SPECIAL:
            return _SPECIAL[item]
        if _NUMBER.fullmatch(item):
            return float(item)
    elif isinstance(item, float):
        return item
    elif isinstance(item, int) and not isinstance(item, bool):
        return as_double(item)
    raise RequestUnreadable(f"the body's JSON holds {_json_shown(item)} as a doubleValue")


def _json_bytes(item: Any) -> bytes:
    """Read base64, in the standard or the URL's alphabet, padded or not."""
    text = _json_text(item).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestUnreadable(f"the body's JSON holds a bytesValue that is no base64: {error}") from error


_JSON_SCALARS = {
    "string_value": _json_text,
    "bool_value": _json_boolean,
    "int_value": _json_integer,
    "double_value": _json_double,
    "bytes_value": _json_bytes,
}


def _json_shown(tree: Any) -> str:
    return shown(json.dumps(tree)) if isinstance(tree, str | int | float) else type(tree).__name__
