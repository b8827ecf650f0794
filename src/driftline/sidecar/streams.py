"""Streams of batches: what was counted already, and what never arrived."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from driftline.wire import Batch

REMEMBERED = 1024
IDLE_SECONDS = 3600.0
MAX_STREAMS = 10_000
HELD_SECONDS = 60.0
"""How long at least rows may be on their way before they count as lost: a sender tries for half as long, and a
counter cannot be taken back."""

_ALL = (1 << REMEMBERED) - 1


@dataclass(slots=True)
class Stream:
    """One sender's batches of one model and version.

    ``seen`` is a bitmap of the last 1,024 sequence numbers, bit 0 the ``highest``; the totals are those
    of the highest. ``missing`` are rows that were sent and have not arrived, ``overdue`` those that were
    missing already when :meth:`Streams.lost` last looked.
    """

    highest: int
    seen: int
    rows_total: int
    dropped_total: int
    left_out_total: int
    error_total: int
    last: float
    missing: int = 0
    overdue: int = 0

    def arrived(self, rows: int) -> None:
        """Take *rows* that came late from those that had not come."""
        late = min(rows, self.overdue)
        self.overdue -= late
        self.missing -= min(rows - late, self.missing)


@dataclass(frozen=True, slots=True)
class Admission:
    """What a batch adds to the model's counters.

    Attributes:
        refused: Why the batch is not counted: ``duplicate`` or ``too_late``; None when it is.
        served: Rows that the model served, of this batch and of those not sent before it; None where the
            sender keeps no totals.
        failed: Rows of failed calls among them; None where only this batch tells.
        dropped: Rows that the sender says it did not send, those apart that it left out.
        left_out: Rows that it left out by its sample rate.
        missing: Rows that the sender sent and that had not arrived here by now. They are not served here:
            they may come yet, have reached another sidecar, or this one before it was killed.
    """

    refused: str | None = None
    served: int | None = None
    failed: int | None = None
    dropped: int = 0
    left_out: int = 0
    missing: int = 0

    def without(self, rows: int) -> Admission:
        """Return what it adds where so many *rows* of the batch are of another time and count nowhere."""
        if self.served is None or not rows:
            return self
        return replace(self, served=self.served - rows, failed=None)


_UNKNOWN_STREAM = Admission()


class Streams:
    """The streams of all senders; bounded, the longest idle forgotten first."""

    def __init__(self) -> None:
        self._streams: dict[tuple[bytes, str, str], Stream] = {}
        self._forgotten: Counter[tuple[str, str]] = Counter()
        self._looked = -math.inf

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
            stream = Stream(batch.sequence, 1, 0, 0, 0, 0, now)
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
            stream.left_out_total = batch.left_out_rows_total or 0
            stream.error_total = batch.error_rows_total or 0
        stream.missing += admission.missing
        stream.last = now
        self._streams[key] = stream  # at the end: the dictionary is ordered by last use
        return admission

    @staticmethod
    def _first(batch: Batch) -> Admission:
        if batch.rows_total is None:
            return _UNKNOWN_STREAM
        dropped, failed = batch.dropped_rows_total or 0, batch.error_rows_total or 0
        missing = batch.rows_total - dropped - batch.rows
        if missing < 0 or failed > batch.rows_total:  # totals that contradict each other say nothing
            return Admission(served=batch.rows)
        if batch.sequence != 0:  # what went before may have been counted elsewhere, or before a restart
            return Admission(served=batch.rows)
        return _admitted(batch, dropped, batch.left_out_rows_total or 0, missing, batch.error_rows_total)

    def lost(self, now: float) -> Mapping[tuple[str, str], int]:
        """Return the rows by model and version that count as lost from now on; call it every now and then."""
        if now - self._looked < HELD_SECONDS:
            return {}
        self._looked = now
        found, self._forgotten = self._forgotten, Counter()
        for (_, model, version), stream in self._streams.items():
            if stream.overdue:
                found[model, version] += stream.overdue
            stream.overdue, stream.missing = stream.missing, 0
        return found

    def _forget(self, now: float) -> None:
        while self._streams:
            key, oldest = next(iter(self._streams.items()))
            if now - oldest.last <= IDLE_SECONDS and len(self._streams) < MAX_STREAMS:
                return
            del self._streams[key]
            if oldest.missing or oldest.overdue:
                self._forgotten[key[1:]] += oldest.missing + oldest.overdue

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
                s.left_out_total,
                s.error_total,
                s.last,
                s.missing,
                s.overdue,
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
                int(kept.get("left_out_total", 0)),
                int(kept["error_total"]),
                float(kept["last"]),
                int(kept.get("missing", 0)),
                int(kept.get("overdue", 0)),
            )


def _again(stream: Stream, batch: Batch) -> Admission:
    """A batch not newer than the newest: a repetition, or one that was overtaken."""
    behind = stream.highest - (batch.sequence or 0)
    if behind >= REMEMBERED:
        return Admission(refused="too_late")
    if stream.seen >> behind & 1:
        return Admission(refused="duplicate")
    stream.seen |= 1 << behind
    stream.arrived(batch.rows)
    return Admission(served=batch.rows) if batch.rows_total is not None else _UNKNOWN_STREAM


def _next(stream: Stream, batch: Batch) -> Admission:
    if batch.rows_total is None:
        return _UNKNOWN_STREAM
    seen = batch.rows_total - stream.rows_total
    dropped = (batch.dropped_rows_total or 0) - stream.dropped_total
    missing = seen - dropped - batch.rows
    if seen < 0 or dropped < 0 or missing < 0:  # totals that step back say nothing
        return Admission(served=batch.rows)
    left_out = (batch.left_out_rows_total or 0) - stream.left_out_total
    failed = None if batch.error_rows_total is None else max(0, batch.error_rows_total - stream.error_total)
    return _admitted(batch, dropped, left_out, missing, failed)


def _admitted(batch: Batch, unsent: int, left_out: int, missing: int, failed: int | None) -> Admission:
    """A batch that the totals agree with; of the rows *unsent* before it, those *left out* are no loss."""
    left_out = min(max(0, left_out), unsent)
    return Admission(
        served=batch.rows + unsent,
        failed=None if missing else failed,
        dropped=unsent - left_out,
        left_out=left_out,
        missing=missing,
    )
