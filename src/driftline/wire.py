"""The contract on the wire: a batch of columns to and from one OTLP LogRecord."""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

from driftline import names
from driftline.columns import Coded, clip, is_missing, of
from driftline.errors import RecordRejected, RequestUnreadable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue

    from driftline.columns import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of one model and version, column by column, with what the record says about them.

    ``resource`` holds the resource attributes whose values are text, such as ``service.name``.
    The ``*_total`` counts are cumulative per (stream, model, version); None where the sender gave none. Those left out
    by the sample rate are among those dropped.
    ``counts`` are what a service counted itself, by column: the four faults, then the fine bins of the baseline.
    ``records`` is how many one-row records were read into this batch, else 1.
    """

    model: str
    version: str
    rows: int
    columns: Mapping[str, Column]
    stream: bytes | None = None
    sequence: int | None = None
    rows_total: int | None = None
    dropped_rows_total: int | None = None
    left_out_rows_total: int | None = None
    error_rows_total: int | None = None
    sample_rate: float | None = None
    baseline_id: str | None = None
    dataset_version: str | None = None
    task: str | None = None
    segment: str | None = None
    resource: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, NDArray[np.integer[Any]]] | None = None
    records: int = 1


@dataclass(frozen=True, slots=True)
class Request:
    """What one export request held.

    Attributes:
        batches: The good records, in order; then those of one row that could be read together.
        rejected: One error for every record that breaks the contract.
        ignored: How many records are not driftline's.
    """

    batches: tuple[Batch, ...]
    rejected: tuple[RecordRejected, ...]
    ignored: int


# --- what both directions share ---------------------------------------------------------------

_HEADER = struct.Struct("<2sBBI")
_MAGIC, _FORM = b"DL", 1
_DTYPES: dict[int, np.dtype[Any]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("i1"),
    4: np.dtype("<i2"),
    5: np.dtype("<i4"),
    6: np.dtype("<i8"),
    7: np.dtype("V16"),
}
_CODE_OF = {dtype: code for code, dtype in _DTYPES.items()}

# An element of an ArrayValue as it is serialised: tag and length of the AnyValue, tag of its kind, value.
# Where every element is of one kind of fixed size, numpy reads and writes them all at once.
_CELLS = {
    "double_value": (np.dtype([("head", "u1", 3), ("value", "<f8")]), (0x0A, 9, 0x21)),
    "bool_value": (np.dtype([("head", "u1", 3), ("value", "?")]), (0x0A, 2, 0x10)),
}

_EVENT_NAME = LogRecord.DESCRIPTOR.fields_by_name.get("event_name")
_EVENT_NAME_NUMBER = 12  # LogRecord.event_name, which opentelemetry-proto 1.27 does not know yet


# --- encode -----------------------------------------------------------------------------------


def encode(batch: Batch, *, time_unix_nano: int = 0) -> bytes:
    """Return *batch* as a serialised ``ExportLogsServiceRequest`` of one record.

    Text is cut to 128 bytes; what is no number, text, boolean or id travels as its text. Whatever the
    values, this does not raise.
    """
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    for key, text in batch.resource.items():
        resource_logs.resource.attributes.add(key=_utf8(key)).value.string_value = _utf8(text)
    scope_logs = resource_logs.scope_logs.add()
    scope_logs.scope.name = names.SCOPE
    scope_logs.schema_url = names.SCHEMA_URL
    record = scope_logs.log_records.add()
    # As bytes: a class without the field keeps it among its unknown ones and sends it all the same.
    event = names.EVENT_BATCH if batch.counts is None else names.EVENT_HISTOGRAM
    record.MergeFromString(_event_field(event))
    record.time_unix_nano = time_unix_nano
    record.severity_number = SeverityNumber.SEVERITY_NUMBER_INFO

    def put(key: str) -> AnyValue:
        return record.attributes.add(key=key).value

    put(names.ATTR_CONTRACT_VERSION).int_value = names.CONTRACT_VERSION
    put(names.ATTR_MODEL_NAME).string_value = _utf8(batch.model)
    put(names.ATTR_MODEL_VERSION).string_value = _utf8(batch.version)
    put(names.ATTR_ROWS).int_value = batch.rows
    for key, number in (
        (names.ATTR_SEQUENCE, batch.sequence),
        (names.ATTR_ROWS_TOTAL, batch.rows_total),
        (names.ATTR_DROPPED_ROWS_TOTAL, batch.dropped_rows_total),
        (names.ATTR_LEFT_OUT_ROWS_TOTAL, batch.left_out_rows_total),
        (names.ATTR_ERROR_ROWS_TOTAL, batch.error_rows_total),
    ):
        if number is not None:
            put(key).int_value = number
    for key, said in (
        (names.ATTR_BASELINE_ID, batch.baseline_id),
        (names.ATTR_DATASET_VERSION, batch.dataset_version),
        (names.ATTR_TASK, batch.task),
        (names.ATTR_SEGMENT, batch.segment),
    ):
        if said is not None:
            put(key).string_value = clip(said)
    if batch.stream is not None:
        put(names.ATTR_STREAM).bytes_value = batch.stream
    if batch.sample_rate is not None:
        put(names.ATTR_SAMPLE_RATE).double_value = batch.sample_rate

    if batch.counts is not None:
        counts = put(names.ATTR_COUNTS).kvlist_value.values
        for name, counted in batch.counts.items():
            _put_packed(counts.add(key=_utf8(name)).value, counted.astype("<i4"))

    data = put(names.ATTR_DATA).kvlist_value.values
    dictionaries = {}
    for name, column in batch.columns.items():
        texts = _put_column(data.add(key=_utf8(name)).value, column)
        if texts is not None:
            dictionaries[name] = texts
    if dictionaries:
        attribute = put(names.ATTR_DICTIONARIES).kvlist_value.values
        for name, texts in dictionaries.items():
            _put_texts(attribute.add(key=_utf8(name)).value, texts)
    return request.SerializeToString()


def _event_field(event: str) -> bytes:
    """Return ``LogRecord.event_name`` as it is serialised, for a class that may not have the field."""
    raw = clip(event).encode()
    return bytes([_EVENT_NAME_NUMBER << 3 | 2, len(raw) & 0x7F | 0x80, len(raw) >> 7]) + raw


def _put_column(value: AnyValue, column: Column) -> Iterable[str] | None:
    """Write *column* into *value*; return its dictionary where it has one."""
    if not isinstance(column, Coded) and column.dtype.kind not in "fiub" and column.dtype != _DTYPES[7]:
        column = of(column.tolist())
    if isinstance(column, Coded):
        codes, texts = _used(column)
        if len(texts) > names.MAX_DICTIONARY:
            _put_texts(value, [None if code < 0 else texts[code] for code in codes.tolist()])
            return None
        _put_packed(value, codes.astype(np.min_scalar_type(-max(len(texts), 1))))
        return texts
    kind = column.dtype.kind
    if kind == "b":
        layout, head = _CELLS["bool_value"]
        cells = np.empty(len(column), layout)
        cells["head"] = head
        cells["value"] = column
        value.array_value.MergeFromString(cells.tobytes())
    elif kind == "O":
        elements = value.array_value.values
        for item in column.tolist():
            _put_item(elements.add(), item)
    else:
        _put_packed(value, _signed(column))
    return None


def _used(column: Coded) -> tuple[NDArray[np.integer[Any]], list[str]]:
    """Return codes into the texts that occur, each of them cut and there once."""
    codes = column.codes.astype(np.intp, copy=False)
    used = np.flatnonzero(np.bincount(codes + 1, minlength=len(column.texts) + 1)[1:])
    known: dict[str, int] = {}
    code_of = np.full(len(column.texts) + 1, -1)
    for code in used.tolist():
        code_of[code + 1] = known.setdefault(clip(column.texts[code]), len(known))
    return code_of[codes + 1], list(known)


def _signed(column: NDArray[Any]) -> NDArray[Any]:
    """Return *column* in a type that the wire has; unsigned integers need the next larger one."""
    kind, size = column.dtype.kind, column.dtype.itemsize
    if kind == "f":
        return column.astype("<f4" if size <= 4 else "<f8", copy=False)
    if kind == "u":
        if size == 8 and len(column) and column.max() > np.iinfo(np.int64).max:
            return column.astype("<f8")
        return column.astype(f"<i{min(2 * size, 8)}")
    return column.astype(column.dtype.newbyteorder("<"), copy=False)


def _put_packed(value: AnyValue, array: NDArray[Any]) -> None:
    value.bytes_value = _HEADER.pack(_MAGIC, _FORM, _CODE_OF[array.dtype], len(array)) + array.tobytes()


def _put_texts(value: AnyValue, texts: Iterable[str | None]) -> None:
    value.array_value.SetInParent()
    elements = value.array_value.values
    for text in texts:
        element = elements.add()
        if text is not None:
            element.string_value = text


def _put_item(value: AnyValue, item: Any) -> None:
    if is_missing(item):
        return
    if isinstance(item, bool):
        value.bool_value = item
    elif isinstance(item, int):
        try:
            value.int_value = item
        except ValueError:  # beyond 64 bits: the nearest double is the same number to any histogram
            value.double_value = _double(item)
    elif isinstance(item, float):
        value.double_value = item
    else:
        value.string_value = clip(item if isinstance(item, str) else _described(item))


def _double(item: int) -> float:
    try:
        return float(item)
    except OverflowError:
        return np.inf if item > 0 else -np.inf


def _described(item: object) -> str:
    try:
        return str(item)
    except Exception:  # noqa: BLE001 - someone else's __str__
        return type(item).__name__


def _utf8(text: str) -> str:
    """Return *text* with a question mark for what UTF-8 cannot hold: half a surrogate pair."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


