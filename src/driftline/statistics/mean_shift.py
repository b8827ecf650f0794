"""The shift of the mean, in standard deviations of the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftline.statistics.shares import comparable, in_stddevs, sum_of

if TYPE_CHECKING:
    from driftline.histogram import Histogram


def mean_shift(expected: Histogram, observed: Histogram) -> Any:
    """Return by how many standard deviations of the baseline the mean has moved.

    ``(mean_o - mean_e) / sd_e``, of values cut to the baseline's range.

    Args:
        expected: Counts and sums of the baseline, shape (..., bins), with its ``stddev``.
        observed: Counts and sums of the window, on the same edges.

    Returns:
        A shift, negative where the values fell; 0 for a constant baseline whose window has not moved.

    Raises:
        EdgesDiffer: The two histograms do not share their bin edges.
        EmptyHistogram: Either side holds no value.

    Note:
        The one statistic with a sign: it says which way. By chance alone it is about
        ``sqrt(1 / n + 1 / N)``.

    Example:
        >>> import numpy as np
        >>> from driftline.histogram import Histogram
        >>> edges = np.array([-np.inf, 1.0, np.inf])
        >>> baseline = Histogram(edges, np.array([10, 10]), np.array([0.0, 20.0]), stddev=1.0)
        >>> window = Histogram(edges, np.array([5, 5]), np.array([2.5, 12.5]))
        >>> print(mean_shift(baseline, window))
        0.5

    References:
        J. Cohen, Statistical Power Analysis for the Behavioral Sciences, 2nd ed., section 2.2, 1988.
    """
    comparable(expected, observed)
    shift = sum_of(observed) / observed.total - sum_of(expected) / expected.total
    return in_stddevs(shift, expected)
