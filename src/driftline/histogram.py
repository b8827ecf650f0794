"""Histograms on fixed edges: counting values into bins, merging, folding."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.errors import EdgesDiffer, EmptyHistogram

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_LARGEST = float(np.finfo(np.float64).max)
_FEW = 4
"""Up to so many values a bin, each is sought among the edges: 3 us for one row where the other way takes 14."""
_FEW_ROWS = 64
"""Up to so many rows of many features, one search among the edges of all of them costs the least."""
_BESIDE = 24_000
"""So many values are counted side by side at a time: what fits into the cache and malloc keeps at hand."""
MANY = 16_384
"""From so many values on, laying them on a grid may cost less than sorting them."""
_CELLS = 16_384
_BLOCK = 65_536
_MARK = 2.0**31
"""More than the places on the grid of a whole block add up to, so that one sum holds them and their number."""


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
    values: NDArray[np.floating[Any]],
    edges: NDArray[np.float64],
    low: float = -np.inf,
    high: float = np.inf,
    *,
    exact: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Count finite *values* into the bins of *edges*, and sum them per bin, each cut to *low* and *high*.

    A bin holds its upper edge. A value is counted where it lies; summed is the nearest value from *low* to
    *high*, or the border of its bin where none of that is in it: one wild value must not own a sum.

    Few values are each sought among the edges; more are sorted, and the edges sought among them. Many are
    sorted too where that is fast. It is not on every machine: numpy 2.4 sorts 100,000 float64 in 4 ns a value
    on one and in 40 on another, and on such they are laid on a grid. All ways count alike; sums from
    the grid are right to 7 digits, as many as a pane keeps, and none is used where they must be *exact*: a
    baseline's id may not hang on the machine.

    >>> count(np.array([3.0, 1.0, 2.0]), np.array([-np.inf, 2.0, np.inf]))
    (array([2, 1]), array([3., 3.]))

    Returns:
        Counts and sums, each of shape (bins,); a sum beyond float64 is held at its end.
    """
    bins = len(edges) - 1
    if not len(values):  # numpy forgets the weights of nothing
        return np.zeros(bins, np.int64), np.zeros(bins)
    if not exact and len(values) >= MANY and -np.inf < low < high < np.inf and _grid_is_faster():
        found = _count_on_grid(values, edges, low, high)
        if found is not None:
            return found
    ordered = narrowed(values)
    ordered.sort()
    cut = ordered.astype(np.float64).clip(low, high)
    huge = max(-cut[0], cut[-1]) > _LARGEST / len(cut)
    if huge or len(cut) <= _FEW * bins:
        place = edges[1:-1].searchsorted(ordered)
        counts = np.bincount(place, minlength=bins)
        sums: NDArray[Any] = np.bincount(place, cut, bins)
        if huge:
            end = np.nextafter(_LARGEST / len(cut), 0)  # so that the product is not rounded beyond
            held = np.bincount(place, cut / len(cut), bins).clip(-end, end) * len(cut)
            sums = np.where(np.isfinite(sums), sums, held)
    else:
        inner = edges[1:-1] if ordered.dtype == np.float64 else not_above(edges[1:-1])
        bounds = np.concatenate(([0], ordered.searchsorted(inner, side="right"), [len(ordered)]))
        counts = np.diff(bounds)
        sums = np.zeros(bins)
        filled = counts > 0
        # reduceat sums from each start to the next: the starts of the filled bins touch each other
        sums[filled] = np.add.reduceat(cut, bounds[:-1][filled])
    return counts, _with_borders(sums, counts, edges, low, high)


