"""Segments: the rows of a model that share a declared attribute, counted beside the whole in coarse bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from driftline.columns import Coded, categories
from driftline.names import COLUMN_SEGMENT, FAULTS, MISSING, OTHER, OUT_OF_RANGE

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from driftline.baseline import FeatureBaseline
    from driftline.columns import Column

_KINDS = len(FAULTS)


class Segments:
    """The segments that are declared of a model; each row is in one of every attribute's.

    Attributes:
        attributes: The declared attributes, such as ``country``.
        labels: Of all segments, such as ``country=de``; ``country=other`` is last of its attribute.
    """

    def __init__(self, declared: Mapping[str, Sequence[str]]) -> None:
        self.attributes = tuple(declared)
        self.labels = tuple(f"{name}={value}" for name in declared for value in (*declared[name], OTHER))
        self._numbers = {label: number for number, label in enumerate(self.labels)}

    def of(self, columns: Mapping[str, Column], rows: int, said: str | None) -> NDArray[np.intp]:
        """Return the segment of each row, shape (attributes, rows).

        An attribute is told by the column of its name, else by ``@segment``, else by what is *said* of the
        whole batch, in both as ``country=de``.
        """
        marked = columns.get(COLUMN_SEGMENT)
        if marked is None and said is not None:
            marked = Coded(np.zeros(rows, np.intp), (said,))
        found = np.empty((len(self.attributes), rows), np.intp)
        for name, segments in zip(self.attributes, found, strict=True):
            beginning = f"{name}="
            segments[:] = self._numbers[beginning + OTHER]
            if name in columns:
                read = categories(columns[name])
                texts = [beginning + text for text in read.texts]
            elif marked is not None:
                read = categories(marked)
                texts = [text if text.startswith(beginning) else "" for text in read.texts]
            else:
                continue
            known = [self._numbers.get(text, self._numbers[beginning + OTHER]) for text in texts]
            segments[... if read.rows is None else read.rows] = np.array(known, np.intp)[read.codes]
        return found

    def occurs(self, segments: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return how many rows are in each segment."""
        return np.bincount(segments.ravel(), minlength=len(self.labels))


@dataclass(slots=True)
class SegmentCounts:
    """What was counted of every segment.

    Attributes:
        values: Shape (segments, coarse bins), of all features one after another.
        faults: Shape (segments, features, kinds of fault).
    """

    values: NDArray[np.int64]
    faults: NDArray[np.int64]

    def add(self, other: SegmentCounts) -> None:
        """Add *other*, of the same segments and baseline."""
        self.values += other.values
        self.faults += other.faults

    def clear(self) -> None:
        """Forget everything."""
        self.values[:] = 0
        self.faults[:] = 0


class SegmentLayout:
    """Where the features of a baseline lie in :class:`SegmentCounts`, in at most five bins each.

    Args:
        features: What is counted.
        segments: Of the model.
    """

    def __init__(self, features: Collection[FeatureBaseline], segments: Segments) -> None:
        self.features = tuple(features)
        self.bins = tuple(feature.layout.coarse() for feature in self.features)
        self._segments = segments
        self._cuts = tuple(bins.cuts for bins in self.bins)
        self._starts = np.cumsum([0, *(len(bins.labels) for bins in self.bins)])

    def empty(self) -> SegmentCounts:
        """Return counts of nothing."""
        return SegmentCounts(
            np.zeros((len(self._segments.labels), self._starts[-1]), np.int64),
            np.zeros((len(self._segments.labels), len(self.features), _KINDS), np.int64),
        )

    def count(
        self,
        inputs: Mapping[str, Column],
        outputs: Mapping[str, Column],
        segments: NDArray[np.intp],
        answered: NDArray[np.bool_],
    ) -> SegmentCounts:
        """Count columns by segment, as ``Layout.count`` counts them as a whole.

        Args:
            inputs: Those of all rows.
            outputs: Those of the rows that were *answered*.
            segments: Of each row, shape (attributes, rows).
            answered: Whether the call of each row did not fail.
        """
        counts = self.empty()
        if not self._segments.attributes:
            return counts
        of_answered = segments[:, answered]
        for number, feature in enumerate(self.features):
            is_output = feature.name.startswith("@")
            column = (outputs if is_output else inputs).get(feature.name)
            if column is not None:
                self._add(counts, number, column, of_answered if is_output else segments)
            elif not is_output:
                counts.faults[:, number, FAULTS.index(MISSING)] += self._segments.occurs(segments)
        return counts

    def _add(self, counts: SegmentCounts, number: int, column: Column, segments: NDArray[np.intp]) -> None:
        places, outside = self.features[number].place(column, self._cuts[number])
        bins = len(self.bins[number].labels)
        width, size = _KINDS + bins, len(self._segments.labels)
        flat = (segments * width + places + _KINDS).ravel()
        occurs = np.bincount(flat, minlength=size * width).reshape(size, width)
        start = self._starts[number]
        counts.values[:, start : start + bins] += occurs[:, _KINDS:]
        counts.faults[:, number] += occurs[:, _KINDS - 1 :: -1]  # a fault without a bin is told from -1 down
        counts.faults[:, number, FAULTS.index(OUT_OF_RANGE)] += self._segments.occurs(segments[:, outside])
