"""Histograms on fixed edges: counting values into bins, merging, folding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.errors import EdgesDiffer, EmptyHistogram

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LARGEST = float(np.finfo(np.float64).max)
_FEW = 4
"""Up to so many values a bin, each is sought among the edges: 3 us for one row where the other way takes 14."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts, and where they are kept sums, of values per bin: of one feature, or of many at once.

    Many features of equally many bins lie along the axes before the last, and every statistic then
    gives a score for each of them.

    Attributes:
        edges: Shape (..., bins + 1), strictly increasing; a bin is ``(edges[b], edges[b + 1]]``.
        counts: Shape (..., bins), how many values fell into each bin.
        sums: Shape (..., bins), the sum of those values; None where no sums are kept.
        stddev: Shape (...), of the values of a baseline, where a statistic needs it as its unit.
    """

    edges: NDArray[np.float64]
    counts: NDArray[Any]
    sums: NDArray[np.float64] | None = None
    stddev: NDArray[np.float64] | float | None = None

    @property
    def total(self) -> Any:
        """How many values were counted, shape (...)."""
        return self.counts.sum(axis=-1)


def count(
    values: NDArray[np.floating[Any]], edges: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Count finite *values* into the bins of *edges*, and sum them per bin.

    Many values are sorted and the edges sought among them: a tenth of the cost of seeking each value
    among the edges. A bin holds its upper edge; the order of the values changes nothing, not even the
    rounding of the sums.

    >>> count(np.array([3.0, 1.0, 2.0]), np.array([-np.inf, 2.0, np.inf]))
    (array([2, 1]), array([3., 3.]))

    Returns:
        Counts and sums, each of shape (bins,); a sum beyond float64 is held at its end.
    """
    bins = len(edges) - 1
    ordered = values.copy()
    ordered.sort()  # in its own type: half the time for float32
    ordered = ordered.astype(np.float64, copy=False)
    if not len(ordered):  # numpy forgets the weights of nothing
        return np.zeros(bins, np.int64), np.zeros(bins)
    huge = max(-ordered[0], ordered[-1]) > _LARGEST / len(ordered)
    if huge or len(ordered) <= _FEW * bins:
        place = edges[1:-1].searchsorted(ordered)
        sums: NDArray[Any] = np.bincount(place, ordered, bins)
        if huge:
            end = np.nextafter(_LARGEST / len(ordered), 0)  # so that the product is not rounded beyond
            held = np.bincount(place, ordered / len(ordered), bins).clip(-end, end) * len(ordered)
            sums = np.where(np.isfinite(sums), sums, held)
        return np.bincount(place, minlength=bins), sums
    bounds = np.concatenate(([0], ordered.searchsorted(edges[1:-1], side="right"), [len(ordered)]))
    counts = np.diff(bounds)
    sums = np.zeros(bins)
    filled = counts > 0
    # reduceat sums from each start to the next: the starts of the filled bins touch each other
    sums[filled] = np.add.reduceat(ordered, bounds[:-1][filled])
    return counts, sums


def merge(histograms: Sequence[Histogram]) -> Histogram:
    """Return the histogram of all values counted in *histograms*; without sums where one has none.

    Raises:
        EdgesDiffer: They do not share their edges.
        EmptyHistogram: There is none to merge.
    """
    if not histograms:
        raise EmptyHistogram("there is no histogram to merge")
    first = histograms[0]
    if any(not np.array_equal(first.edges, other.edges) for other in histograms[1:]):
        raise EdgesDiffer("histograms on different edges cannot be merged; build them on one baseline")
    kept = [h.sums for h in histograms if h.sums is not None]
    return Histogram(
        first.edges,
        np.sum([h.counts for h in histograms], axis=0),
        np.sum(kept, axis=0) if len(kept) == len(histograms) else None,
    )


def fold(fine: NDArray[Any], bin_of: NDArray[np.intp], bins: int) -> NDArray[Any]:
    """Add up *fine* counts (..., fine bins) into *bins* coarse ones.

    Args:
        fine: Counts or sums per fine bin, in the last dimension.
        bin_of: Where each fine bin goes; it rises, and leaves out none of the coarse bins.
        bins: How many coarse bins there are.

    >>> fold(np.array([1, 2, 3]), np.array([0, 0, 1]), 2)
    array([3, 3])
    """
    starts = np.searchsorted(bin_of, np.arange(bins))
    folded: NDArray[Any] = np.add.reduceat(fine, starts, axis=-1)
    return folded


def smoothed(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return a baseline's shares of *counts*, shape (..., bins): (n_b + 0.5) / (n + 0.5 B).

    None is 0, and they sum to 1 over the bins; the baseline's file, the statistics and the rules use them.
    """
    total = counts.sum(axis=-1, keepdims=True)
    shares: NDArray[np.float64] = (counts + 0.5) / (total + 0.5 * counts.shape[-1])
    return shares
