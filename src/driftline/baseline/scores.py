"""The scores of some rows, read and summed by the bins of a feature: training data and what is served alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from driftline import names
from driftline.baseline.attribution import ScoreSums
from driftline.columns import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from driftline.baseline.feature import FeatureBaseline
    from driftline.columns import Column

_GRID = 2.0**26
"""Scores are rounded to such parts of 1: then a sum of up to 2**27 is exact, whatever the order of the rows."""


class Scores(NamedTuple):
    """The scores of some rows.

    Attributes:
        values: From 0 to 1 of the range that the score had in training.
        squares: Of these.
        rows: The row of each; None where every row has one.
    """

    values: NDArray[np.float64]
    squares: NDArray[np.float64]
    rows: NDArray[np.intp] | None

    @classmethod
    def of(cls, score: FeatureBaseline, column: Column) -> Scores:
        """Read *column*, values of *score*."""
        read = numbers(column)
        low, high = score.range
        halves = read.values.astype(np.float64) / 2 - low / 2  # what is whole may overflow
        values = _rounded((halves / (high / 2 - low / 2)).clip(0.0, 1.0))
        return cls(values, _rounded(values * values), read.rows)

    def by_bin(self, feature: FeatureBaseline, column: Column, cuts: NDArray[np.float64]) -> ScoreSums:
        """Sum the scores by the folded bins of *feature*, of which *column* holds the values and *cuts* are."""
        places, _ = feature.place(column, cuts)
        values, squares = self.values, self.squares
        if self.rows is not None:
            places = places[self.rows]
        held = places >= 0
        if not held.all():
            places, values, squares = places[held], values[held], squares[held]
        bins = len(feature.bins)
        sums = np.bincount(places, values, bins).astype(np.float64, copy=False)  # of nothing, numpy counts
        return ScoreSums(np.bincount(places, minlength=bins), sums, np.array([squares.sum()]))


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    rounded: NDArray[np.float64] = np.rint(values * _GRID) / _GRID
    return rounded


def attributed(features: Iterable[FeatureBaseline]) -> FeatureBaseline | None:
    """Return the score of a model: ``@score``, else a ``@prediction`` that is a number, else the first of a class.

    None where there is none, or it has no range.
    """
    scores = {f.name: f for f in features if f.name.startswith(names.OUTPUTS) and f.kind == "numeric"}
    first = next(iter(scores), None)
    name = next((name for name in (names.COLUMN_SCORE, names.COLUMN_PREDICTION) if name in scores), first)
    found = None if name is None else scores[name]
    return found if found is not None and found.range[0] < found.range[1] else None