class SideBySide:
    """The bins of many numeric features, for counting a batch of all of them at once.

    One by one, a batch of one row costs ten calls of numpy a feature, and those are all its cost.

    Args:
        edges: Of each feature.
        ranges: Of each feature; its values are summed as :func:`count` does.
    """

    def __init__(self, edges: Sequence[NDArray[np.float64]], ranges: Sequence[tuple[float, float]]) -> None:
        sizes = [len(each) - 1 for each in edges]
        self.starts = np.concatenate(([0], np.cumsum(sizes, dtype=np.intp)))
        self._inner = [each[1:-1] for each in edges]
        self._narrow = [not_above(inner) for inner in self._inner]
        # Complex numbers are in order of their real part, then of the other: one search among the edges of all.
        self._keys = np.concatenate([[], *(number + 1j * inner for number, inner in enumerate(self._inner))])
        self._low, self._high = np.array(ranges, np.float64).reshape(-1, 2).T
        borders = [_borders(each, *within) for each, within in zip(edges, ranges, strict=True)]
        flat = np.concatenate([np.empty(0), *borders])
        self._bordered = np.flatnonzero(~np.isnan(flat))
        self._borders = flat[self._bordered]

    def count(
        self, columns: Sequence[NDArray[Any]], rows: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        """Count *columns* of numbers, one a feature, each of *rows* values.

        Returns:
            Counts and sums, each of shape (bins of all features,), and shape (features, 3): how many values are
            missing (NaN), infinite, out of range.
        """
        counts, sums = np.zeros(self.starts[-1], np.int64), np.zeros(self.starts[-1])
        faults = np.zeros((len(columns), 3), np.int64)
        size = max(1, _BESIDE // max(1, rows))  # of a batch whose rows are all too old, none is left
        for first in range(0, len(columns), size):
            block = columns[first : first + size]
            place = slice(self.starts[first], self.starts[first + len(block)])
            counts[place], sums[place], faults[first : first + size] = self._count(block, rows, first)
        sums[self._bordered] = counts[self._bordered] * self._borders
        return counts, sums, faults

    def _count(
        self, columns: Sequence[NDArray[Any]], rows: int, first: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        held = np.zeros(len(columns) * rows + 1)  # and one, for a sum that would begin behind the last
        values = held[:-1].reshape(len(columns), rows)
        for number, column in enumerate(columns):
            values[number] = column
        finite = np.isfinite(values)
        kept = np.count_nonzero(finite, axis=1)
        missing = np.count_nonzero(np.isnan(values), axis=1) if kept.sum() < values.size else 0 * kept
        by = self._one_by_one if rows <= _FEW_ROWS else self._sorted
        counts, sums, outside = by(held, values, finite, first)
        return counts, sums, np.stack([missing, rows - kept - missing, outside], axis=1)

    def _one_by_one(
        self, _held: Any, values: NDArray[np.float64], finite: NDArray[np.bool_], first: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        feature = finite.nonzero()[0]
        found = values[finite]
        sought = np.empty(len(found), np.complex128)
        sought.real, sought.imag = feature + first, found
        place = self._keys.searchsorted(sought) + feature + (first - self.starts[first])
        cut = found.clip(self._low[feature + first], self._high[feature + first])
        bins = int(self.starts[first + len(values)] - self.starts[first])
        outside = np.bincount(feature[cut != found], minlength=len(values))
        sums = np.bincount(place, cut, bins) if len(place) else np.zeros(bins)
        return np.bincount(place, minlength=bins), sums.astype(np.float64, copy=False), outside

    def _sorted(
        self, held: NDArray[np.float64], values: NDArray[np.float64], finite: NDArray[np.bool_], first: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
        features, rows = values.shape
        kept = np.count_nonzero(finite, axis=1)
        if kept.sum() < values.size:
            values[~finite] = np.nan  # which sorts behind all others
        with np.errstate(over="ignore"):
            narrow = values.astype(np.float32)
        survives = ((narrow == values) | ~finite).all(axis=1).tolist()
        # From each feature's first value on, where each of its bins begins and, at last, where the finite ones end.
        sizes = np.diff(self.starts[first : first + features + 1])
        starts = np.concatenate(([0], np.cumsum(sizes + 1))).tolist()
        bounds = np.zeros(starts[-1], np.intp)
        for number, survived in enumerate(survives):
            ordered = narrow[number] if survived else values[number]
            ordered.sort()
            inner = (self._narrow if survived else self._inner)[first + number]
            bounds[starts[number] + 1 : starts[number + 1] - 1] = ordered.searchsorted(inner, side="right")
            if survived:
                values[number] = ordered
        bounds[np.array(starts[1:]) - 1] = kept
        bins = np.arange(sizes.sum()) + np.repeat(np.arange(features), sizes)
        counts = bounds[bins + 1] - bounds[bins]
        here = slice(first, first + features)
        cut = values.clip(self._low[here, None], self._high[here, None])
        outside = np.count_nonzero(cut != values, axis=1) - (rows - kept)
        values[...] = cut
        bounds += np.repeat(np.arange(features) * rows, sizes + 1)
        sums = np.add.reduceat(held, bounds)[bins]
        sums[counts == 0] = 0.0  # of nothing, reduceat returns what comes next
        return counts, sums, outside


def narrowed(values: NDArray[Any]) -> NDArray[np.floating[Any]]:
    """Return a copy of *values* as float32, if each of them survives that, else as float64.

    float32 is sorted in half the time.
    """
    if values.dtype == np.float32:
        return values.copy()
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return narrow if (narrow == values).all() else values.astype(np.float64)


def not_above(edges: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 not above each of *edges*: what float32 values lie on the same side of."""
    with np.errstate(over="ignore"):
        narrow = edges.astype(np.float32)
        below: NDArray[np.float32] = np.where(
            narrow > edges, np.nextafter(narrow, np.float32(-np.inf)), narrow
        )
    return below


def _borders(edges: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return the border that each value of a bin is summed as where none of *low* to *high* is in it; NaN elsewhere."""
    borders = np.where(edges[:-1] > high, edges[:-1], np.nan)
    return np.where(edges[1:] < low, edges[1:], borders)


def _with_borders(
    sums: NDArray[np.float64], counts: NDArray[np.int64], edges: NDArray[np.float64], low: float, high: float
) -> NDArray[np.float64]:
    borders = _borders(edges, low, high)
    return np.where(np.isnan(borders), sums, counts * borders)


def _count_on_grid(
    values: NDArray[np.floating[Any]], edges: NDArray[np.float64], low: float, high: float
) -> tuple[NDArray[np.int64], NDArray[np.float64]] | None:
    """Count by way of a grid of equal cells from *low* to *high*; None where too many share one with an edge.

    A cell without an edge lies in one bin. The place on the grid never falls where the value rises, so it
    tells the bin of all values but those in a cell with an edge, and these are sought among the edges.
    """
    inner = edges[1:-1]
    last = np.nextafter(_CELLS, 0)
    scale = last / (high - low)
    if not 0 < scale < np.inf:
        return None

    def places(of: NDArray[Any]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = np.subtract(of, low, dtype=np.float64)
        found *= scale
        return np.clip(found, 0.0, last, out=found)

    edged = places(inner).astype(np.intp)
    shared = np.zeros(_CELLS, np.bool_)
    shared[edged] = True
    starts = np.concatenate(([0], edged))
    counts, sums = np.zeros(len(edges) - 1, np.int64), np.zeros(len(edges) - 1)
    for start in range(0, len(values), _BLOCK):
        block = values[start : start + _BLOCK]
        place = places(block)
        cells = place.astype(np.int32).astype(np.intp)  # by way of int32: half the time
        sought = shared.take(cells).nonzero()[0]
        if len(sought) * 8 > len(block):
            return None
        place += _MARK
        both = np.bincount(cells, place, _CELLS)
        both[edged] = 0.0
        marked = np.add.reduceat(both, starts)
        number = marked // _MARK
        counts += number.astype(np.int64)
        sums += (marked - number * _MARK) / scale + number * low
        left = block[sought]
        at = inner.searchsorted(left)
        counts += np.bincount(at, minlength=len(counts))
        sums += np.bincount(at, left.clip(low, high), len(counts))
    return counts, _with_borders(sums, counts, edges, low, high)


@cache
def _grid_is_faster() -> bool:
    """Tell, by trying once, 5 ms, whether this machine sorts slowly."""
    values = np.random.default_rng(0).normal(size=_BLOCK)
    edges = np.concatenate(([-np.inf], np.linspace(-2, 2, 127), [np.inf]))

    def seconds(work: Callable[[], Any]) -> float:
        began = time.thread_time_ns()
        work()
        return time.thread_time_ns() - began

    by_grid = min(seconds(lambda: _count_on_grid(values, edges, -3.0, 3.0)) for _ in range(3))
    return by_grid < min(seconds(lambda: np.sort(values)) for _ in range(2))


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
