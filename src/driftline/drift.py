"""A window against its baseline: what the sidecar and ``compare`` share."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.entities import clustering, sketch
from driftline.histogram import MANY, Histogram, SideBySide, fold
from driftline.names import COLUMN_ENTITY, FAULTS, MISSING, OUT_OF_RANGE, WRONG_TYPE
from driftline.statistics import ON_FINE, ON_FOLD
from driftline.statistics.chi_square import chi_square, p_value
from driftline.statistics.false_discovery import adjusted
from driftline.statistics.overdispersion import MIN_PANES, overdispersion
from driftline.statistics.shares import stddev_of, sum_of
from driftline.window import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from driftline.baseline import Baseline, FeatureBaseline
    from driftline.columns import Column
    from driftline.window import Window

SMALLEST_STDDEV = 1e-250
LARGEST_SUM = 1e30
"""Of one batch, from the centre of a bin; beyond, only the bin is known: a hundred million batches add up."""
_FAULTS_OF_NUMBERS = [FAULTS.index(fault) for fault in (MISSING, WRONG_TYPE, OUT_OF_RANGE)]
DEFAULT_STATISTICS = ("psi", "jensen_shannon", "kolmogorov_smirnov", "wasserstein")


@dataclass(frozen=True, slots=True)
class DriftScore:
    """The scores of one feature over one window.

    Attributes:
        feature: The feature's name, or a reserved one such as ``@prediction``.
        values: How many values the window holds in a bin; without any there is no score.
        scores: Drift score by statistic.
        overdispersion: phi of the window's panes, or of its entities where that is more; None where it
            cannot be told yet.
        p_value: How often chance alone moves a feature so far; None while there is no phi.
        q_value: The p value adjusted for the number of features that are looked at.
        mean: Of the window's values, cut to the baseline's range; None for categories.
        stddev: Their standard deviation between the means of the fine bins; None alike.
    """

    feature: str
    values: int
    scores: Mapping[str, float]
    overdispersion: float | None
    p_value: float | None
    q_value: float | None = None
    mean: float | None = None
    stddev: float | None = None


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
        # Scores are taken in standard deviations from the baseline's mean: so nothing is lost of 1e15 + 0.1,
        # and nothing overflows of 1e300.
        self._means = np.array([feature.mean for feature in self.features])
        self._units = np.array([_unit(feature) for feature in self.features])
        means, units = np.repeat(self._means, sizes), np.repeat(self._units, sizes)
        self._offsets = ((self.centres / 2 - means / 2) / (units / 2)).clip(-LARGEST_SUM, LARGEST_SUM)
        self._fine_units = units
        folded = map(_folded, self.features)
        self._on_fold = _groups(zip(range(len(bins)), self.bin_slices, folded, strict=True))
        numbers = [number for number, feature in enumerate(self.features) if len(feature.edges)]
        self._on_fine = _groups((number, self.slices[number], self._fine(number)) for number in numbers)
        self._numbers = [
            n for n in numbers if self.features[n].kind == "numeric" and _is_tame(self.features[n])
        ]
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

    def score(
        self,
        window: Window,
        statistics: Collection[str] = DEFAULT_STATISTICS,
        pieces: NDArray[np.uint32] | None = None,
    ) -> list[DriftScore]:
        """Score every feature that has values in *window* by each of *statistics*.

        What needs an order, such as ``kolmogorov_smirnov``, is left out for categories. Without any
        statistic only the overdispersion is told: from the window's panes, or where these are too few and
        will not become more, from *pieces* of its rows, shape (pieces, folded bins).
        """
        merged = window.merged()
        sums = merged.sums / self._fine_units + merged.values * self._offsets
        folded = self.folded(merged.values)
        apart, closed = self._dispersion(window, pieces)
        apart = np.maximum(apart, clustering(merged.entities, merged.rows))
        nothing = np.full(len(self.features), np.nan)  # by feature; NaN is none
        phis, p_values, means, stddevs = (nothing.copy() for _ in range(4))
        values = np.zeros(len(self.features), np.int64)
        found: dict[str, NDArray[np.float64]] = {}
        for group in self._on_fold:
            here = group.holding(folded)
            numbers = group.numbers[here]
            expected = group.expected(here)
            observed = Histogram(expected.edges, folded[group.places[here]])
            values[numbers] = observed.total
            for name in statistics:
                if name in ON_FOLD:
                    found.setdefault(name, nothing.copy())[numbers] = ON_FOLD[name](expected, observed)
            phis[numbers] = apart[numbers]
            if statistics:
                p_values[numbers] = _chance(expected, observed, apart[numbers], closed[numbers])
        for group in self._on_fine if statistics else ():
            here = group.holding(merged.values)
            numbers = group.numbers[here]
            places = group.places[here]
            expected = group.expected(here)
            observed = Histogram(expected.edges, merged.values[places], sums[places])
            for name in statistics:
                if name in ON_FINE:
                    found.setdefault(name, nothing.copy())[numbers] = ON_FINE[name](expected, observed)
            means[numbers] = self._means[numbers] + self._units[numbers] * (sum_of(observed) / observed.total)
            stddevs[numbers] = self._units[numbers] * stddev_of(observed)
        scores = zip(*(column.tolist() for column in found.values()), strict=True) if found else repeat(())
        others = [_told(column) for column in (phis, p_values, _adjusted(p_values), means, stddevs)]
        return [
            DriftScore(
                name,
                number,
                {statistic: x for statistic, x in zip(found, told, strict=True) if not math.isnan(x)},
                *other,
            )
            for name, number, told, *other in zip(self.names, values.tolist(), scores, *others)  # noqa: B905
            if number
        ]

    def _dispersion(
        self, window: Window, pieces: NDArray[np.uint32] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return phi of each feature, and on how many panes that hold it; told anew when a pane closes."""
        told = window.memo.get("dispersion")
        if told is None:
            panes = self.folded(window.closed())
            lasting = pieces is None or len(panes) >= MIN_PANES
            if pieces is not None and not lasting:
                panes = pieces
            phi, held = np.full(len(self.features), np.nan), np.zeros(len(self.features), np.intp)
            for group in self._on_fold:
                of_group = panes[:, group.places]
                phi[group.numbers] = overdispersion(of_group)
                held[group.numbers] = np.count_nonzero(of_group.any(axis=-1), axis=0)
            told = phi, held
            if lasting:
                window.memo["dispersion"] = told
        return told

    def _fine(self, number: int) -> Histogram:
        """Return the fine bins of a baseline, their sums in its standard deviations from its mean."""
        feature = self.features[number]
        sums = feature.counts * self._offsets[self.slices[number]]
        return Histogram(feature.edges, feature.counts, sums, 1.0)


