"""The recent past that is scored: panes of counts, rolled by the clock that is given."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.entities import SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


PANE_COLUMNS: dict[str, type[np.generic]] = {
    "values": np.uint32,
    "sums": np.float32,
    "faults": np.uint32,
    "entities": np.int32,
}
"""What a pane keeps of :class:`Counts`, and how narrow; state files name their columns after these."""


@dataclass(slots=True)
class Counts:
    """What was counted of all features of one baseline, side by side in flat columns.

    Attributes:
        values: Shape (fine,), values per fine bin, all features one after another.
        sums: Shape (fine,), the values' distances from their bin's centre, added up.
        faults: Shape (features, kinds of fault).
        rows: Rows observed.
        entities: Shape (entities.SIZE,), the sketch of whose rows they are.
    """

    values: NDArray[np.int64]
    sums: NDArray[np.float64]
    faults: NDArray[np.int64]
    rows: int = 0
    entities: NDArray[np.int64] = field(default_factory=lambda: np.zeros(SIZE, np.int64))

    @classmethod
    def empty(cls, fine: int, features: int, kinds: int) -> Counts:
        """Return counts of nothing."""
        return cls(np.zeros(fine, np.int64), np.zeros(fine), np.zeros((features, kinds), np.int64))

    def add(self, other: Counts) -> None:
        """Add *other*, of the same baseline."""
        for name in PANE_COLUMNS:
            column = getattr(self, name)
            column += getattr(other, name)
        self.rows += other.rows

    def clear(self) -> None:
        """Forget everything."""
        for name in PANE_COLUMNS:
            getattr(self, name)[:] = 0
        self.rows = 0

    def copy(self) -> Counts:
        """Return an independent copy."""
        return Counts(**{name: getattr(self, name).copy() for name in PANE_COLUMNS}, rows=self.rows)


class Window:
    """The last ``ceil(length / pane)`` panes, the open one included.

    Panes are numbered by ``floor(now / pane)``; pane *n* lies in slot ``n % slots`` of a ring, in
    uint32 and float32: a month of a hundred features fits in 12 MB. What the closed ones hold together is
    kept until another closes, so that a look at the window costs one addition.

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
        self.columns: dict[str, NDArray[Any]] = {
            name: np.zeros((self.slots, *getattr(like, name).shape), kind)
            for name, kind in PANE_COLUMNS.items()
        }
        self.rows = np.zeros(self.slots, np.int64)
        self.number = self._number(now)
        self._wide = {name: getattr(like, name).dtype for name in PANE_COLUMNS}
        self._closed: Counts | None = None
        self.memo: dict[str, Any] = {}
        """What others have told from the closed panes; forgotten when these change."""

    def _number(self, now: float) -> int:
        return math.floor(now / self.pane)

    @property
    def _open(self) -> int:
        return self.number % self.slots

    def roll(self, now: float) -> None:
        """Close every pane whose time has passed; a clock behind the open pane changes nothing."""
        self._roll_to(self._number(now))

    def _roll_to(self, number: int) -> None:
        if number <= self.number:
            return
        for new in range(max(self.number, number - self.slots) + 1, number + 1):
            for column in self.columns.values():
                column[new % self.slots] = 0
            self.rows[new % self.slots] = 0
        self.number = number
        self._forget()

    def _forget(self) -> None:
        self._closed = None
        self.memo.clear()

    def add(self, counts: Counts) -> None:
        """Add *counts* to the open pane; a count that has reached the end of its type stays there."""
        if counts.rows:
            self._set(
                self._open,
                {name: getattr(counts, name) + self.columns[name][self._open] for name in self.columns},
            )
            self.rows[self._open] += counts.rows

    def _set(self, slot: int, columns: Mapping[str, NDArray[Any]]) -> None:
        for name, column in self.columns.items():
            whole = np.issubdtype(column.dtype, np.integer)
            column[slot] = np.minimum(columns[name], np.iinfo(column.dtype).max) if whole else columns[name]

    def merged(self) -> Counts:
        """Return the counts of the whole window."""
        if self._closed is None:
            held = self._held()
            sums = {
                name: column[held].sum(axis=0, dtype=self._wide[name])
                for name, column in self.columns.items()
            }
            self._closed = Counts(**sums, rows=int(self.rows[held].sum()))
        whole = self._closed.copy()
        whole.add(self.pane_at(self.number))
        return whole

    def _held(self) -> NDArray[np.bool_]:
        """Return which slots are those of closed panes that hold rows."""
        held = self.rows > 0
        held[self._open] = False
        return held

    def closed(self) -> NDArray[np.uint32]:
        """Return the values of the closed panes that hold rows, shape (panes, fine)."""
        found: NDArray[np.uint32] = self.columns["values"][self._held()]
        return found

    # --- panes by number, for who keeps them elsewhere ------------------------------------------

    def numbers(self) -> list[int]:
        """Return the numbers of the closed panes that hold rows, rising."""
        return sorted(
            self.number - (self.number - slot) % self.slots for slot in np.flatnonzero(self._held()).tolist()
        )

    def pane_at(self, number: int) -> Counts:
        """Return what the pane *number*, one of the last, holds."""
        slot = number % self.slots
        return Counts(
            **{name: column[slot] for name, column in self.columns.items()}, rows=int(self.rows[slot])
        )

    def put(self, number: int, counts: Counts) -> None:
        """Let the pane *number* hold *counts* and nothing else, unless it has left the window.

        A clock that is behind goes on from there: what was kept is not forgotten.
        """
        self._roll_to(number)
        if number > self.number - self.slots:
            self._set(number % self.slots, {name: getattr(counts, name) for name in self.columns})
            self.rows[number % self.slots] = counts.rows
            self._forget()


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
