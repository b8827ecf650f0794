"""Features that have stuck: a day of nothing but one value, of what varied in training."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.names import FAULTS, OUT_OF_RANGE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from driftline.baseline import FeatureBaseline
    from driftline.layout import Layout
    from driftline.window import Window

DAY = 86_400.0
NEARLY_A_DAY = 0.75 * DAY
"""What panes are sure to lie in a day that begins when it begins elsewhere on earth."""
CLUSTER = 20
"""Rows that are taken for one row's worth, as the rules do where phi is not known: of one value it cannot be."""
NEARLY_CONSTANT = 0.99
"""What holds so much of the training data in one bin is constant for days by itself."""


class Constancy:
    """What it takes to call a feature of a layout constant."""

    def __init__(self, layout: Layout) -> None:
        self._starts = layout.starts[:-1]
        self._least = np.array([_least(feature) for feature in layout.features])
        self.judged = [number for number, least in enumerate(self._least) if least < math.inf]

    def per_feature(self, values: NDArray[Any]) -> NDArray[Any]:
        """Add the values of the fine bins up, for each feature."""
        return np.add.reduceat(values, self._starts) if len(self._starts) else values[:0]

    def stuck(self, windows: Mapping[str, Window], watched: float, least: int) -> NDArray[np.bool_]:
        """Return which features held one value for a day: all of *least* values or more are in one fine bin.

        By chance that is less likely than one in a million; none of the values is out of range, for beyond
        it everything is one bin; and it is no habit: before that value the week knows no day of only one,
        as it does of what follows the calendar.

        Args:
            windows: Of the rows.
            watched: Seconds since the first row.
            least: How many values it takes.
        """
        if watched < DAY or not self.judged or not {"24h", "7d"} <= windows.keys():
            return np.zeros(len(self._starts), np.bool_)
        day = windows["24h"].merged()
        total = self.per_feature(day.values)
        in_one_bin = np.maximum.reduceat(day.values, self._starts) == total
        in_range = day.faults[:, FAULTS.index(OUT_OF_RANGE)] == 0
        found: NDArray[np.bool_] = in_one_bin & in_range & (total >= np.maximum(self._least, least))
        if found.any():
            week = windows["7d"]
            panes = self._only_bins(np.array([week.pane_at(number).values for number in week.numbers()]))
            stretch = max(1, int(NEARLY_A_DAY / week.pane))
            whole = watched >= week.length
            found[found] = [_is_new(bins.tolist(), stretch, whole=whole) for bins in panes.T[found]]
        return found

    def _only_bins(self, panes: NDArray[np.uint32]) -> NDArray[np.intp]:
        """Return the one fine bin of each feature in each of *panes*, -1 where there are more or none."""
        bins = np.arange(panes.shape[1])
        lowest = np.minimum.reduceat(np.where(panes > 0, bins, len(bins)), self._starts, axis=1)
        highest = np.maximum.reduceat(np.where(panes > 0, bins, -1), self._starts, axis=1)
        return np.where(lowest == highest, highest, -1)


def _least(feature: FeatureBaseline) -> float:
    """Return how many values in one bin chance gives once in a million; infinity for what is constant anyway."""
    commonest = feature.counts.max(initial=0) / max(feature.values, 1)
    if not 0 < commonest < NEARLY_CONSTANT:
        return math.inf
    return CLUSTER * math.log(1e-6) / math.log(commonest)


def _is_new(bins: list[int], stretch: int, *, whole: bool) -> bool:
    """Return whether no value before the last one was the only one of *stretch* panes in a row.

    Where there is nothing before, a *whole* week must have been watched.
    """
    before = [*bins]
    while before and before[-1] == bins[-1]:
        before.pop()
    runs = (before[start : start + stretch] for start in range(len(before) - stretch + 1))
    habit = any(run[0] >= 0 and set(run) == {run[0]} for run in runs)
    return not habit and (whole or bool(before))
