"""The recent past that is scored: panes of counts, rolled by the clock that is given."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(slots=True)
class Counts:
    """What was counted of all features of one baseline, side by side in flat columns.

    Attributes:
        values: Shape (fine,), values per fine bin, all features one after another.
        sums: Shape (fine,), the values' distances from their bin's centre, added up.
        faults: Shape (features, kinds of fault).
        rows: Rows observed.
    """

    values: NDArray[np.int64]
    sums: NDArray[np.float64]
    faults: NDArray[np.int64]
    rows: int = 0

    @classmethod
    def empty(cls, fine: int, features: int, kinds: int) -> Counts:
        """Return counts of nothing."""
        return cls(np.zeros(fine, np.int64), np.zeros(fine), np.zeros((features, kinds), np.int64))

    def add(self, other: Counts) -> None:
        """Add *other*, of the same baseline."""
        self.values += other.values
        self.sums += other.sums
        self.faults += other.faults
        self.rows += other.rows

    def clear(self) -> None:
        """Forget everything."""
        self.values[:] = 0
        self.sums[:] = 0.0
        self.faults[:] = 0
        self.rows = 0

    def copy(self) -> Counts:
        """Return an independent copy."""
        return Counts(self.values.copy(), self.sums.copy(), self.faults.copy(), self.rows)


class Window:
    """The last ``ceil(length / pane)`` panes, the open one included.

    Panes are numbered by ``floor(now / pane)``; pane *n* lies in slot ``n % slots`` of a ring, in
    uint32 and float32: a month of a hundred features fits in 12 MB.

    Args:
        length: Seconds of the window.
        pane: Seconds of a pane.
        like: Empty counts of the baseline that is counted on.
        now: Seconds on the clock that :meth:`roll` is called with; it never steps back.
    """

    def __init__(self, length: float, pane: float, like: Counts, now: float) -> None:
        self.length = length
        self.pane = pane
        self.slots = math.ceil(length / pane)
        self.values = np.zeros((self.slots, like.values.size), np.uint32)
        self.sums = np.zeros((self.slots, like.sums.size), np.float32)
        self.faults = np.zeros((self.slots, *like.faults.shape), np.uint32)
        self.rows = np.zeros(self.slots, np.int64)
        self.number = self._number(now)

    def _number(self, now: float) -> int:
        return math.floor(now / self.pane)

    @property
    def _open(self) -> int:
        return self.number % self.slots

    def roll(self, now: float) -> None:
        """Close every pane whose time has passed; a clock behind the open pane changes nothing."""
        steps = self._number(now) - self.number
        if steps <= 0:
            return
        for step in range(1, min(steps, self.slots) + 1):
            slot = (self.number + steps - min(steps, self.slots) + step) % self.slots
            self.values[slot] = 0
            self.sums[slot] = 0
            self.faults[slot] = 0
            self.rows[slot] = 0
        self.number += steps

    def add(self, counts: Counts) -> None:
        """Add *counts* to the open pane."""
        slot = self._open
        self.values[slot] += counts.values.astype(np.uint32)
        self.sums[slot] += counts.sums.astype(np.float32)
        self.faults[slot] += counts.faults.astype(np.uint32)
        self.rows[slot] += counts.rows

    def merged(self) -> Counts:
        """Return the counts of the whole window."""
        return Counts(
            self.values.sum(axis=0, dtype=np.int64),
            self.sums.sum(axis=0, dtype=np.float64),
            self.faults.sum(axis=0, dtype=np.int64),
            int(self.rows.sum()),
        )

    def closed(self) -> NDArray[np.uint32]:
        """Return the values of the closed panes that hold rows, shape (panes, fine)."""
        held = self.rows > 0
        held[self._open] = False
        return self.values[held]


PIECE_ROWS = 1000
PIECES = 32


class Pieces:
    """The last pieces of a thousand rows: panes closed by number, for a model whose rows come in bursts.

    A nightly job fills one pane of a day, and how much panes differ cannot be told from one. Told from
    pieces of a burst it can, once a whole window has shown that no more panes are to be had.

    Args:
        bins: Folded bins of all features, side by side.
    """

    def __init__(self, bins: int) -> None:
        self.values = np.zeros((PIECES, bins), np.uint32)
        self.at = np.full(PIECES, -np.inf)
        self._totals = np.zeros(bins, np.int64)
        self._rows = 0
        self._next = 0

    def due(self, rows: int) -> bool:
        """Count *rows* more; tell whether they make a piece."""
        self._rows += rows
        return self._rows >= PIECE_ROWS

    def close(self, totals: NDArray[np.int64], now: float) -> None:
        """Close a piece: what the folded *totals* hold more than at the last one."""
        self.values[self._next] = totals - self._totals
        self.at[self._next] = now
        self._next = (self._next + 1) % PIECES
        self._totals[:] = totals
        self._rows = 0

    def restart(self) -> None:
        """Begin a piece anew, from totals of 0."""
        self._totals[:] = 0
        self._rows = 0

    def restore(self, values: NDArray[np.uint32], at: NDArray[np.float64]) -> bool:
        """Take over pieces that were kept, unless they are of other bins; tell whether they were taken."""
        if values.shape != self.values.shape or at.shape != self.at.shape:
            return False
        self.values[:], self.at[:] = values, at
        self._next = int(np.argmin(at))
        return True

    def since(self, moment: float) -> NDArray[np.uint32]:
        """Return the pieces closed after *moment*, shape (pieces, bins)."""
        return self.values[self.at > moment]
