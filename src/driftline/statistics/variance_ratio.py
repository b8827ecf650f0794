"""The variance against the baseline's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.statistics.shares import comparable, stddev_of

if TYPE_CHECKING:
    from driftline.histogram import Histogram


def variance_ratio(expected: Histogram, observed: Histogram) -> Any:
    """Return the variance of the window over that of the baseline.

    ``var_o / var_e``, both of values cut to the baseline's range, and both between the means of the bins.

    Args:
        expected: Counts and sums of the baseline, shape (..., bins).
        observed: Counts and sums of the window, on the same edges.

    Returns:
        A ratio from 0, 1 where nothing has moved; NaN, which is no score, where the baseline is constant.

    Raises:
        EdgesDiffer: The two histograms do not share their bin edges.
        EmptyHistogram: Either side holds no value.

    Note:
        A sensor that sticks goes towards 0, one that becomes noisy above 1. What is left out, the variance
        inside the fine bins, is left out on both sides: the ratio is off by 0.1 % at the median for normal
        values and by 0.9 % for lognormal ones with zeros among them. Values beyond the range
        are cut, so a spread of three times is a ratio of 5, not of 9. By chance alone the ratio of normal
        values is about ``1 +- sqrt(2 / n + 2 / N)``.

    Example:
        >>> from driftline.histogram import Histogram
        >>> edges = np.array([-np.inf, 1.0, 2.0, np.inf])
        >>> baseline = Histogram(edges, np.array([10, 10, 10]), np.array([0.0, 15.0, 30.0]))
        >>> window = Histogram(edges, np.array([5, 20, 5]), np.array([0.0, 30.0, 15.0]))
        >>> print(f"{variance_ratio(baseline, window):.2f}")
        0.50

    References:
        G. W. Snedecor, W. G. Cochran, Statistical Methods, 8th ed., section 6.12, 1989.
    """
    comparable(expected, observed)
    before = stddev_of(expected)
    return np.where(before > 0, stddev_of(observed) / np.where(before > 0, before, 1.0), np.nan) ** 2
