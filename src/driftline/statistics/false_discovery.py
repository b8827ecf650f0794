"""How many of the features that look moved are moved by chance alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def adjusted(p_values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the p values of many features, adjusted for there being many: Benjamini and Hochberg's.

    ``q_(i) = min over j >= i of n p_(j) / j`` over the n values by rising size. Among the features with a q
    of at most 0.05, one in twenty moved by chance; among a hundred with a raw p of at most 0.05 it may be
    all five that there are.

    Args:
        p_values: Of all features of a model, shape (features,), in any order.

    Returns:
        Adjusted values, in the same order; none is below its p, none above 1.

    Note:
        For looking at a table of features. The alerts ask one in a million of every single look.

    Example:
        >>> print(adjusted(np.array([0.5, 0.01, 0.02])))
        [0.5  0.03 0.03]

    References:
        Y. Benjamini, Y. Hochberg, Controlling the false discovery rate, 1995.
    """
    order = np.argsort(p_values)[::-1]
    ranks = np.arange(len(p_values), 0, -1)
    found = np.empty(len(p_values))
    found[order] = np.minimum.accumulate(np.minimum(p_values[order] * (len(p_values) / ranks), 1.0))
    return found
