"""Pearson's two-sample chi-square, and how surprising it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.statistics.shares import comparable

if TYPE_CHECKING:
    from driftline.histogram import Histogram


def chi_square(expected: Histogram, observed: Histogram) -> Any:
    """Return Pearson's chi-square statistic of the two counts as a contingency table.

    ``sum (c sqrt(n / N) - n_b sqrt(N / n)) ** 2 / (n_b + c)`` over the bins that hold a value on either
    side, on raw counts: n_b of n values in the baseline, c of N in the window.

    Args:
        expected: Counts of the baseline, shape (..., bins).
        observed: Counts of the window, on the same edges.

    Returns:
        A statistic from 0, equal shares, to n + N.

    Raises:
        EdgesDiffer: The two histograms do not share their bin edges.
        EmptyHistogram: Either side holds no value.

    Note:
        Without drift and with independent rows it is distributed as chi-square with bins - 1 degrees of
        freedom. It grows with the number of rows, so it says how sure a shift is, never how large.
        :func:`p_value` allows for rows that are not independent.

    Example:
        >>> from driftline.histogram import Histogram
        >>> edges = np.array([-np.inf, 0.0, 1.0, np.inf])
        >>> baseline = Histogram(edges, np.array([100, 800, 100]))
        >>> window = Histogram(edges, np.array([200, 700, 100]))
        >>> print(f"{chi_square(baseline, window):.3f}")
        40.000

    References:
        W. H. Press et al., Numerical Recipes, 3rd ed., section 14.3.1, 2007.
    """
    comparable(expected, observed)
    n, c = expected.counts, observed.counts
    ratio = np.sqrt(expected.total / observed.total)[..., None]
    return np.sum((c * ratio - n / ratio) ** 2 / np.maximum(n + c, 1), axis=-1)


def chance(bins: Any, probability: float = 1e-6) -> Any:
    """Return what :func:`chi_square` of *bins* bins exceeds by chance with *probability*, rows independent.

    One in a million, because every feature is looked at every hour: at one in a thousand a model of 100
    features raises 47 false alarms a month.

    >>> print(f"{chance(10):.2f}")
    44.81
    """
    from scipy.special import chdtri

    return chdtri(np.asarray(bins) - 1, probability)


def p_value(statistic: Any, bins: Any, overdispersion: Any, panes: Any) -> Any:
    """Return how often chance alone exceeds a chi-square *statistic*, rows in clusters allowed for.

    The statistic over phi is compared with ``(B - 1) F(B - 1, (K - 1)(B - 1))``: phi is itself an
    estimate, from K panes, and the F distribution has the tail that this uncertainty makes.

    Args:
        statistic: What :func:`chi_square` returned.
        bins: Bins B that hold a value on either side, at least 2.
        overdispersion: phi, at least 1.
        panes: Closed panes K that phi was measured on, at least 2.

    Returns:
        A probability.

    Example:
        >>> print(f"{p_value(40.0, 3, 1.0, 12):.2g}, {p_value(40.0, 3, 20.0, 12):.2g}")
        1.1e-05, 0.38

    References:
        J. N. K. Rao, A. J. Scott, On simple adjustments to chi-square tests with sample survey data, 1987.
    """
    from scipy.special import fdtrc  # loaded by whom p is asked for, and by nobody who only counts

    freedom = np.asarray(bins) - 1
    return fdtrc(freedom, (panes - 1) * freedom, statistic / overdispersion / freedom)
