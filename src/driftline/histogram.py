"""Histograms on fixed edges: counting values into bins, merging, folding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from driftline.errors import EdgesDiffer

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts, and where they are kept sums, of values per bin.

    Attributes:
        edges: Shape (bins + 1,), strictly increasing; a bin is ``(edges[b], edges[b + 1]]``.
        counts: Shape (bins,), how many values fell into each bin.
        sums: Shape (bins,), the sum of those values; None where no sums are kept.
    """

    edges: NDArray[np.float64]
    counts: NDArray[Any]
    sums: NDArray[np.float64] | None = None

    @property
    def total(self) -> float:
        """How many values were counted."""
        return float(self.counts.sum())


def count(
    values: NDArray[np.floating[Any]], edges: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Count finite *values* into the bins of *edges*, and sum them per bin.

    The values are sorted and the edges sought among them: a tenth of the cost of seeking each value
    among the edges. A bin holds its upper edge.

    Returns:
        Counts and sums, each of shape (bins,).
    """
    ordered = np.sort(values)
    cuts = np.searchsorted(ordered, edges[1:-1], side="right")
    bounds = np.concatenate(([0], cuts, [len(ordered)]))
    counts = np.diff(bounds).astype(np.int64)
    sums = np.zeros(len(counts))
    filled = counts > 0
    if filled.any():
        # reduceat sums from each start to the next: the starts of the filled bins touch each other
        sums[filled] = np.add.reduceat(ordered.astype(np.float64, copy=False), bounds[:-1][filled])
    return counts, sums


def merge(histograms: Sequence[Histogram]) -> Histogram:
    """Return the histogram of all values counted in *histograms*.

    Raises:
        EdgesDiffer: They do not share their edges.
    """
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
    """Add up *fine* counts (…, fine bins) into *bins* coarse ones; ``bin_of[b]`` is where fine bin b goes."""
    folded = np.zeros((*fine.shape[:-1], bins), fine.dtype)
    np.add.at(folded, (..., bin_of), fine)
    return folded
