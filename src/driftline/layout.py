"""Where each feature of a baseline lies in flat counts, and counting a batch into them."""

from __future__ import annotations

import hashlib
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.entities import sketch
from driftline.histogram import MANY, SideBySide, fold
from driftline.names import COLUMN_ENTITY, FAULTS, MISSING, OUT_OF_RANGE, WRONG_TYPE
from driftline.window import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from driftline.baseline import Baseline, FeatureBaseline
    from driftline.columns import Column

LARGEST_SUM = 1e30
"""Of one batch, from the centre of a bin; beyond, only the bin is known: a hundred million batches add up."""
_FAULTS_OF_NUMBERS = [FAULTS.index(fault) for fault in (MISSING, WRONG_TYPE, OUT_OF_RANGE)]


class Layout:
    """Where each feature of a baseline lies in the flat columns of :class:`driftline.window.Counts`.

    Attributes:
        table: Name, number of fine bins and digest of the bins of each feature, in order.
        id: 12 hex digits, equal for equal tables on one baseline.
    """

    def __init__(self, baseline: Baseline, features: Iterable[FeatureBaseline] | None = None) -> None:
        self.baseline = baseline
        self.features = tuple(baseline.features.values() if features is None else features)
        self.names = tuple(feature.name for feature in self.features)
        sizes = [feature.fine for feature in self.features]
        self.starts = np.concatenate(([0], np.cumsum(sizes, dtype=np.intp)))
        self.slices = tuple(
            slice(int(start), int(start) + size) for start, size in zip(self.starts, sizes, strict=False)
        )
        bins = [len(feature.bins) for feature in self.features]
        first = np.concatenate(([0], np.cumsum(bins, dtype=np.intp)))
        self.bins = int(first[-1])
        self.bin_slices = tuple(
            slice(int(start), int(start) + size) for start, size in zip(first, bins, strict=False)
        )
        folds = [feature.fold + start for feature, start in zip(self.features, first, strict=False)]
        self.fold = np.concatenate(folds) if folds else np.empty(0, np.intp)
        self.centres = np.concatenate([_centres(feature) for feature in self.features] or [np.empty(0)])
        self._numbers = [n for n, f in enumerate(self.features) if f.kind == "numeric" and _is_tame(f)]
        self._of_numbers = _joined([self.slices[n] for n in self._numbers])
        self._side_by_side = SideBySide(
            [self.features[n].edges for n in self._numbers], [self.features[n].range for n in self._numbers]
        )
        self.table = [(f.name, f.fine, _same(f)) for f in self.features]
        told = json.dumps([baseline.id, self.table])
        self.id = hashlib.sha256(told.encode()).hexdigest()[:12]

    def empty(self) -> Counts:
        """Return counts of nothing in this layout."""
        return Counts.empty(int(self.starts[-1]), len(self.features), len(FAULTS))

    def passage(
        self, table: Iterable[tuple[str, int, str]], centres: NDArray[np.float64]
    ) -> Callable[[Counts], Counts]:
        """Return what brings counts of another layout into this one: of features whose bins are the same.

        Args:
            table: The ``table`` of that layout: name, fine bins and digest of each feature.
            centres: Its ``centres``.
        """
        numbers = {(name, digest): number for number, (name, _, digest) in enumerate(self.table)}
        here, there = [np.empty(0, np.intp)], [np.empty(0, np.intp)]
        rows_here, rows_there = [], []
        start = 0
        for row, (name, fine, digest) in enumerate(table):
            number = numbers.get((name, digest))
            if number is not None:
                here.append(np.arange(fine) + self.starts[number])
                there.append(np.arange(fine) + start)
                rows_here.append(number)
                rows_there.append(row)
            start += fine
        to, of = np.concatenate(here), np.concatenate(there)
        moved = centres[of] - self.centres[to]

        def carry(counts: Counts) -> Counts:
            carried = self.empty()
            carried.values[to] = counts.values[of]
            carried.sums[to] = _bounded(counts.sums[of] + counts.values[of] * moved)
            carried.faults[rows_here] = counts.faults[rows_there]
            carried.entities = counts.entities
            carried.rows = counts.rows
            return carried

        return carry

    def count(self, columns: Mapping[str, Column], rows: int) -> Counts:
        """Count the *columns* of *rows* rows.

        A feature that is not among them is missing in every row; an output that is not is not missing.
        """
        counts = self.empty()
        counts.rows = rows
        left: Iterable[int] = range(len(self.features))
        if rows < MANY:
            left = self._count_numbers(counts, columns)
        for number in left:
            feature, place = self.features[number], self.slices[number]
            column = columns.get(feature.name)
            if column is None:
                if not feature.name.startswith("@"):
                    counts.faults[number, FAULTS.index(MISSING)] += rows
                continue
            found = feature.count(column)
            counts.values[place] = found.values
            counts.sums[place] = found.sums
            counts.faults[number] = found.faults
        if COLUMN_ENTITY in columns:
            counts.entities = sketch(columns[COLUMN_ENTITY])
        with np.errstate(over="ignore", invalid="ignore"):
            counts.sums = _bounded(counts.sums - counts.values * self.centres)
        return counts

    def fits(self, given: Mapping[str, NDArray[Any]]) -> bool:
        """Tell whether what a service counted itself of each feature has as many bins as here."""
        sizes = {feature.name: len(FAULTS) + feature.fine for feature in self.features}
        return all(len(found) == sizes.get(name, len(found)) for name, found in given.items())

    def counted(self, given: Mapping[str, NDArray[Any]], rows: int) -> Counts:
        """Return what a service counted itself of *rows* rows: by feature the faults, then the fine bins.

        Each value is taken for the mean of its bin in the baseline.
        """
        counts = self.empty()
        counts.rows = rows
        for number, (feature, place) in enumerate(zip(self.features, self.slices, strict=True)):
            found = given.get(feature.name)
            if found is not None:
                counts.faults[number] = found[: len(FAULTS)]
                counts.values[place] = found[len(FAULTS) :]
            elif not feature.name.startswith("@"):
                counts.faults[number, FAULTS.index(MISSING)] += rows
        return counts

    def _count_numbers(self, counts: Counts, columns: Mapping[str, Column]) -> Iterable[int]:
        """Count all columns of numbers at once; return which features are left."""
        nothing = np.full(counts.rows, np.nan)
        together: list[NDArray[Any]] = []
        counted = []
        for number in self._numbers:
            column = columns.get(self.names[number])
            if isinstance(column, np.ndarray) and column.dtype.kind in "fiub" and len(column) == counts.rows:
                together.append(column)
                counted.append(number)
            else:  # absent, or not of numbers alone, or an output that failed rows do not have
                together.append(nothing)
        if not counted:
            return range(len(self.features))
        values, sums, faults = self._side_by_side.count(together, counts.rows)
        counts.values[self._of_numbers] = values
        counts.sums[self._of_numbers] = sums
        counts.faults[np.ix_(self._numbers, _FAULTS_OF_NUMBERS)] = faults
        left = set(range(len(self.features))).difference(counted)
        counts.faults[sorted(left)] = 0
        return left

    def folded(self, values: NDArray[Any]) -> NDArray[Any]:
        """Add fine counts, shape (..., fine), up into the bins that are scored and exported."""
        return fold(values, self.fold, self.bins)


