"""The contract on the wire: a batch of columns to and from one OTLP LogRecord."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from driftline.columns import Column
    from driftline.errors import RecordRejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of one model and version, column by column, with what the record says about them.

    ``resource`` holds the resource attributes whose values are text, such as ``service.name``.
    The ``*_total`` counts are cumulative per (stream, model, version); None where the sender gave none.
    """

    model: str
    version: str
    rows: int
    columns: Mapping[str, Column]
    stream: bytes | None = None
    sequence: int | None = None
    rows_total: int | None = None
    dropped_rows_total: int | None = None
    error_rows_total: int | None = None
    sample_rate: float | None = None
    baseline_id: str | None = None
    dataset_version: str | None = None
    task: str | None = None
    segment: str | None = None
    resource: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """What one export request held.

    Attributes:
        batches: The good records, in order.
        rejected: One error for every record that breaks the contract.
        ignored: How many records are not driftline's.
    """

    batches: tuple[Batch, ...]
    rejected: tuple[RecordRejected, ...]
    ignored: int


def encode(batch: Batch, *, time_unix_nano: int = 0) -> bytes:
    """Return *batch* as a serialised ``ExportLogsServiceRequest`` of one record."""
    raise NotImplementedError


def decode(body: bytes) -> Request:
    """Read a serialised ``ExportLogsServiceRequest``.

    Raises:
        RequestUnreadable: *body* is no such message.
    """
    raise NotImplementedError


def decode_json(body: bytes) -> Request:
    """Read an ``ExportLogsServiceRequest`` in OTLP's JSON encoding.

    Raises:
        RequestUnreadable: *body* is no such message.
    """
    raise NotImplementedError