# --- decode -----------------------------------------------------------------------------------


def decode(body: bytes) -> Request:
    """Read a serialised ``ExportLogsServiceRequest``.

    Raises:
        RequestUnreadable: *body* is no such message.
    """
    try:
        return _read(ExportLogsServiceRequest.FromString(body))
    except DecodeError as error:
        raise RequestUnreadable(
            f"the body is no ExportLogsServiceRequest in protobuf ({error}); is it JSON, or compressed "
            "without saying so?"
        ) from error


def _read(message: ExportLogsServiceRequest) -> Request:
    batches: list[Batch] = []
    rejected: list[RecordRejected] = []
    ignored = 0
    together: dict[tuple[Any, ...], _Together] = {}
    for place, resource_logs in enumerate(message.resource_logs):
        resource = {
            pair.key: pair.value.string_value
            for pair in resource_logs.resource.attributes
            if pair.value.HasField("string_value")
        }
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                try:
                    event = _event(record)
                    if not event:
                        ignored += 1
                        continue
                    said, data, dictionaries = _envelope(record, event)
                    row = _row(said, data, dictionaries)
                    if row is None:
                        columns = {
                            name: _column(name, value, said["rows"], dictionaries.get(name))
                            for name, value in data.items()
                        }
                        batches.append(Batch(**said, columns=columns, resource=resource))
                    else:
                        alike = (place, *said.values(), *data)
                        if alike not in together:
                            together[alike] = _Together(said, tuple(data), resource, [])
                        together[alike].rows.append(row)
                except RecordRejected as error:
                    # its frames would keep the whole message alive
                    rejected.append(error.with_traceback(None))
    for rows in together.values():
        batches.extend(rows.batches())
    return Request(tuple(batches), tuple(rejected), ignored)


