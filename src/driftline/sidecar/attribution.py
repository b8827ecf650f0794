"""What drives the score: how high it is in each bin of each feature, as sums that add up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from driftline import names
from driftline.columns import numbers, take

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from driftline.baseline import FeatureBaseline
    from driftline.columns import Column


@dataclass(slots=True)
class ScoreSums:
    """The scores of the rows in each bin, each score from 0 to 1 of its baseline's range.

    Attributes:
        values: Shape (bins,), rows that had a score, of all features one after another.
        sums: Shape (bins,), the sum of their scores.
        squares: Shape (features,), the sum of the squares of the scores of all bins.
    """

    values: NDArray[np.int64]
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]

    def add(self, other: ScoreSums) -> None:
        """Add *other*, of the same baseline."""
        self.values += other.values
        self.sums += other.sums
        self.squares += other.squares

    def clear(self) -> None:
        """Forget everything."""
        for column in (self.values, self.sums, self.squares):
            column[:] = 0


class Attribution:
    """Which score is attributed to which features; to none where it was not asked for, or has no range.

    Attributes:
        score: ``@score``, else a ``@prediction`` that is a number, else the first score of a class.
        features: The inputs.
    """

    def __init__(self, features: Sequence[FeatureBaseline], *, wanted: bool) -> None:
        scores = {f.name: f for f in features if f.name.startswith(names.OUTPUTS) and f.kind == "numeric"}
        first = next(iter(scores), None)
        name = next((name for name in (names.COLUMN_SCORE, names.COLUMN_PREDICTION) if name in scores), first)
        found = scores[name] if wanted and name is not None else None
        self.score = found if found is not None and found.range[0] < found.range[1] else None
        inputs = [feature for feature in features if not feature.name.startswith("@")]
        self.features = tuple(inputs) if self.score is not None else ()
        self._cuts = tuple(feature.layout.cuts for feature in self.features)
        self._starts = np.cumsum([0, *(len(feature.bins) for feature in self.features)])

    def empty(self) -> ScoreSums:
        """Return sums of nothing."""
        bins = int(self._starts[-1])
        return ScoreSums(np.zeros(bins, np.int64), np.zeros(bins), np.zeros(len(self.features)))

    def count(
        self, inputs: Mapping[str, Column], outputs: Mapping[str, Column], answered: NDArray[np.bool_]
    ) -> ScoreSums:
        """Sum the scores of *outputs*, those of the rows that were *answered*, by the bins of *inputs*."""
        found = self.empty()
        if self.score is None or self.score.name not in outputs:
            return found
        read = numbers(outputs[self.score.name])
        rows = np.flatnonzero(answered) if read.rows is None else np.flatnonzero(answered)[read.rows]
        low, high = self.score.range
        scores = ((read.values / 2 - low / 2) / (high / 2 - low / 2)).astype(np.float64).clip(0.0, 1.0)
        for number, feature in enumerate(self.features):
            if feature.name not in inputs:
                continue
            places, _ = feature.place(take(inputs[feature.name], rows), self._cuts[number])
            held = places >= 0
            here = slice(self._starts[number], self._starts[number + 1])
            bins = len(feature.bins)
            found.values[here] = np.bincount(places[held], minlength=bins)
            found.sums[here] = np.bincount(places[held], scores[held], bins)
            found.squares[number] = np.square(scores[held]).sum()
        return found
