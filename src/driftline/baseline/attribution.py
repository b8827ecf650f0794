"""What drives the score: how high it is in each bin of a feature, as sums that add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_ROWS = 5000
"""By chance alone a feature of B bins explains (B - 1) / rows; the recording rule asks for as many."""
LEAST_VARIANCE = 1e-6
"""Of scores from 0 to 1; below it there is nothing to explain."""


@dataclass(slots=True)
class ScoreSums:
    """The scores of the rows in each bin, each score from 0 to 1 of its baseline's range.

    Attributes:
        values: Shape (bins,), rows that had a score; of several features one after another.
        sums: Shape (bins,), the sum of their scores.
        squares: Shape (features,), the sum of the squares of the scores of all bins.
    """

    values: NDArray[np.int64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def empty(cls, bins: int, features: int) -> ScoreSums:
        """Return sums of nothing."""
        return cls(np.zeros(bins, np.int64), np.zeros(bins), np.zeros(features))

    def add(self, other: ScoreSums) -> None:
        """Add *other*, of the same baseline."""
        self.values += other.values
        self.sums += other.sums
        self.squares += other.squares

    def clear(self) -> None:
        """Forget everything."""
        for column in (self.values, self.sums, self.squares):
            column[:] = 0

    def explained(self) -> float | None:
        """Return the share of the score's variance between the bins of one feature (eta squared).

        None where there are too few rows, or scores that do not vary.
        """
        rows = int(self.values.sum())
        if rows < LEAST_ROWS:
            return None
        common = float(self.sums.sum()) ** 2 / rows
        filled = self.values > 0
        between = float((self.sums[filled] ** 2 / self.values[filled]).sum()) - common
        whole = float(self.squares.sum()) - common
        return min(max(between / whole, 0.0), 1.0) if whole > LEAST_VARIANCE * rows else None