@dataclass(frozen=True, slots=True)
class _Together:
    """Records of one row that say the same of themselves and hold the same columns.

    A stock SDK sends a record per prediction, 512 a request: read one by one, most of the time would
    go into arrays of one value, and again into counting them.
    """

    said: dict[str, Any]
    names: tuple[str, ...]
    resource: Mapping[str, str]
    rows: list[list[Any]]

    def batches(self) -> Iterable[Batch]:
        for start in range(0, len(self.rows), names.MAX_ROWS):
            rows = self.rows[start : start + names.MAX_ROWS]
            columns = {
                name: of(values) for name, values in zip(self.names, zip(*rows, strict=True), strict=True)
            }
            said = self.said | {"rows": len(rows), "records": len(rows)}
            yield Batch(**said, columns=columns, resource=self.resource)


def _row(
    said: Mapping[str, Any], data: Mapping[str, AnyValue], dictionaries: Mapping[str, AnyValue]
) -> list[Any] | None:
    """Return the values of a one-row record that may be read with its like, None for any other.

    What is numbered or carries cumulative counts stands for itself.
    """
    if (
        said["rows"] != 1
        or dictionaries
        or said["counts"] is not None
        or any(said[count] is not None for count in _COUNTS)
    ):
        return None
    row: list[Any] = []
    for value in data.values():
        kind = value.WhichOneof("value")
        if kind is None:
            row.append(None)
        elif kind in _SCALARS:
            row.append(getattr(value, kind))
        else:
            return None
    return row


_COUNTS = ("sequence", "rows_total", "dropped_rows_total", "left_out_rows_total", "error_rows_total")


