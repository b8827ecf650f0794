"""The thread that turns buffered rows into batches and sends them to the sidecar."""

from __future__ import annotations

import os
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np
from opentelemetry import context, trace

from driftline import names
from driftline.columns import Coded, take
from driftline.instrumentation.batches import by_outputs, extra_bytes, row_bytes, tabulate
from driftline.instrumentation.bins import binned
from driftline.instrumentation.buffer import FULL_BYTES, FULL_ROWS, Buffer, Wake
from driftline.instrumentation.durations import Durations
from driftline.instrumentation.problems import problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from opentelemetry.context import Context

    from driftline.columns import Column
    from driftline.instrumentation.entries import Entry, Model
    from driftline.instrumentation.settings import Settings
    from driftline.instrumentation.transport import Transport

FLUSH_SECONDS = 1.0
RETRY_SECONDS = 30.0  # for one batch; meanwhile the buffer goes on, sampled once it fills
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
EXIT_SECONDS = 2.0
MAX_REQUEST = 4 << 20  # what every receiver takes; a single row, its text cut, is never longer


@dataclass(eq=False, slots=True)
class _Totals:
    """Cumulative counts of one model and version, as every batch states them."""

    sequence: int = 0
    rows: int = 0
    dropped: int = 0
    left_out: int = 0
    failed: int = 0


