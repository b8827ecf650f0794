"""Streams of batches: what was counted already, and what never arrived."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from driftline.wire import Batch

REMEMBERED = 1024
IDLE_SECONDS = 3600.0
MAX_STREAMS = 10_000

_ALL = (1 << REMEMBERED) - 1


@dataclass(slots=True)
class Stream:
    """One sender's batches of one model and version.

    ``seen`` is a bitmap of the last 1,024 sequence numbers, bit 0 the ``highest``; the totals are those
    of the highest.
    """

    highest: int
    seen: int
    rows_total: int
    dropped_total: int
    error_total: int
    last: float


@dataclass(frozen=True, slots=True)
class Admission:
    """What a batch adds to the model's counters.

    Attributes:
        refused: Why the batch is not counted: ``duplicate`` or ``too_late``; None when it is.
        served: Rows that the model served, of this batch and of those dropped before it; None where the
            sender keeps no totals.
        failed: Rows of failed calls among them; None where only this batch tells.
        dropped: Rows that the sender says it did not send.
        lost: Rows that the sender sent and that had not arrived here by now. They are not served here:
            they may have reached another sidecar, or this one before it was killed.
    """

    refused: str | None = None
    served: int | None = None
    failed: int | None = None
    dropped: int = 0
    lost: int = 0


_UNKNOWN_STREAM = Admission()


class Streams:
    """The streams of all senders; bounded, the longest idle forgotten first."""

    def __init__(self) -> None:
        self._streams: dict[tuple[bytes, str, str], Stream] = {}

    def __len__(self) -> int:
        return len(self._streams)

    def admit(self, batch: Batch, now: float) -> Admission:
        """Decide whether *batch* counts, and what its cumulative totals say."""
        if batch.stream is None or batch.sequence is None:
            return _UNKNOWN_STREAM
        key = (batch.stream, batch.model, batch.version)
        stream = self._streams.pop(key, None)
        if stream is None:
            self._forget(now)
            stream = Stream(batch.sequence, 1, 0, 0, 0, now)
            admission = self._first(batch)
        elif batch.sequence <= stream.highest:
            admission = _again(stream, batch)
        else:
            admission = _next(stream, batch)
            behind = batch.sequence - stream.highest
            stream.seen = (stream.seen << min(behind, REMEMBERED) | 1) & _ALL
            stream.highest = batch.sequence
        if stream.highest == batch.sequence and admission.refused is None:
            stream.rows_total = batch.rows_total or 0
            stream.dropped_total = batch.dropped_rows_total or 0
            stream.error_total = batch.error_rows_total or 0
        stream.last = now
        self._streams[key] = stream  # at the end: the dictionary is ordered by last use
        return admission

    @staticmethod
    def _first(batch: Batch) -> Admission:
        if batch.rows_total is None:
            return _UNKNOWN_STREAM
        if batch.sequence != 0:  # what went before may have been counted elsewhere, or before a restart
            return Admission(served=batch.rows)
        dropped = batch.dropped_rows_total or 0
        lost = max(0, batch.rows_total - dropped - batch.rows)
        return Admission(None, batch.rows + dropped, None if lost else batch.error_rows_total, dropped, lost)

    def _forget(self, now: float) -> None:
        while self._streams:
            key, oldest = next(iter(self._streams.items()))
            if now - oldest.last <= IDLE_SECONDS and len(self._streams) < MAX_STREAMS:
                return
            del self._streams[key]

    def dump(self) -> dict[str, list[Any]]:
        """Return all streams as a table of plain values, for the state file."""
        columns = ["stream", "model", "version", *(field.name for field in fields(Stream))]
        rows = [
            [
                stream.hex(),
                model,
                version,
                s.highest,
                f"{s.seen:x}",
                s.rows_total,
                s.dropped_total,
                s.error_total,
                s.last,
            ]
            for (stream, model, version), s in self._streams.items()
        ]
        return {"columns": columns, "rows": rows}

    def restore(self, table: dict[str, list[Any]]) -> None:
        """Take over what :meth:`dump` returned, of this release or of another."""
        for row in table["rows"]:
            kept = dict(zip(table["columns"], row, strict=True))
            key = (bytes.fromhex(kept["stream"]), str(kept["model"]), str(kept["version"]))
            self._streams[key] = Stream(
                int(kept["highest"]),
                int(kept["seen"], 16) & _ALL,
                int(kept["rows_total"]),
                int(kept["dropped_total"]),
                int(kept["error_total"]),
                float(kept["last"]),
            )


def _again(stream: Stream, batch: Batch) -> Admission:
    """A batch not newer than the newest: a repetition, or one that was overtaken."""
    behind = stream.highest - (batch.sequence or 0)
    if behind >= REMEMBERED:
        return Admission(refused="too_late")
    if stream.seen >> behind & 1:
        return Admission(refused="duplicate")
    stream.seen |= 1 << behind
    return Admission(served=batch.rows) if batch.rows_total is not None else _UNKNOWN_STREAM


def _next(stream: Stream, batch: Batch) -> Admission:
    if batch.rows_total is None:
        return _UNKNOWN_STREAM
    seen = batch.rows_total - stream.rows_total
    dropped = (batch.dropped_rows_total or 0) - stream.dropped_total
    lost = seen - dropped - batch.rows
    if seen < 0 or dropped < 0 or lost < 0:  # totals that step back say nothing
        return Admission(served=batch.rows)
    failed = None
    if not lost and batch.error_rows_total is not None:
        failed = max(0, batch.error_rows_total - stream.error_total)
    return Admission(None, batch.rows + dropped, failed, dropped, lost)
