"""How much more the panes of a window differ from each other than chance explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_PANES = 8
"""Under eight panes the estimate is too loose to lean on: the F quantile it is used with explodes."""


def overdispersion(panes: NDArray[Any]) -> Any:
    """Return phi: the heterogeneity chi-square between panes over its degrees of freedom, at least 1.

    Rows that come in clusters (twenty rows of one customer) carry less than their number says, and
    every test that takes them for independent finds drift where there is none. The same clusters make
    the panes of a window differ, and by how much is measured without any row: under independence
    ``phi`` is 1 on average; with clusters of k equal rows it is about k.

    Args:
        panes: Counts of closed panes, shape (panes, ..., bins). Panes and bins without a value say
            nothing and are left out.

    Returns:
        Factors from 1 without upper bound, shape (...); NaN under eight panes that hold values.

    Example:
        >>> print(overdispersion(np.array([[50, 50]] * 8)))
        1.0
        >>> print(overdispersion(np.array([[90, 10], [10, 90]] * 4)) > 60)
        True

    References:
        J. N. K. Rao, A. J. Scott, On chi-squared tests for multiway contingency tables with cell
        proportions estimated from survey data, 1984.
    """
    rows = panes.sum(axis=-1, dtype=np.float64)
    bins = panes.sum(axis=0, dtype=np.float64)
    known = np.count_nonzero(rows, axis=0)
    shares = bins / np.maximum(bins.sum(axis=-1, keepdims=True), 1.0)
    expected = rows[..., None] * shares
    chi_square = np.sum((panes - expected) ** 2 / np.where(expected > 0, expected, 1.0), axis=(0, -1))
    freedom = (known - 1) * (np.count_nonzero(bins, axis=-1) - 1)
    return np.where(known < MIN_PANES, np.nan, np.maximum(1.0, chi_square / np.maximum(freedom, 1)))