def _event(record: LogRecord) -> str:
    """Return which of our events *record* is, "" for none; reject a driftline event that is not read."""
    event = _event_name(record)
    if event in (names.EVENT_BATCH, names.EVENT_HISTOGRAM):
        return event
    if event.startswith(names.EVENT_PREFIX):
        when = "is reserved for a later version" if event in names.RESERVED_EVENTS else "is not known"
        raise RecordRejected("unsupported_event", f"event {_shown(event)} {when}; send {names.EVENT_BATCH}")
    ours = not event and any(pair.key == names.ATTR_CONTRACT_VERSION for pair in record.attributes)
    return names.EVENT_BATCH if ours else ""


def _event_name(record: LogRecord) -> str:
    if _EVENT_NAME is not None:
        return record.event_name
    for unknown in UnknownFieldSet(record):  # type: ignore[attr-defined]  # the stubs know only its items
        if unknown.field_number == _EVENT_NAME_NUMBER and isinstance(unknown.data, bytes):
            return unknown.data.decode("utf-8", "replace")
    return ""


def _envelope(
    record: LogRecord, event: str
) -> tuple[dict[str, Any], dict[str, AnyValue], dict[str, AnyValue]]:
    """Return what a record says of itself, as the fields of a Batch, its columns and its dictionaries."""
    if record.dropped_attributes_count:
        raise RecordRejected(
            "attributes_dropped",
            f"{record.dropped_attributes_count} attributes were dropped before the record was sent; raise the "
            "SDK's limit (OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT) or send the columns as one map",
        )
    attributes, flat = _attributes(record.attributes)
    contract = _integer(attributes, names.ATTR_CONTRACT_VERSION, 0)
    if contract is None:
        raise _absent(names.ATTR_CONTRACT_VERSION)
    if contract != names.CONTRACT_VERSION:
        raise RecordRejected(
            "contract_version",
            f"{names.ATTR_CONTRACT_VERSION} is {contract}; this receiver reads {names.CONTRACT_VERSION}",
        )
    rows = _integer(attributes, names.ATTR_ROWS, 1, names.MAX_ROWS)
    if rows is None:
        raise _absent(names.ATTR_ROWS)
    said = {
        "model": _model(attributes, names.ATTR_MODEL_NAME),
        "version": _model(attributes, names.ATTR_MODEL_VERSION),
        "rows": rows,
        "stream": _stream(attributes),
        "sequence": _integer(attributes, names.ATTR_SEQUENCE, 0),
        "rows_total": _integer(attributes, names.ATTR_ROWS_TOTAL, 0),
        "dropped_rows_total": _integer(attributes, names.ATTR_DROPPED_ROWS_TOTAL, 0),
        "left_out_rows_total": _integer(attributes, names.ATTR_LEFT_OUT_ROWS_TOTAL, 0),
        "error_rows_total": _integer(attributes, names.ATTR_ERROR_ROWS_TOTAL, 0),
        "sample_rate": _sample_rate(attributes),
        "baseline_id": _text(attributes, names.ATTR_BASELINE_ID),
        "dataset_version": _text(attributes, names.ATTR_DATASET_VERSION),
        "task": _text(attributes, names.ATTR_TASK),
        "segment": _segment(attributes),
        "counts": _counts(attributes, rows) if event == names.EVENT_HISTOGRAM else None,
    }
    dictionaries = _pairs(attributes.get(names.ATTR_DICTIONARIES), names.ATTR_DICTIONARIES, "dictionary")
    if said["counts"] is not None and not attributes.get(names.ATTR_DATA) and not flat:
        return said, {}, dictionaries
    return said, _data(attributes.get(names.ATTR_DATA), flat), dictionaries


# --- decode: attributes -----------------------------------------------------------------------

_READ_ATTRIBUTES = frozenset(
    value for name, value in vars(names).items() if name.startswith("ATTR_") and value != names.ATTR_DATA_FLAT
)
_STREAM_BYTES = 16


def _attributes(pairs: Iterable[KeyValue]) -> tuple[dict[str, AnyValue], list[tuple[str, AnyValue]]]:
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


def _absent(key: str) -> RecordRejected:
    return RecordRejected("attribute", f"{key} is required")


def _integer(
    attributes: Mapping[str, AnyValue], key: str, least: int, most: int = np.iinfo(np.int64).max
) -> int | None:
    value = attributes.get(key)
    if value is None:
        return None
    if not value.HasField("int_value") or not least <= value.int_value <= most:
        raise RecordRejected("attribute", f"{key} must be an integer, {least} to {most}, not {_shown(value)}")
    return value.int_value


