"""The total variation distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.statistics.shares import proportions

if TYPE_CHECKING:
    from driftline.histogram import Histogram


def total_variation(expected: Histogram, observed: Histogram) -> Any:
    """Return the share of values that would have to change their bin.

    ``sum |o - e| / 2``, shares smoothed as for :func:`psi`.

    Args:
        expected: Counts of the baseline, shape (..., bins).
        observed: Counts of the window, on the same edges.

    Returns:
        A distance from 0, equal shares, to 1, no bin in common.

    Raises:
        EdgesDiffer: The two histograms do not share their bin edges.
        EmptyHistogram: Either side holds no value.

    Note:
        By chance alone it is about ``sum sqrt(e (1 - e) (1 / n + 1 / N)) * 0.4``.

    Example:
        >>> from driftline.histogram import Histogram
        >>> edges = np.array([-np.inf, 0.0, 1.0, np.inf])
        >>> baseline = Histogram(edges, np.array([100, 800, 100]))
        >>> window = Histogram(edges, np.array([200, 700, 100]))
        >>> print(f"{total_variation(baseline, window):.3f}")
        0.099

    References:
        D. A. Levin, Y. Peres, Markov Chains and Mixing Times, 2nd ed., section 4.1, 2017.
    """
    e, o = proportions(expected, observed)
    return np.abs(o - e).sum(axis=-1) / 2