class _Group:
    """Features of equally many bins, which the statistics score at once.

    Attributes:
        numbers: Shape (features,), the features' places in the layout.
        places: Shape (features, bins), where their bins lie in the flat columns.
    """

    def __init__(self, members: Sequence[tuple[int, slice, Histogram]]) -> None:
        self.numbers = np.array([number for number, _, _ in members])
        self.places = np.array([np.arange(place.start, place.stop) for _, place, _ in members])
        baselines = [baseline for _, _, baseline in members]
        self._edges = np.array([baseline.edges for baseline in baselines])
        self._counts = np.array([baseline.counts for baseline in baselines])
        self._sums = np.array([baseline.sums for baseline in baselines])
        self._stddev = np.array([baseline.stddev for baseline in baselines])
        self._known = self._counts.any(axis=-1)

    def holding(self, values: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return which members have values both in the flat *values* and in their baseline."""
        return np.flatnonzero(values[self.places].any(axis=-1) & self._known)

    def expected(self, here: NDArray[np.intp]) -> Histogram:
        """Return the baselines of some members as one histogram."""
        return Histogram(self._edges[here], self._counts[here], self._sums[here], self._stddev[here])


def _groups(members: Iterable[tuple[int, slice, Histogram]]) -> list[_Group]:
    of_size: dict[int, list[tuple[int, slice, Histogram]]] = {}
    for member in members:
        of_size.setdefault(len(member[2].counts), []).append(member)
    return [_Group(group) for group in of_size.values()]


def _folded(feature: FeatureBaseline) -> Histogram:
    """Return the fold of a baseline as a histogram: once folded, bins are told by their number."""
    bins = len(feature.bins)
    return Histogram(np.arange(bins + 1.0), fold(feature.counts, feature.fold, bins), np.zeros(bins), 0.0)


def _chance(
    expected: Histogram, observed: Histogram, phi: NDArray[np.float64], panes: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return how often chance alone moves each feature so far; NaN where phi is, or there is one bin."""
    bins = np.count_nonzero(expected.counts + observed.counts, axis=-1)
    chance = p_value(chi_square(expected, observed), np.maximum(bins, 2), phi, np.maximum(panes, 2))
    return np.where(bins > 1, chance, np.nan)


def _same(feature: FeatureBaseline) -> str:
    """Return what is equal for features whose fine bins are the same."""
    content = feature.edges.tobytes() + json.dumps([feature.kind, feature.categories]).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _told(column: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(x) else x for x in column.tolist()]


def _adjusted(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the p values adjusted for their number; NaN is none."""
    told = ~np.isnan(p_values)
    q_values = p_values.copy()
    q_values[told] = adjusted(p_values[told])
    return q_values


def _bounded(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return *sums* as panes, which keep float32, can hold them; what is no number is 0."""
    if np.abs(sums).max(initial=0.0) <= LARGEST_SUM:
        return sums
    return np.nan_to_num(sums, nan=0.0).clip(-LARGEST_SUM, LARGEST_SUM)


def _unit(feature: FeatureBaseline) -> float:
    """Return the standard deviation of a baseline; 1 where it is constant, or so small that 1 / it is no number."""
    return feature.stddev if feature.stddev > SMALLEST_STDDEV else 1.0


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
