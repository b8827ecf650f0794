"""A window against its baseline: what the sidecar and ``compare`` share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.histogram import Histogram, fold
from driftline.names import FAULTS, MISSING
from driftline.statistics import STATISTICS
from driftline.statistics.overdispersion import overdispersion
from driftline.window import Counts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from driftline.baseline import Baseline, FeatureBaseline
    from driftline.columns import Column
    from driftline.window import Window


@dataclass(frozen=True, slots=True)
class DriftScore:
    """The scores of one feature over one window.

    Attributes:
        feature: The feature's name, or a reserved one such as ``@prediction``.
        values: How many values the window holds in a bin; without any there is no score.
        scores: Drift score by statistic.
        overdispersion: phi of the window's panes; None where it cannot be told yet.
    """

    feature: str
    values: int
    scores: Mapping[str, float]
    overdispersion: float | None


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
        self._edges = tuple(np.arange(size + 1.0) for size in bins)  # bins are told by number once folded
        self._expected = tuple(
            Histogram(edges, fold(feature.counts, feature.fold, len(feature.bins)))
            for feature, edges in zip(self.features, self._edges, strict=True)
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

    def score(self, window: Window) -> list[DriftScore]:
        """Score every feature that has values in *window*."""
        observed = self.folded(window.merged().values)
        panes = self.folded(window.closed())
        scores = []
        for number, (feature, place) in enumerate(zip(self.features, self.bin_slices, strict=True)):
            histogram = Histogram(self._edges[number], observed[place])
            values = int(histogram.total)
            if values == 0 or feature.values == 0:
                continue
            expected = self._expected[number]
            found = {name: statistic(expected, histogram) for name, statistic in STATISTICS.items()}
            scores.append(DriftScore(feature.name, values, found, overdispersion(panes[:, place])))
        return scores


def _centres(feature: FeatureBaseline) -> NDArray[np.float64]:
    """Return the mean of the baseline's values in each fine bin; 0 where it has none."""
    centres = np.zeros(feature.fine)
    np.divide(feature.sums, feature.counts, out=centres, where=feature.counts > 0)
    return centres
