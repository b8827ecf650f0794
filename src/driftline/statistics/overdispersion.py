"""How much more the panes of a window differ from each other than chance explains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_PANES = 8
"""Under eight panes the estimate is too loose to lean on: the F quantile it is used with explodes."""


def overdispersion(panes: NDArray[Any]) -> float | None:
    """Return phi: the heterogeneity chi-square between panes over its degrees of freedom, at least 1.

    Rows that come in clusters (twenty rows of one customer) carry less than their number says, and
    every test that takes them for independent finds drift where there is none. The same clusters make
    the panes of a window differ, and by how much is measured without any row: under independence
    ``phi`` is 1 on average; with clusters of k equal rows it is about k.

    Args:
        panes: Counts of closed panes, shape (panes, bins). Panes and bins without a value say nothing
            and are left out.

    Returns:
        A factor from 1 without upper bound; None under eight panes that hold values, or one bin.

    Example:
        >>> overdispersion(np.array([[50, 50]] * 8))
        1.0
        >>> overdispersion(np.array([[90, 10], [10, 90]] * 4)) > 60
        True

    References:
        J. N. K. Rao, A. J. Scott, On chi-squared tests for multiway contingency tables with cell
        proportions estimated from survey data, 1984.
    """
    panes = panes[panes.sum(axis=1) > 0]
    panes = panes[:, panes.sum(axis=0) > 0]
    rows, bins = panes.shape
    if rows < MIN_PANES:
        return None
    if bins < 2:
        return 1.0
    totals = panes.sum(axis=1, keepdims=True, dtype=np.float64)
    expected = totals * (panes.sum(axis=0, dtype=np.float64) / totals.sum())
    chi_square = float(np.sum((panes - expected) ** 2 / expected))
    return max(1.0, chi_square / float((rows - 1) * (bins - 1)))
