"""A window against its baseline: what the sidecar and ``compare`` share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from driftline.entities import clustering
from driftline.histogram import Histogram, fold
from driftline.layout import LARGEST_SUM
from driftline.statistics import ON_FINE, ON_FOLD
from driftline.statistics.chi_square import chi_square, p_value
from driftline.statistics.false_discovery import adjusted
from driftline.statistics.overdispersion import MIN_PANES, overdispersion
from driftline.statistics.shares import stddev_of, sum_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from driftline.baseline import FeatureBaseline
    from driftline.layout import Layout
    from driftline.window import Window

SMALLEST_STDDEV = 1e-250
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


class Expected:
    """A baseline as what windows are held against, so that a statistic takes many features at once.

    Args:
        layout: Where its features lie in a window's counts.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        features, sizes = layout.features, [feature.fine for feature in layout.features]
        # Scores are taken in standard deviations from the baseline's mean: so nothing is lost of 1e15 + 0.1,
        # and nothing overflows of 1e300.
        self._means = np.array([feature.mean for feature in features])
        self._units = np.array([_unit(feature) for feature in features])
        means, units = np.repeat(self._means, sizes), np.repeat(self._units, sizes)
        self._offsets = ((layout.centres / 2 - means / 2) / (units / 2)).clip(-LARGEST_SUM, LARGEST_SUM)
        self._fine_units = units
        folded = map(_folded, features)
        self._on_fold = _groups(zip(range(len(features)), layout.bin_slices, folded, strict=True))
        numbers = [number for number, feature in enumerate(features) if len(feature.edges)]
        self._on_fine = _groups((number, layout.slices[number], self._fine(number)) for number in numbers)

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
        folded = self.layout.folded(merged.values)
        apart, closed = self._dispersion(window, pieces)
        apart = np.maximum(apart, clustering(merged.entities, merged.rows))
        nothing = np.full(len(self.layout.features), np.nan)  # by feature; NaN is none
        phis, p_values, means, stddevs = (nothing.copy() for _ in range(4))
        values = np.zeros(len(self.layout.features), np.int64)
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
            for name, number, told, *other in zip(self.layout.names, values.tolist(), scores, *others)  # noqa: B905
            if number
        ]

    def _dispersion(
        self, window: Window, pieces: NDArray[np.uint32] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return phi of each feature, and on how many panes that hold it; told anew when a pane closes."""
        told = window.memo.get("dispersion")
        if told is None:
            panes = self.layout.folded(window.closed())
            lasting = pieces is None or len(panes) >= MIN_PANES
            if pieces is not None and not lasting:
                panes = pieces
            phi, held = (
                np.full(len(self.layout.features), np.nan),
                np.zeros(len(self.layout.features), np.intp),
            )
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
        feature = self.layout.features[number]
        sums = feature.counts * self._offsets[self.layout.slices[number]]
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


def _told(column: NDArray[np.float64]) -> list[float | None]:
    return [None if math.isnan(x) else x for x in column.tolist()]


def _adjusted(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the p values adjusted for their number; NaN is none."""
    told = ~np.isnan(p_values)
    q_values = p_values.copy()
    q_values[told] = adjusted(p_values[told])
    return q_values


def _unit(feature: FeatureBaseline) -> float:
    """Return the standard deviation of a baseline; 1 where it is constant, or so small that 1 / it is no number."""
    return feature.stddev if feature.stddev > SMALLEST_STDDEV else 1.0