def _text(attributes: Mapping[str, AnyValue], key: str) -> str | None:
    value = attributes.get(key)
    if value is None:
        return None
    if not value.HasField("string_value"):
        raise RecordRejected("attribute", f"{key} must be a string, not {_shown(value)}")
    return clip(value.string_value) or None


def _model(attributes: Mapping[str, AnyValue], key: str) -> str:
    if not _text(attributes, key):
        raise _absent(key)
    text = attributes[key].string_value
    if len(text.encode()) > names.MAX_MODEL_BYTES:
        raise RecordRejected(
            "attribute", f"{key} is longer than {names.MAX_MODEL_BYTES} bytes: {_shown(text)}"
        )
    return text


def _segment(attributes: Mapping[str, AnyValue]) -> str | None:
    text = _text(attributes, names.ATTR_SEGMENT)
    if text is not None and not text.partition("=")[1]:
        raise RecordRejected("attribute", f"{names.ATTR_SEGMENT} must be name=value, not {_shown(text)}")
    return text


def _sample_rate(attributes: Mapping[str, AnyValue]) -> float | None:
    value = attributes.get(names.ATTR_SAMPLE_RATE)
    if value is None:
        return None
    # JavaScript sends 1.0 as an integer
    rate = float(value.int_value) if value.HasField("int_value") else value.double_value
    if not 0 < rate <= 1:
        raise RecordRejected(
            "attribute", f"{names.ATTR_SAMPLE_RATE} must be a double above 0, at most 1, not {_shown(value)}"
        )
    return rate


def _stream(attributes: Mapping[str, AnyValue]) -> bytes | None:
    value = attributes.get(names.ATTR_STREAM)
    if value is None:
        return None
    stream = value.bytes_value
    if re.fullmatch("[0-9a-fA-F]{32}", value.string_value):
        stream = bytes.fromhex(value.string_value)
    if len(stream) != _STREAM_BYTES:
        raise RecordRejected(
            "attribute", f"{names.ATTR_STREAM} must be 16 bytes or 32 hex digits, not {_shown(value)}"
        )
    return stream


def _shown(value: AnyValue | str) -> str:
    """Return what an error's text quotes of *value*."""
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else value[:80] + "…")
    kind = value.WhichOneof("value")
    if kind in _SCALARS:
        return _shown(value.string_value) if kind == "string_value" else repr(getattr(value, kind))
    return {None: "unset", "array_value": "an array", "kvlist_value": "a map"}.get(kind, "bytes")


# --- decode: columns --------------------------------------------------------------------------

_SCALARS = frozenset(("double_value", "int_value", "string_value", "bool_value"))
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
            "data", f"a column's name is longer than {names.MAX_NAME_BYTES} bytes: {_shown(name)}"
        )
    return not name.startswith("@") or name in _RESERVED or name.startswith(names.COLUMN_SCORE + ".")


def _data(value: AnyValue | None, flat: list[tuple[str, AnyValue]]) -> dict[str, AnyValue]:
    """Return the columns of the map and the flat ones that are read, checked by name and number."""
    columns = _pairs(value, names.ATTR_DATA, "data")
    for name, sent in flat:
        if name in columns:
            raise RecordRejected("data", f"column {_shown(name)} is there twice")
        columns[name] = sent
    if not columns:
        raise RecordRejected("data", f"{names.ATTR_DATA} holds no column")
    if len(columns) > names.MAX_COLUMNS:
        raise RecordRejected("data", f"{len(columns)} columns; a record holds at most {names.MAX_COLUMNS}")
    return {name: sent for name, sent in columns.items() if _is_read(name)}


def _pairs(value: AnyValue | None, key: str, reason: str) -> dict[str, AnyValue]:
    """Return the map that an attribute holds, each key once."""
    if value is None:
        return {}
    if not value.HasField("kvlist_value"):
        raise RecordRejected(reason, f"{key} must be a map, not {_shown(value)}")
    pairs = value.kvlist_value.values
    found = {pair.key: pair.value for pair in pairs}
    if len(found) < len(pairs):
        name = Counter(pair.key for pair in pairs).most_common(1)[0][0]
        raise RecordRejected(reason, f"{key} holds {_shown(name)} twice")
    return found


def _column(name: str, value: AnyValue, rows: int, dictionary: AnyValue | None) -> Column:
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
    if kind not in _SCALARS:
        raise _bad(name, f"is {_shown(value)}; it must be packed bytes, an array or one value")
    if rows != 1:
        raise _bad(name, f"is one value, but {names.ATTR_ROWS} is {rows}")
    return of([getattr(value, kind)])


