"""The L-infinity distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.statistics.shares import proportions

if TYPE_CHECKING:
    from driftline.histogram import Histogram


def l_infinity(expected: Histogram, observed: Histogram) -> Any:
    """Return the largest change of any one bin's share.

    ``max |o - e|``, shares smoothed as for :func:`psi`.

    Args:
        expected: Counts of the baseline, shape (..., bins).
        observed: Counts of the window, on the same edges.

    Returns:
        A distance from 0, equal shares, to 1.

    Raises:
        EdgesDiffer: The two histograms do not share their bin edges.
        EmptyHistogram: Either side holds no value.

    Note:
        Meant for categories, where one that comes or goes is the question. By chance alone it is about
        two standard deviations of the commonest bin, ``2 sqrt(e (1 - e) (1 / n + 1 / N))``.

    Example:
        >>> from driftline.histogram import Histogram
        >>> edges = np.array([-np.inf, 0.0, 1.0, np.inf])
        >>> baseline = Histogram(edges, np.array([100, 800, 100]))
        >>> window = Histogram(edges, np.array([200, 700, 100]))
        >>> print(f"{l_infinity(baseline, window):.3f}")
        0.099

    References:
        A. L. Gibbs, F. E. Su, On choosing and bounding probability metrics, 2002.
    """
    e, o = proportions(expected, observed)
    return np.abs(o - e).max(axis=-1)
