"""The Hellinger distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.statistics.shares import proportions

if TYPE_CHECKING:
    from driftline.histogram import Histogram


def hellinger(expected: Histogram, observed: Histogram) -> Any:
    """Return the Hellinger distance between *observed* and *expected*.

    ``sqrt(sum (sqrt(o) - sqrt(e)) ** 2 / 2)``, shares smoothed as for :func:`psi`.

    Args:
        expected: Counts of the baseline, shape (..., bins).
        observed: Counts of the window, on the same edges.

    Returns:
        A distance from 0, equal shares, to 1, no bin in common.

    Raises:
        EdgesDiffer: The two histograms do not share their bin edges.
        EmptyHistogram: Either side holds no value.

    Note:
        For small shifts its square is about PSI / 8; by chance alone it is therefore about
        ``sqrt((bins - 1) * (1 / n + 1 / m) / 8)``.

    Example:
        >>> from driftline.histogram import Histogram
        >>> edges = np.array([-np.inf, 0.0, 1.0, np.inf])
        >>> baseline = Histogram(edges, np.array([100, 800, 100]))
        >>> window = Histogram(edges, np.array([200, 700, 100]))
        >>> print(f"{hellinger(baseline, window):.3f}")
        0.100

    References:
        L. Le Cam, G. L. Yang, Asymptotics in Statistics, 2nd ed., section 3.2, 2000.
    """
    e, o = proportions(expected, observed)
    return np.sqrt(np.sum((np.sqrt(o) - np.sqrt(e)) ** 2, axis=-1) / 2)