def _same(feature: FeatureBaseline) -> str:
    """Return what is equal for features whose fine bins are the same."""
    content = feature.edges.tobytes() + json.dumps([feature.kind, feature.categories]).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _bounded(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return *sums* as panes, which keep float32, can hold them; what is no number is 0."""
    if np.abs(sums).max(initial=0.0) <= LARGEST_SUM:
        return sums
    return np.nan_to_num(sums, nan=0.0).clip(-LARGEST_SUM, LARGEST_SUM)


def _joined(slices: Sequence[slice]) -> slice | NDArray[np.intp]:
    """Return all *slices* as one where each begins at the end of the one before, else as indices."""
    if all(one.stop == other.start for one, other in pairwise(slices)):
        return slice(slices[0].start, slices[-1].stop) if slices else slice(0, 0)
    return np.concatenate([np.r_[each] for each in slices])


def _is_tame(feature: FeatureBaseline) -> bool:
    """Tell whether so many values as a batch can hold, each cut to the range, add up to a number."""
    return bool(max(-feature.range[0], feature.range[1]) < np.finfo(np.float64).max / MANY)


def _centres(feature: FeatureBaseline) -> NDArray[np.float64]:
    """Return the mean of the baseline's values in each fine bin; 0 where it has none."""
    centres = np.zeros(feature.fine)
    np.divide(feature.sums, feature.counts, out=centres, where=feature.counts > 0)
    return centres
