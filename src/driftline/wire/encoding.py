"""A batch into a serialised OTLP request of one record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber

from driftline import names
from driftline.columns import Coded, clip, is_missing, of
from driftline.wire.form import (
    CELLS,
    CODE_OF,
    DTYPES,
    FORM,
    HEADER,
    MAGIC,
    as_double,
    event_field,
    without_surrogates,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    from driftline.columns import Column
    from driftline.wire.batch import Batch


def encode(batch: Batch, *, time_unix_nano: int = 0) -> bytes:
    """Return *batch* as a serialised ``ExportLogsServiceRequest`` of one record.

    Text is cut to 128 bytes; what is no number, text, boolean or id travels as its text. Whatever the
    values, this does not raise.
    """
    request = ExportLogsServiceRequest()
    resource_logs = request.resource_logs.add()
    for key, text in batch.resource.items():
        resource_logs.resource.attributes.add(
            key=without_surrogates(key)
        ).value.string_value = without_surrogates(text)
    scope_logs = resource_logs.scope_logs.add()
    scope_logs.scope.name = names.SCOPE
    scope_logs.schema_url = names.SCHEMA_URL
    record = scope_logs.log_records.add()
    # As bytes: a class without the field keeps it among its unknown ones and sends it all the same.
    event = names.EVENT_BATCH if batch.counts is None else names.EVENT_HISTOGRAM
    record.MergeFromString(event_field(event))
    record.time_unix_nano = time_unix_nano
    record.severity_number = SeverityNumber.SEVERITY_NUMBER_INFO

    def put(key: str) -> AnyValue:
        return record.attributes.add(key=key).value

    put(names.ATTR_CONTRACT_VERSION).int_value = names.CONTRACT_VERSION
    put(names.ATTR_MODEL_NAME).string_value = without_surrogates(batch.model)
    put(names.ATTR_MODEL_VERSION).string_value = without_surrogates(batch.version)
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
            _put_packed(counts.add(key=without_surrogates(name)).value, counted.astype("<i4"))

    data = put(names.ATTR_DATA).kvlist_value.values
    dictionaries = {}
    for name, column in batch.columns.items():
        texts = _put_column(data.add(key=without_surrogates(name)).value, column)
        if texts is not None:
            dictionaries[name] = texts
    if dictionaries:
        attribute = put(names.ATTR_DICTIONARIES).kvlist_value.values
        for name, texts in dictionaries.items():
            _put_texts(attribute.add(key=without_surrogates(name)).value, texts)
    return request.SerializeToString()


def _put_column(value: AnyValue, column: Column) -> Iterable[str] | None:
    """Write *column* into *value*; return its dictionary where it has one."""
    if not isinstance(column, Coded) and column.dtype.kind not in "fiub" and column.dtype != DTYPES[7]:
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
        layout, head = CELLS["bool_value"]
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
    value.bytes_value = HEADER.pack(MAGIC, FORM, CODE_OF[array.dtype], len(array)) + array.tobytes()


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
            value.double_value = as_double(item)
    elif isinstance(item, float):
        value.double_value = item
    else:
        value.string_value = clip(item if isinstance(item, str) else _described(item))


def _described(item: object) -> str:
    try:
        return str(item)
    except Exception:  # noqa: BLE001 - someone else's __str__
        return type(item).__name__
