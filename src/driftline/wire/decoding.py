"""A serialised OTLP request into batches: every record whole, or an error that says why not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from driftline import names
from driftline.columns import of
from driftline.errors import RecordRejected, RequestUnreadable
from driftline.wire.attributes import (
    absent,
    as_integer,
    as_name,
    as_sample_rate,
    as_segment,
    as_stream,
    as_text,
    attributes_of,
    shown,
)
from driftline.wire.batch import Batch, Request
from driftline.wire.form import event_name
from driftline.wire.values import columns_of, items_of, pairs_of, read_column, read_counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord


def decode(body: bytes) -> Request:
    """Read a serialised ``ExportLogsServiceRequest``.

    Raises:
        RequestUnreadable: *body* is no such message.
    """
    try:
        return read(ExportLogsServiceRequest.FromString(body))
    except DecodeError as error:
        raise RequestUnreadable(
            f"the body is no ExportLogsServiceRequest in protobuf ({error}); is it JSON, or compressed "
            "without saying so?"
        ) from error


def read(message: ExportLogsServiceRequest) -> Request:
    """Return what *message* holds, every record by itself."""
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
                            name: read_column(name, value, said["rows"], dictionaries.get(name))
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
    row, other = items_of(data.values())
    return row if other is None else None


_COUNTS = ("sequence", "rows_total", "dropped_rows_total", "left_out_rows_total", "error_rows_total")


def _event(record: LogRecord) -> str:
    """Return which of our events *record* is, "" for none; reject a driftline event that is not read."""
    event = event_name(record)
    if event in (names.EVENT_BATCH, names.EVENT_HISTOGRAM):
        return event
    if event.startswith(names.EVENT_PREFIX):
        when = "is reserved for a later version" if event in names.RESERVED_EVENTS else "is not known"
        raise RecordRejected("unsupported_event", f"event {shown(event)} {when}; send {names.EVENT_BATCH}")
    ours = not event and any(pair.key == names.ATTR_CONTRACT_VERSION for pair in record.attributes)
    return names.EVENT_BATCH if ours else ""


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
    attributes, flat = attributes_of(record.attributes)
    contract = as_integer(attributes, names.ATTR_CONTRACT_VERSION, 0)
    if contract is None:
        raise absent(names.ATTR_CONTRACT_VERSION)
    if contract != names.CONTRACT_VERSION:
        raise RecordRejected(
            "contract_version",
            f"{names.ATTR_CONTRACT_VERSION} is {contract}; this receiver reads {names.CONTRACT_VERSION}",
        )
    rows = as_integer(attributes, names.ATTR_ROWS, 1, names.MAX_ROWS)
    if rows is None:
        raise absent(names.ATTR_ROWS)
    said = {
        "model": as_name(attributes, names.ATTR_MODEL_NAME),
        "version": as_name(attributes, names.ATTR_MODEL_VERSION),
        "rows": rows,
        "stream": as_stream(attributes),
        "sequence": as_integer(attributes, names.ATTR_SEQUENCE, 0),
        "rows_total": as_integer(attributes, names.ATTR_ROWS_TOTAL, 0),
        "dropped_rows_total": as_integer(attributes, names.ATTR_DROPPED_ROWS_TOTAL, 0),
        "left_out_rows_total": as_integer(attributes, names.ATTR_LEFT_OUT_ROWS_TOTAL, 0),
        "error_rows_total": as_integer(attributes, names.ATTR_ERROR_ROWS_TOTAL, 0),
        "sample_rate": as_sample_rate(attributes),
        "baseline_id": as_text(attributes, names.ATTR_BASELINE_ID),
        "dataset_version": as_text(attributes, names.ATTR_DATASET_VERSION),
        "task": as_text(attributes, names.ATTR_TASK),
        "segment": as_segment(attributes),
        "counts": read_counts(attributes, rows) if event == names.EVENT_HISTOGRAM else None,
    }
    dictionaries = pairs_of(attributes.get(names.ATTR_DICTIONARIES), names.ATTR_DICTIONARIES, "dictionary")
    if said["counts"] is not None and not attributes.get(names.ATTR_DATA) and not flat:
        return said, {}, dictionaries
    return said, columns_of(attributes.get(names.ATTR_DATA), flat), dictionaries
