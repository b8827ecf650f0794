"""How sure a classifier is of its answers, told by its scores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftline.columns import numbers
from driftline.names import COLUMN_SCORE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from driftline.columns import Column

ROUNDING = 1e-6
"""How far a share of float32 may lie beyond 1."""


def confidence(outputs: Mapping[str, Column]) -> NDArray[np.float64]:
    """Return the confidence of each row that tells one, from the scores among its *outputs*.

    Of one score, that of one class, it is the larger of the score and what is left to 1; of a score a class
    the largest. A score that is no share of 1, such as a margin, tells none.

    >>> confidence({"@score": np.array([0.9, 0.3, np.nan, 7.0])})
    array([0.9, 0.7])
    """
    several = f"{COLUMN_SCORE}."
    columns = [column for name, column in outputs.items() if name.startswith(several)]
    if COLUMN_SCORE in outputs:
        columns = [outputs[COLUMN_SCORE]]
    if not columns:
        return np.empty(0)
    scores = np.full((len(columns), len(columns[0])), np.nan)
    for column, row in zip(columns, scores, strict=True):
        found = numbers(column)
        row[... if found.rows is None else found.rows] = found.values
    if len(columns) == 1:
        scores = np.concatenate((scores, 1 - scores))
    least, largest = np.fmin.reduce(scores), np.fmax.reduce(scores)
    told: NDArray[np.float64] = largest[(least >= -ROUNDING) & (largest <= 1 + ROUNDING)].clip(0.0, 1.0)
    return told
