"""The rows that wait for the sender: bounded, sampled uniformly when they become too many."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import repeat
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable

    from driftline.instrumentation.entries import Entry, Model
    from driftline.instrumentation.lanes import Lane

CAPACITY = 8 << 20
FULL_ROWS = 2048  # twice as many hold the GIL for more than a millisecond when they are encoded
FULL_BYTES = 1 << 20
HALVINGS = 20  # of the rate, between half full and full
MAX_MODELS = 1000
MAX_LANES = 32  # of a model and version; calls of further forms go the long way
MOST_AHEAD, MOST_AHEAD_BYTES = 256, 128 << 10  # reserved for a lane's calls to come


@dataclass(eq=False, slots=True)
class Taken:
    """What the sender takes from the buffer at a time: entries of one model and rate, and what was not kept.

    ``dropped`` counts the rows that ``left_out`` counts, too.
    """

    entries: list[Entry]
    dropped: int
    left_out: int
    failed: int

    @property
    def size(self) -> int:
        """The bytes to give back once the rows are sent or given up."""
        return sum(entry.size for entry in self.entries)


@dataclass(eq=False, slots=True)
class _Queue:
    entries: deque[Entry] = field(default_factory=deque)
    rows: int = 0
    size: int = 0
    dropped: int = 0
    left_out: int = 0
    failed: int = 0
    lanes: dict[Hashable, Lane] = field(default_factory=dict)


class Wake:
    """Wakes the sender's thread; a signal's handler may ring while its own thread is ringing."""

    def __init__(self) -> None:
        self._rings: SimpleQueue[None] = SimpleQueue()  # an Event's lock would wait for itself

    def ring(self) -> None:
        """Wake who waits, or who waits next."""
        if self._rings.empty():
            self._rings.put(None)

    def is_set(self) -> bool:
        """Tell whether it was rung since somebody woke."""
        return not self._rings.empty()

    def wait(self, timeout: float) -> None:
        """Wait until it is rung, at most *timeout* seconds."""
        with suppress(Empty):
            self._rings.get(timeout=timeout)
            while True:
                self._rings.get_nowait()


class Buffer:
    """Queues of entries, one a model and version, which share one bound.

    No call waits here for more than a few appends: nothing is sent, encoded or logged under the lock.
    """

    def __init__(self, wake: Wake, capacity: int = CAPACITY) -> None:
        self._wake = wake
        self._capacity = capacity
        self._used = 0
        self._queues: dict[tuple[str, str], _Queue] = {}
        # Re-entrant: a signal's handler that predicts while its thread is in here must not wait for itself.
        self._lock = threading.RLock()

    def reserve(self, rows: int, row_bytes: float) -> tuple[float, int]:
        """Return the share of *rows* to copy, and the bytes reserved for so many.

        The share is 1 while the buffer is less than half full, and is halved for every fortieth it fills
        further: it grows with the logarithm of what it represents, so that the end of a long outage is
        sampled as well as its beginning. A huge call is thinned like many small ones. 0 when there is no
        room at all. Once the rows are drawn, what was reserved too much is released.
        """
        size = int(rows * row_bytes)
        limit = self._capacity / 2
        with self._lock:
            if self._used + size <= limit:
                self._used += size
                return 1.0, size
            rate = 1.0
            while self._used + size * rate > limit:
                rate /= 2
                limit += self._capacity / (2 * HALVINGS)
                if limit > self._capacity:
                    return 0.0, 0
            size = int(size * rate)
            self._used += size
        return rate, size

    def add(self, entry: Entry, seen: int, left_out: int = 0) -> bool:
        """Queue *entry*, kept of a call of *seen* rows of which some were *left out*; False when there are too many models."""
        rows, model = entry.rows, entry.model
        with self._lock:
            queue = self._queues.get(model.key) or self._queue(model)
            if queue is None:
                self._used -= entry.size
                return False
            queue.entries.append(entry)
            queue.rows += rows
            queue.size += entry.size
            if seen != rows:
                queue.dropped += seen - rows
                queue.left_out += left_out
                if entry.error is not None:
                    queue.failed += seen - rows
            full = queue.rows >= FULL_ROWS or queue.size >= FULL_BYTES
        if full:
            self._wake.ring()
        return True

    def lane(self, lane: Lane) -> Lane | None:
        """Return the lane of calls like those of *lane*: that one, or one from before; None where there are too many."""
        with self._lock:
            queue = self._queue(lane.model)
            if queue is None or (lane.key not in queue.lanes and len(queue.lanes) >= MAX_LANES):
                return None
            return queue.lanes.setdefault(lane.key, lane)

    def permit(self, lane: Lane) -> int | None:
        """Reserve for a call on *lane* and for others to come; return the bytes of one, None where there is no room.

        Twice as many as the last time, so that no more than has been used stands by unused.
        """
        with self._lock:
            permit = next(lane.permits, None)
            if permit is not None:  # another thread has just asked
                return permit
            size = int(lane.row_bytes + lane.model.extra_bytes)
            ahead = min(2 * lane.ahead + 1, MOST_AHEAD, MOST_AHEAD_BYTES // max(size, 1))
            if not ahead or self._used + ahead * size > self._capacity / 2:
                return None
            self._used += ahead * size
            lane.ahead = ahead
            lane.full = max(1, min(FULL_ROWS, FULL_BYTES // max(size, 1)))
            lane.permits = repeat(size, ahead - 1)
        return size

    def drop(self, model: Model, rows: int, left_out: int, size: int, *, failed: bool) -> None:
        """Count *rows* of a call of which nothing was kept, those *left out* among them, and give its *size* back."""
        with self._lock:
            self._used -= size
            queue = self._queue(model)
            if queue is not None:
                queue.dropped += rows
                queue.left_out += left_out
                queue.failed += rows if failed else 0

    def models(self) -> list[tuple[str, str]]:
        """Return the name and version of every model that was recorded."""
        with self._lock:
            return list(self._queues)

    def take(self, model: tuple[str, str], *, full: bool) -> Taken | None:
        """Take rows for one batch of *model*; None when there are none, or with *full* too few."""
        queue = self._queues[model]
        waited = self._of_lanes(queue, full=full)
        with self._lock:
            entries = queue.entries
            for entry in waited:
                entries.append(entry)
                queue.rows += entry.rows
                queue.size += entry.size
            if not entries or (full and queue.rows < FULL_ROWS and queue.size < FULL_BYTES):
                return None
            taken = Taken([], queue.dropped, queue.left_out, queue.failed)
            rows = size = queue.dropped = queue.left_out = queue.failed = 0
            first = entries[0]
            while entries and (not rows or _fits(entries[0], first, rows, size)):
                entry = entries.popleft()
                taken.entries.append(entry)
                rows += entry.rows
                size += entry.size
            queue.rows -= rows
            queue.size -= size
        return taken

    def release(self, size: int) -> None:
        """Give back *size* bytes whose rows are sent or given up."""
        with self._lock:
            self._used -= size

    def _of_lanes(self, queue: _Queue, *, full: bool) -> list[Entry]:
        """Take what waits on lanes; unless only what is *full* is wanted, permits that wait are given back, too."""
        with self._lock:
            lanes = list(queue.lanes.values())
        if not full:
            for lane in lanes:
                lane.ahead = 0
                self.release(sum(lane.permits))
        return [entry for lane in lanes for entry in lane.entries(full=full)]

    def _queue(self, model: Model) -> _Queue | None:
        queue = self._queues.get(model.key)
        if queue is None and len(self._queues) < MAX_MODELS:
            queue = self._queues[model.key] = _Queue()
        return queue


def _fits(entry: Entry, first: Entry, rows: int, size: int) -> bool:
    return (
        entry.model is first.model
        and entry.rate == first.rate
        and rows + entry.rows <= FULL_ROWS
        and size < FULL_BYTES
    )
