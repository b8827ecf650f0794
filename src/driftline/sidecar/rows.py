"""The rows of one batch, as they are counted: inputs, outputs of those that were answered, failures, segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftline import names
from driftline.columns import categories, numbers, take

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from driftline.columns import Column
    from driftline.sidecar.segments import Segments
    from driftline.wire import Batch

LONGEST_CALL = 86_400.0
"""Seconds; a latency beyond a day is no latency, and would own the sum."""


class Rows(NamedTuple):
    """The rows of a batch.

    Attributes:
        number: How many there are.
        columns: All of them by name, each of so many values.
        inputs: Those that are features.
        outputs: Those that the model returned, of the rows that were answered: a failed call has no output
            that would be missing.
        answered: Shape (rows,), whether the call succeeded.
        errors: Rows of failed calls by type of error.
        segments: Shape (attributes, rows), the segment of each.
        counts: What the service counted itself, where it sent that instead of columns.
    """

    number: int
    columns: Mapping[str, Column]
    inputs: Mapping[str, Column]
    outputs: Mapping[str, Column]
    answered: NDArray[np.bool_]
    errors: Mapping[str, int]
    segments: NDArray[np.intp]
    counts: Mapping[str, NDArray[Any]] | None

    @classmethod
    def of(cls, batch: Batch, columns: Mapping[str, Column], number: int, segments: Segments) -> Rows:
        """Return the *number* rows of *batch* that are left in *columns*."""
        failed, errors = _failures(columns.get(names.COLUMN_ERROR))
        answered = np.ones(number, bool)
        answered[failed] = False
        outputs = {name: column for name, column in columns.items() if name.startswith(names.OUTPUTS)}
        if len(failed):
            outputs = {name: take(column, answered) for name, column in outputs.items()}
        return cls(
            number=number,
            columns=columns,
            inputs={name: column for name, column in columns.items() if not name.startswith("@")},
            outputs=outputs,
            answered=answered,
            errors=errors,
            segments=segments.of(columns, number, batch.segment),
            counts=batch.counts,
        )

    @property
    def latencies(self) -> NDArray[np.floating[Any]]:
        """The durations of calls, in seconds."""
        column = self.columns.get(names.COLUMN_LATENCY)
        values = np.empty(0) if column is None else numbers(column).values
        return values[(values >= 0) & (values < LONGEST_CALL)]


def _failures(column: Column | None) -> tuple[NDArray[np.intp], dict[str, int]]:
    """Return the rows of failed calls, and how many there are of each type of error."""
    if column is None:
        return np.empty(0, np.intp), {}
    found = categories(column)
    rows = np.arange(len(found.codes)) if found.rows is None else found.rows
    occurs = np.bincount(found.codes, minlength=len(found.texts)).tolist()
    kinds = {text: count for text, count in zip(found.texts, occurs, strict=True) if text and count}
    empty = found.texts.index("") if "" in found.texts else -1
    return rows[found.codes != empty], kinds
