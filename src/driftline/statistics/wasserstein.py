"""The Wasserstein distance, in standard deviations of the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.statistics.shares import comparable, in_stddevs, means_of

if TYPE_CHECKING:
    from driftline.histogram import Histogram


def wasserstein(expected: Histogram, observed: Histogram) -> Any:
    """Return how far the values have moved on average, in standard deviations of the baseline.

    The first Wasserstein distance, ``integral |F_o - F_e|``, between the two sides' bin means: each bin's
    share lies where its values are on average, on either side for itself. Values were cut to the
    baseline's range before they were summed, so that one bad value does not own the score.

    Args:
        expected: Counts and sums of the baseline, shape (..., bins), with its ``stddev``.
        observed: Counts and sums of the window, on the same edges.

    Returns:
        A distance from 0, without upper bound; 0 where the baseline is constant and so is the window.

    Raises:
        EdgesDiffer: The two histograms do not share their bin edges.
        EmptyHistogram: Either side holds no value.

    Note:
        From 128 quantile bins the error was at most .006 standard deviations over 18 distributions; without
        the sums, interpolated tails were wrong by up to 6. By chance alone it is about
        ``0.8 sqrt(1 / n + 1 / N)`` for a normal feature.

    Example:
        >>> from driftline.histogram import Histogram
        >>> edges = np.array([-np.inf, 1.0, np.inf])
        >>> baseline = Histogram(edges, np.array([10, 10]), np.array([0.0, 20.0]), stddev=1.0)
        >>> window = Histogram(edges, np.array([5, 5]), np.array([2.5, 12.5]))
        >>> print(wasserstein(baseline, window))
        0.5

    References:
        C. Villani, Optimal Transport, Old and New, chapter 6, 2009.
    """
    comparable(expected, observed)
    places = np.concatenate((means_of(expected), means_of(observed)), axis=-1)
    gains = observed.counts / observed.total[..., None]
    shares = np.concatenate((-expected.counts / expected.total[..., None], gains), axis=-1)
    order = np.argsort(places, axis=-1, kind="stable")
    gaps = np.cumsum(np.take_along_axis(shares, order, axis=-1), axis=-1)[..., :-1]
    steps = np.diff(np.take_along_axis(places, order, axis=-1), axis=-1)
    return in_stddevs(np.sum(np.abs(gaps) * steps, axis=-1), expected)
