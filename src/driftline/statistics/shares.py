"""The shares that the statistics compare, smoothed the one way that rules and sidecar both use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.errors import EdgesDiffer, EmptyHistogram
from driftline.histogram import smoothed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from driftline.histogram import Histogram

PRIOR = 10.0
"""Pseudo-values given to the observed side, spread like the baseline.

A clamp of empty bins to an epsilon lets one empty bin of a decile at 20 rows score 0.69; half a value
in each bin reads an idle model as drifted. Ten, spread like the baseline, read no rows as no drift.
"""


def comparable(expected: Histogram, observed: Histogram) -> None:
    """Refuse two histograms that no statistic can compare.

    Raises:
        EdgesDiffer: The two do not share their bin edges.
        EmptyHistogram: Either side holds no value.
    """
    same = expected.edges is observed.edges or np.array_equal(expected.edges, observed.edges)
    if not same or expected.counts.shape != observed.counts.shape:
        raise EdgesDiffer("expected and observed are on different edges; count both on one baseline")
    if not np.all(expected.total) or not np.all(observed.total):
        raise EmptyHistogram("a statistic needs at least one value on either side")


def proportions(expected: Histogram, observed: Histogram) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the shares (e, o) of two histograms on the same edges, each summing to 1.

    ``e`` is smoothed by half a value a bin, ``o`` = (c_b + 10 e_b) / (N + 10).

    Raises:
        EdgesDiffer: The two do not share their bin edges.
        EmptyHistogram: Either side holds no value.
    """
    comparable(expected, observed)
    e = smoothed(expected.counts)
    o = (observed.counts + PRIOR * e) / (observed.total[..., None] + PRIOR)
    return e, o


def sum_of(histogram: Histogram) -> Any:
    """Return the sum of all values, shape (...); 0 where no sums are kept."""
    return np.zeros(()) if histogram.sums is None else histogram.sums.sum(axis=-1)


def means_of(histogram: Histogram) -> NDArray[np.float64]:
    """Return the mean of each bin's values, shape (..., bins); of an empty bin, which weighs nothing, 0."""
    means = np.zeros(histogram.counts.shape)
    if histogram.sums is not None:
        np.divide(histogram.sums, histogram.counts, out=means, where=histogram.counts > 0)
    return means


def stddev_of(histogram: Histogram) -> Any:
    """Return the standard deviation between the means of the bins, shape (...).

    What is left out, the spread inside the fine bins, is little: see ``variance_ratio``.
    """
    shares = histogram.counts / histogram.total[..., None]
    means = means_of(histogram) / 2  # so that neither the distance of two huge ones nor its square overflows
    away = np.where(shares > 0, means - np.sum(shares * means, axis=-1, keepdims=True), 0.0)
    furthest = np.abs(away).max(axis=-1, keepdims=True)
    scaled = away / np.where(furthest > 0, furthest, 1.0)
    return 2 * (furthest[..., 0] * np.sqrt(np.sum(shares * scaled**2, axis=-1)))


def in_stddevs(distance: Any, expected: Histogram) -> Any:
    """Return *distance* in standard deviations of the baseline, as it is where that is constant."""
    stddev = np.asarray(0.0 if expected.stddev is None else expected.stddev)
    return distance / np.where(stddev > 0, stddev, 1.0)
