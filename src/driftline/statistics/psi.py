"""The population stability index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.statistics.shares import proportions

if TYPE_CHECKING:
    from driftline.histogram import Histogram


def psi(expected: Histogram, observed: Histogram) -> Any:
    """Return the population stability index of *observed* against *expected*.

    The sum over bins of ``(o - e) * ln(o / e)``, where ``e`` and ``o`` are the shares of a bin,
    ``e`` smoothed by half a value and ``o`` by ten values spread like the baseline.

    Args:
        expected: Counts of the baseline, shape (..., bins).
        observed: Counts of the window, on the same edges.

    Returns:
        A score in nats from 0, equal shares, without upper bound. By rule of thumb 0.1 is a
        moderate shift and 0.25 a large one [1].

    Raises:
        EdgesDiffer: The two histograms do not share their bin edges.
        EmptyHistogram: Either side holds no value.

    Note:
        Without drift the score of *n* values against *m* averages about
        ``(bins - 1) * (1 / n + 1 / m)`` [1]: a window of 100 values in 10 bins scores 0.09 by
        chance alone.

    Example:
        >>> from driftline.histogram import Histogram
        >>> edges = np.array([-np.inf, 0.0, 1.0, np.inf])
        >>> baseline = Histogram(edges, np.array([100, 800, 100]))
        >>> window = Histogram(edges, np.array([200, 700, 100]))
        >>> print(f"{psi(baseline, window):.3f}")
        0.080

    References:
        [1] B. Yurdakul, Statistical Properties of Population Stability Index, 2018.
    """
    e, o = proportions(expected, observed)
    return np.sum((o - e) * np.log(o / e), axis=-1)