class Sender:
    """A buffer, and a thread that empties it.

    The thread and the connection come with the first row; a batch's totals cover what it holds and what
    was dropped before it, never rows that still wait.
    """

    def __init__(self, settings: Settings) -> None:
        self.wake = Wake()
        self.buffer = Buffer(self.wake)
        self.durations = Durations()
        self.random = np.random.default_rng()
        self._settings = settings
        self._stream = os.urandom(16)
        self._totals: dict[tuple[str, str], _Totals] = {}
        self._transport: Transport | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._answer = threading.Condition()
        self._asked = self._answered = 0

    def start(self) -> None:
        """Start the thread unless it runs."""
        with self._answer:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="driftline", daemon=True)
                self._thread.start()

    @property
    def started(self) -> bool:
        """Whether the thread was started."""
        return self._thread is not None

    def flush(self, timeout: float) -> bool:
        """Wait until what was buffered before is sent or given up; False when *timeout* seconds did not do."""
        if self._thread is None:
            return True
        with self._answer:
            self._asked += 1
            mine = self._asked
            self.wake.ring()
            return self._answer.wait_for(lambda: self._answered >= mine, timeout)

    def stop(self, timeout: float) -> bool:
        """Send what is buffered, without repetitions, and end the thread; False when it took too long."""
        self._stopping.set()
        self.wake.ring()
        if self._thread is None:
            return True
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def abandon(self) -> None:
        """In a forked child: let go of the parent's connection."""
        if self._transport is not None:
            self._transport.abandon()

    def _run(self) -> None:
        context.attach(_suppressed())
        due = time.monotonic() + FLUSH_SECONDS
        while True:
            self.wake.wait(max(0.0, due - time.monotonic()))
            asked, stopping = self._asked, self._stopping.is_set()
            everything = stopping or asked > self._answered or time.monotonic() >= due
            if everything:
                due = time.monotonic() + FLUSH_SECONDS
            self.durations.record()
            try:
                self._drain(everything=everything)
            except Exception as error:  # noqa: BLE001 - the thread outlives any fault
                problem("sender", "driftline could not send rows", error)
            with self._answer:
                self._answered = asked
                self._answer.notify_all()
            if stopping:
                break
        if self._transport is not None:
            self._transport.close()

    def _drain(self, *, everything: bool) -> None:
        for model in self.buffer.models():
            while (taken := self.buffer.take(model, full=not everything)) is not None:
                totals = self._totals.setdefault(model, _Totals())
                totals.rows += taken.dropped
                totals.dropped += taken.dropped
                totals.left_out += taken.left_out
                totals.failed += taken.failed
                try:
                    for entries in by_outputs(taken.entries):
                        self._send_entries(entries, totals)
                finally:
                    self.buffer.release(taken.size)

    def _send_entries(self, entries: Sequence[Entry], totals: _Totals) -> None:
        model, rate = entries[0].model, entries[0].rate
        rows = sum(entry.rows for entry in entries)
        after = totals.rows + rows
        try:
            try:
                table = tabulate(entries)
            except Exception:
                if len(entries) == 1:
                    raise
                for half in (entries[: len(entries) // 2], entries[len(entries) // 2 :]):
                    self._send_entries(half, totals)  # one that cannot be read takes no other with it
                return
            model.extra_bytes = extra_bytes(table) / rows
            most = max(1, min(FULL_ROWS, FULL_BYTES // row_bytes(table)))
            for start in range(0, rows, most):
                part = np.arange(start, min(start + most, rows))
                self._send_rows(model, rate, _rows_of(table, part), len(part), totals)
        except Exception as error:  # noqa: BLE001 - what was not sent is said to be lost; the next rows may do
            problem("encode", f"rows of {model.key[0]} {model.key[1]} could not be encoded, dropped", error)
        totals.dropped += after - totals.rows
        totals.rows = after

    def _send_rows(
        self, model: Model, rate: float, table: dict[str, Column], rows: int, totals: _Totals
    ) -> None:
        from driftline.wire import Batch, encode

        counts, columns = (None, table) if model.baseline is None else binned(model.baseline, table)
        errors = table.get(names.COLUMN_ERROR)
        failed = int(np.count_nonzero(errors.codes >= 0)) if isinstance(errors, Coded) else 0
        body = encode(
            Batch(
                model=model.key[0],
                version=model.key[1],
                rows=rows,
                columns=columns,
                counts=counts,
                baseline_id=None if model.baseline is None else model.baseline.id,
                stream=self._stream,
                sequence=totals.sequence,
                rows_total=totals.rows + rows,
                dropped_rows_total=totals.dropped,
                left_out_rows_total=totals.left_out,
                error_rows_total=totals.failed + failed,
                sample_rate=rate,
                task=model.task,
                resource=_resource(),
            ),
            time_unix_nano=time.time_ns(),
        )
        if len(body) > MAX_REQUEST and rows > 1:
            for part in np.array_split(np.arange(rows), 2):
                self._send_rows(model, rate, _rows_of(table, part), len(part), totals)
            return
        totals.sequence += 1
        totals.rows += rows
        totals.failed += failed
        if not self._deliver(body, model.key[0]):
            totals.dropped += rows

    def _deliver(self, body: bytes, model: str) -> bool:
        from driftline.instrumentation.transport import Transport

        if self._transport is None:
            self._transport = Transport(self._settings)
        give_up = time.monotonic() + RETRY_SECONDS
        pause = FIRST_PAUSE
        while True:
            answer = self._transport.send(body)
            if answer.delivered:
                if answer.text:
                    problem("warned", f"{self._settings.endpoint}: {answer.text}", of=model)
                return True
            wait = max(answer.after, pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret, only spread
            if not answer.retry or self._stopping.is_set() or time.monotonic() + wait > give_up:
                break
            problem("receiver", f"{self._settings.endpoint}: {answer.text}; driftline tries again")
            self.durations.record()  # they are not to wait for a receiver that is down
            self._stopping.wait(wait)
            pause = min(2 * pause, LONGEST_PAUSE)
        problem(
            "undelivered" if answer.retry else "refused",
            f"{self._settings.endpoint}: {answer.text}; a batch was dropped",
        )
        return False


def _rows_of(table: dict[str, Column], rows: NDArray[np.intp]) -> dict[str, Column]:
    return {name: take(column, rows) for name, column in table.items()}


def _resource() -> dict[str, str]:
    """Return who sends: the SDK's resource where there is one, else what the environment says."""
    found: dict[str, str] = {names.ATTR_SERVICE_NAME: names.UNKNOWN_SERVICE}
    for pair in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
        key, equals, value = pair.partition("=")
        if equals:
            found[key.strip()] = unquote(value.strip())
    if name := os.environ.get("OTEL_SERVICE_NAME"):
        found[names.ATTR_SERVICE_NAME] = name
    resource = getattr(trace.get_tracer_provider(), "resource", None)
    if resource is not None:
        found |= {key: value for key, value in resource.attributes.items() if isinstance(value, str)}
    return found


def _suppressed() -> Context:
    """Return a context in which other instrumentations leave our requests alone."""
    suppressed = context.set_value("suppress_instrumentation", True)  # noqa: FBT003 - the key's value
    key = getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", None)
    return suppressed if key is None else context.set_value(key, True, suppressed)  # noqa: FBT003
