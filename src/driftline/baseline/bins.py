"""Where values are counted, and how that is folded: edges, categories, fold bins and their labels."""

from __future__ import annotations

import hashlib
import json
import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftline import histogram, names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

FINE_BINS = 128
FOLD_BINS = 10
KEPT_CATEGORIES = 64
NAMED_CATEGORIES = 11
NAMED_ROWS = 20
"""Rows that a category needs before it is named in a series; fewer could be one person's."""
COARSE_BINS = 5
"""Of a feature in one segment; fifty segments of ten bins would be as many series as fifty models."""
LEAST_SHARE, LARGEST_SHARE = 0.05, 0.2
"""A fold bin of less tells more about chance than about drift; one of more hides what moves inside it."""
TRUTHS = ("false", "true")


class Bins(NamedTuple):
    """Where values are counted, and how that is folded.

    Attributes:
        edges: Shape (fine + 1,), strictly increasing from -inf to inf; empty for categories.
        categories: The kept categories; empty for numbers.
        fold: Shape (fine,), the fold bin of each fine one, rising.
        labels: The label of each fold bin.
    """

    edges: NDArray[np.float64]
    categories: tuple[str, ...]
    fold: NDArray[np.intp]
    labels: tuple[str, ...]

    def folded(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add up *counts* per fine bin into those per fold bin."""
        return histogram.fold(counts, self.fold, len(self.labels))

    def coarse(self) -> Bins:
        """Return these bins with neighbours of the fold joined until there are at most five.

        By their number alone, not by what they hold: a retrain on inherited bins leaves them as they are.
        """
        bins = len(self.labels)
        if bins <= COARSE_BINS:
            return self
        if len(self.edges):
            fold, labels = self.fold * COARSE_BINS // bins, self.labels[:COARSE_BINS]
        else:  # the commonest keep their names
            fold, labels = (
                np.minimum(self.fold, COARSE_BINS - 1),
                (*self.labels[: COARSE_BINS - 1], names.OTHER),
            )
        return self._replace(fold=fold, labels=labels)

    @property
    def cuts(self) -> NDArray[Any]:
        """What tells the fold bin of a value: the edges between them, or that of each category."""
        return self.edges[1:-1][np.diff(self.fold) > 0] if len(self.edges) else self.fold

    def binning(self, kind: str) -> str:
        """Return 12 hex digits that are equal for equal folds of one kind."""
        content: dict[str, Any] = {"kind": kind, "bins": list(self.labels)}
        if len(self.edges):
            content["edges"] = self.cuts.tolist()
        else:
            content["members"] = [list(members) for members in self.members()]
        return digest(content)[:12]

    def spans(self) -> tuple[str, ...]:
        """Return which values each fold bin holds, as a person reads it: a category's name, or its two ends."""
        if not len(self.edges):
            return self.labels
        ends = self.edges[1:-1][np.diff(self.fold) > 0].tolist()
        if not ends:
            return ("all",)
        digits = next(d for d in range(4, 18) if len({_written(end, d) for end in ends}) == len(ends))
        texts = [_written(end, digits) for end in ends]
        return (
            f"to {texts[0]}",
            *(f"{low} to {high}" for low, high in pairwise(texts)),
            f"above {texts[-1]}",
        )

    def members(self) -> list[tuple[str, ...]]:
        """Return the categories in each fold bin."""
        starts = np.searchsorted(self.fold, np.arange(len(self.labels) + 1)).tolist()
        return [self.categories[start:end] for start, end in pairwise(starts)]


def _written(end: float, digits: int) -> str:
    return f"{end:.0f}" if end.is_integer() and abs(end) < 1e15 else f"{end:.{digits}g}"


BOOLEAN = Bins(np.empty(0), TRUTHS, np.arange(2), TRUTHS)


def of_numbers(values: NDArray[np.float64]) -> Bins:
    """Return bins for *values*, of which there is at least one."""
    edges = fine_edges(*np.unique(values, return_counts=True))
    fold = fold_of(histogram.count(values, edges)[0])
    return Bins(edges, (), fold, tuple(f"{number:02d}" for number in range(fold[-1] + 1)))


def of_categories(occurs: Mapping[str, int]) -> Bins:
    """Return bins for categories, given how many rows each has; at least one has some."""
    ranked = sorted((-rows, text) for text, rows in occurs.items() if rows)[:KEPT_CATEGORIES]
    named = [label(text) for rows, text in ranked[:NAMED_CATEGORIES] if -rows >= NAMED_ROWS]
    labels = [*named, names.OTHER] if len(named) < len(ranked) else named
    fold = np.minimum(np.arange(len(ranked)), len(labels) - 1)
    return Bins(np.empty(0), tuple(text for _, text in ranked), fold, tuple(labels))


def label(category: str) -> str:
    """Return a category as the label of a bin, told apart from ``other`` and from numbered bins.

    >>> [label(category) for category in ("de", "other", "07", "=")]
    ['de', '=other', '=07', '==']
    """
    reserved = category == names.OTHER or category.startswith("=") or re.fullmatch("[0-9]{2}", category)
    return f"={category}" if reserved else category


def fine_edges(distinct: NDArray[np.float64], occurs: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return edges around every value where they are few, else at 128 quantiles and around atoms.

    An atom is a value of at least 1/128 of the rows.
    """
    after = np.arange(1, len(distinct))
    if len(distinct) > FINE_BINS:
        total = occurs.cumsum()
        # whole numbers throughout: a share of the rows would round
        quantiles = np.searchsorted(total * FINE_BINS, np.arange(1, FINE_BINS) * total[-1]) + 1
        atoms = np.flatnonzero(occurs * FINE_BINS >= total[-1])
        after = np.unique(np.concatenate((quantiles, atoms, atoms + 1)))
        after = after[(after > 0) & (after < len(distinct))]
    return np.concatenate(([-np.inf], midway(distinct[after - 1], distinct[after]), [np.inf]))


def midway(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return edges midway between neighbouring values, so that float32 and float64 of one share a bin.

    Halved before they are added, so that nothing overflows; where no number lies between two, the lower
    is the edge, which its own bin holds.
    """
    middle = low / 2 + high / 2
    return np.where((middle >= low) & (middle < high), middle, low)


def fold_of(counts: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the fold bin of each fine bin, at most ten.

    A fine bin of a tenth of the values stands alone. The runs between are cut into pieces of nearly
    equal share, the largest first, while none falls below a twentieth.
    """
    total = int(counts.sum())
    alone = counts * FOLD_BINS >= total
    runs = np.split(np.arange(len(counts)), np.flatnonzero(alone[1:] | alone[:-1]) + 1)
    shares = [int(counts[run].sum()) / total for run in runs]
    pieces = [1] * len(runs)

    def can_be_cut(number: int) -> bool:
        more = pieces[number] + 1
        return more <= len(runs[number]) and shares[number] >= LEAST_SHARE * more

    while sum(pieces) < FOLD_BINS and (open_ := [n for n in range(len(runs)) if can_be_cut(n)]):
        pieces[max(open_, key=lambda n: shares[n] / pieces[n])] += 1
    starts = [
        start for run, number in zip(runs, pieces, strict=True) for start in _cut(run, counts[run], number)
    ]
    while len(starts) > FOLD_BINS:  # atoms with a little between them: the least joins its lesser neighbour
        held = np.add.reduceat(counts, starts)
        least = int(held.argmin())
        right = least + 1 < len(held) and (least == 0 or held[least + 1] < held[least - 1])
        del starts[least + right]
    fold = np.zeros(len(counts), np.intp)
    fold[starts[1:]] = 1
    return fold.cumsum()


def _cut(run: NDArray[np.intp], counts: NDArray[np.int64], pieces: int) -> list[int]:
    """Return where each of so many *pieces* of a run of fine bins starts, each of at least one bin."""
    total = counts.cumsum()
    starts = [0]
    for piece in range(1, pieces):
        first, end = starts[-1] + 1, len(run) - (pieces - piece) + 1
        distance = np.abs(total[first - 1 : end - 1] * pieces - total[-1] * piece)
        starts.append(first + int(distance.argmin()))
    return [int(run[start]) for start in starts]


def digest(content: Any) -> str:
    """Return the SHA-256 of *content* in canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
