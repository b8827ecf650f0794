"""A window against its baseline: what the sidecar and ``compare`` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.histogram import Histogram, fold
from driftline.names import FAULTS, MISSING
from driftline.statistics import ON_FINE, ON_FOLD
from driftline.statistics.chi_square import chi_square, p_value
from driftline.statistics.overdispersion import overdispersion
from driftline.window import Counts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from numpy.typing import NDArray

    from driftline.baseline import Baseline, FeatureBaseline
    from driftline.columns import Column
    from driftline.window import Window

DEFAULT_STATISTICS = ("psi", "jensen_shannon", "kolmogorov_smirnov", "wasserstein")


@dataclass(frozen=True, slots=True)
class DriftScore:
    """The scores of one feature over one window.

    Attributes:
        feature: The feature's name, or a reserved one such as ``@prediction``.
        values: How many values the window holds in a bin; without any there is no score.
        scores: Drift score by statistic.
        overdispersion: phi of the window's panes; None where it cannot be told yet.
        p_value: How often chance alone moves a feature so far; None while there is no phi.
        mean: Of the window's values, cut to the baseline's range; None for categories.
    """

    feature: str
    values: int
    scores: Mapping[str, float]
    overdispersion: float | None
    p_value: float | None
    mean: float | None


class Layout:
    """Where each feature of a baseline lies in the flat columns of :class:`driftline.window.Counts`."""

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
        self._folded = tuple(_numbered(fold(f.counts, f.fold, len(f.bins))) for f in self.features)
        self._fine = tuple(
            Histogram(f.edges, f.counts, f.sums, stddev=f.stddev) if len(f.edges) else None
            for f in self.features
        )

    def empty(self) -> Counts:
        """Return counts of nothing in this layout."""
        return Counts.empty(int(self.starts[-1]), len(self.features), len(FAULTS))

    def count(self, columns: Mapping[str, Column], rows: int) -> Counts:
        """Count the *columns* of *rows* rows.

        A feature that is not among them is missing in every row; an output that is not is not missing.
        """
        counts = self.empty()
        counts.rows = rows
        for number, (feature, place) in enumerate(zip(self.features, self.slices, strict=True)):
            column = columns.get(feature.name)
            if column is None:
                if not feature.name.startswith("@"):
                    counts.faults[number, FAULTS.index(MISSING)] += rows
                continue
            found = feature.count(column)
            counts.values[place] = found.values
            counts.sums[place] = found.sums
            counts.faults[number] = found.faults
        counts.sums -= counts.values * self.centres
        return counts

    def folded(self, values: NDArray[Any]) -> NDArray[Any]:
        """Add fine counts, shape (..., fine), up into the bins that are scored and exported."""
        return fold(values, self.fold, self.bins)

    def score(self, window: Window, statistics: Collection[str] = DEFAULT_STATISTICS) -> list[DriftScore]:
        """Score every feature that has values in *window* by each of *statistics*.

        What needs an order, such as ``kolmogorov_smirnov``, is left out for categories. Without any
        statistic only the overdispersion is told.
        """
        merged = window.merged()
        panes = window.closed()
        scores = []
        for number, feature in enumerate(self.features):
            fine = self.slices[number]
            values = int(merged.values[fine].sum())
            if values and feature.values:
                sums = merged.sums[fine] + merged.values[fine] * self.centres[fine]
                scores.append(self._score(number, merged.values[fine], sums, panes[:, fine], statistics))
        return scores

    def _score(
        self,
        number: int,
        values: NDArray[np.int64],
        sums: NDArray[np.float64],
        panes: NDArray[Any],
        statistics: Collection[str],
    ) -> DriftScore:
        feature, expected = self.features[number], self._folded[number]
        observed = _numbered(fold(values, feature.fold, len(feature.bins)))
        scores = {name: ON_FOLD[name](expected, observed) for name in statistics if name in ON_FOLD}
        fine, mean = self._fine[number], None
        if fine is not None:
            window = Histogram(fine.edges, values, sums)
            scores |= {name: ON_FINE[name](fine, window) for name in statistics if name in ON_FINE}
            mean = float(sums.sum()) / window.total
        phi = overdispersion(fold(panes, feature.fold, len(feature.bins)))
        bins = int(np.count_nonzero(expected.counts + observed.counts))
        surprise = None
        if statistics and phi is not None and bins > 1:
            surprise = p_value(chi_square(expected, observed), bins, phi, len(panes))
        return DriftScore(feature.name, int(observed.total), scores, phi, surprise, mean)


def _numbered(counts: NDArray[np.int64]) -> Histogram:
    """Return folded counts as a histogram: once folded, bins are told by their number."""
    return Histogram(np.arange(len(counts) + 1.0), counts)


def _centres(feature: FeatureBaseline) -> NDArray[np.float64]:
    """Return the mean of the baseline's values in each fine bin; 0 where it has none."""
    centres = np.zeros(feature.fine)
    np.divide(feature.sums, feature.counts, out=centres, where=feature.counts > 0)
    return centres