def _bad(name: str, text: str) -> RecordRejected:
    return RecordRejected("column", f"column {_shown(name)} {text}")


def _counts(attributes: Mapping[str, AnyValue], rows: int) -> dict[str, NDArray[Any]]:
    """Return what a service counted itself; each value is in one bin or of one fault, out of range in both."""
    if names.ATTR_BASELINE_ID not in attributes:
        raise _absent(names.ATTR_BASELINE_ID)
    pairs = _pairs(attributes.get(names.ATTR_COUNTS), names.ATTR_COUNTS, "counts")
    if not pairs or len(pairs) > names.MAX_COLUMNS:
        raise RecordRejected("counts", f"{names.ATTR_COUNTS} holds 1 to {names.MAX_COLUMNS} columns")
    found = {}
    for name, value in pairs.items():
        counted = _packed(name, value.bytes_value, None) if value.HasField("bytes_value") else np.empty(0)
        if counted.dtype != _DTYPES[5] or len(counted) <= len(names.FAULTS) or counted.min() < 0:
            raise RecordRejected(
                "counts", f"{_shown(name)} must be packed int32: the four faults, then the bins"
            )
        outside = counted[names.FAULTS.index(names.OUT_OF_RANGE)]
        if counted.sum(dtype=np.int64) - outside > rows or outside > rows:
            raise RecordRejected(
                "counts", f"{_shown(name)} counts more values than {names.ATTR_ROWS}, {rows}"
            )
        _is_read(name)
        found[name] = counted
    return found


def _packed(name: str, raw: bytes, rows: int | None) -> NDArray[Any]:
    if len(raw) < _HEADER.size:
        raise _bad(name, f"is {len(raw)} bytes; packed values begin with a header of {_HEADER.size}")
    magic, form, code, count = _HEADER.unpack_from(raw)
    if magic != _MAGIC or form != _FORM:
        raise _bad(name, f'begins with {raw[:3]!r}; packed values begin with "DL" and {_FORM}')
    dtype = _DTYPES.get(code)
    if dtype is None:
        raise _bad(name, f"has the type {code}; packed types are 1 to {len(_DTYPES)}")
    if len(raw) != _HEADER.size + count * dtype.itemsize:
        raise _bad(name, f"is {len(raw)} bytes, but {count} values of {dtype.itemsize} are announced")
    if rows is not None and count != rows:
        raise _bad(name, f"holds {count} values, but {names.ATTR_ROWS} is {rows}")
    return np.frombuffer(raw, dtype, count, _HEADER.size)


def _array(name: str, array: ArrayValue, rows: int) -> Column:
    elements = array.values
    if len(elements) != rows:
        raise _bad(name, f"holds {len(elements)} values, but {names.ATTR_ROWS} is {rows}")
    if cells := _CELLS.get(elements[0].WhichOneof("value") or ""):
        layout, head = cells
        raw = array.SerializeToString()
        if len(raw) == rows * layout.itemsize:
            found = np.frombuffer(raw, layout)
            if (found["head"] == head).all():
                return np.ascontiguousarray(found["value"])
    items: list[Any] = []
    for element in elements:
        kind = element.WhichOneof("value")
        if kind is None:
            items.append(None)
        elif kind in _SCALARS:
            items.append(getattr(element, kind))
        else:
            raise _bad(name, f"holds {_shown(element)} as a value")
    return of(items)


def _dictionary(name: str, value: AnyValue) -> tuple[str, ...]:
    elements = value.array_value.values
    if not value.HasField("array_value") or not all(text.HasField("string_value") for text in elements):
        raise RecordRejected("dictionary", f"the dictionary of {_shown(name)} must be an array of strings")
    if len(elements) > names.MAX_DICTIONARY:
        raise RecordRejected(
            "dictionary",
            f"the dictionary of {_shown(name)} holds {len(elements)} texts, at most {names.MAX_DICTIONARY} may "
            "be; send an array of strings",
        )
    texts = tuple(text.string_value for text in elements)
    if len(set(texts)) < len(texts):
        raise RecordRejected("dictionary", f"the dictionary of {_shown(name)} holds a text twice")
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


# --- decode: OTLP's JSON ----------------------------------------------------------------------

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
                to_record.MergeFromString(_event_field("" if event is None else _json_text(event)))
    return _read(message)


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
    return _utf8(item)


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
        return _double(item)
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
    return _shown(json.dumps(tree)) if isinstance(tree, str | int | float) else type(tree).__name__
