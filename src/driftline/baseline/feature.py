"""One feature of a baseline, and counting what is served on its bins."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from driftline import histogram, names
from driftline.baseline.bins import LARGEST_SHARE, LEAST_SHARE, Bins, fold_of
from driftline.columns import Coded, Numbers, categories, clip, is_missing, missing_rows, numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from driftline.baseline.attribution import ScoreSums
    from driftline.columns import Column

Kind: TypeAlias = Literal["numeric", "categorical", "boolean", "text_length"]

MANY_UNSEEN = 0.05
_NO_BIN = {fault: -1 - number for number, fault in enumerate(names.FAULTS)}


@dataclass(frozen=True, slots=True)
class Counts:
    """What a column held.

    Attributes:
        values: Shape (fine,), how many values fell into each fine bin or kept category.
        sums: Shape (fine,), the sum of those values, each cut to the baseline's range; zeros for categories.
        faults: Shape (4,), in the order of ``names.FAULTS``.
    """

    values: NDArray[np.int64]
    sums: NDArray[np.float64]
    faults: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureBaseline:
    """One feature, or one output, of the training data.

    *Fine* bins are what is counted: for numbers the intervals between ``edges``, for categories one
    each. The *fold* joins them into the few bins that are scored and exported.

    Attributes:
        name: The feature's name; outputs are ``@prediction``, ``@score``, ``@score.<class>``.
        kind: How its values are read.
        dtype: What the training data had: a numpy type, ``text``, or ``mixed``.
        edges: Shape (fine + 1,), strictly increasing from -inf to inf, a bin is ``(a, b]``; empty for
            categories and booleans.
        categories: The kept categories, the commonest first, ties by text; ``false`` and ``true`` for a
            boolean; empty for numbers.
        counts: Shape (fine,), how many values each fine bin held.
        sums: Shape (fine,), the sum of those values, each cut to the range; zeros for categories.
        fold: Shape (fine,), the fold bin of each fine bin, rising.
        bins: The label of each fold bin: ``00``, ``01``, ... by rising value, or the category's name and
            ``other`` last.
        ratios: Shape (bins,), the share of each fold bin, (n_b + 0.5) / (n + 0.5 B): none is 0, they sum to 1.
        values: How many values are in a bin.
        rows: How many rows the training data had.
        faults: How many of them had each fault that the kind can have.
        mean: Of the values, 0 where there are none; 0 for categories.
        stddev: Their standard deviation, alike.
        range: Values outside are out of range: the values at 0.1 % from either end, each moved midway
            to the next one outwards.
        quantiles: Of the values, by probability.
        binning: 12 hex digits, equal for equal folds.
        scores: Of an input, the model's score by the bins of the fold; None where the training data had none.
    """

    name: str
    kind: Kind
    dtype: str
    edges: NDArray[np.float64]
    categories: tuple[str, ...]
    counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    fold: NDArray[np.intp]
    bins: tuple[str, ...]
    ratios: NDArray[np.float64]
    values: int
    rows: int
    faults: Mapping[str, int]
    mean: float
    stddev: float
    range: tuple[float, float]
    quantiles: Mapping[str, float]
    binning: str
    scores: ScoreSums | None = None
    _rank: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rank = {text: number for number, text in enumerate(self.categories)}
        if self.kind == "boolean":
            rank |= {"0": 0, "1": 1}
        object.__setattr__(self, "_rank", rank)

    @property
    def fine(self) -> int:
        """How many fine bins or kept categories there are."""
        return len(self.counts)

    @property
    def layout(self) -> Bins:
        """Where values are counted, and how that is folded."""
        return Bins(self.edges, self.categories, self.fold, self.bins)

    def count(self, column: Column, *, exact: bool = False) -> Counts:
        """Count *column*; training data, whose sums are *exact*, and what is served are read by this one function."""
        if self.kind in READ_AS_NUMBERS:
            found = READ_AS_NUMBERS[self.kind](column)
            # as float64: a Python float would be rounded to float32 before it is compared with such values
            low, high = np.float64(self.range[0]), np.float64(self.range[1])
            outside = len(found.values) - np.count_nonzero((found.values >= low) & (found.values <= high))
            values, sums = histogram.count(found.values, self.edges, low, high, exact=exact)
            faults = [found.missing, 0, found.wrong_type, outside]
        else:
            read = categories(column)
            values, sums = np.zeros(self.fine, np.int64), np.zeros(self.fine)
            occurs = np.bincount(read.codes, minlength=len(read.texts)).tolist()
            for text, rows in zip(read.texts, occurs, strict=True):
                if text in self._rank:
                    values[self._rank[text]] += rows
            faults = [read.missing, len(read.codes) - int(values.sum()), read.wrong_type, 0]
        return Counts(values, sums, np.array(faults, np.int64))

    def place(self, column: Column, cuts: NDArray[Any]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Tell of each row of *column* what :meth:`count` adds up.

        Args:
            column: What was served.
            cuts: Of a fold of these bins, see :attr:`Bins.cuts`.

        Returns:
            The fold bin of each row, or -1 - n for the fault ``names.FAULTS[n]`` where it has none; and the
            rows that are out of range, which have a bin.
        """
        places = np.full(len(column), _NO_BIN[names.WRONG_TYPE])
        places[missing_rows(column)] = _NO_BIN[names.MISSING]
        if self.kind in READ_AS_NUMBERS:
            found = READ_AS_NUMBERS[self.kind](column)
            rows = np.arange(len(column)) if found.rows is None else found.rows
            places[rows] = cuts.searchsorted(found.values)
            low, high = np.float64(self.range[0]), np.float64(self.range[1])
            return places, rows[(found.values < low) | (found.values > high)]
        read = categories(column)
        bin_of = [cuts[self._rank[t]] if t in self._rank else _NO_BIN[names.UNSEEN] for t in read.texts]
        places[... if read.rows is None else read.rows] = np.array(bin_of, np.intp)[read.codes]
        return places, np.empty(0, np.intp)

    def oddities(self) -> list[str]:
        """Return what makes scores against this baseline less telling than they could be."""
        found = []
        if self.values == 0:
            found.append("holds no value, so drift is never scored")
        elif len(self.bins) == 1:
            found.append("has one bin, so only its faults tell anything")
        elif self._is_uneven():
            shares = self.layout.folded(self.counts) / self.values
            found.append(
                f"its bins hold {shares.min():.1%} to {shares.max():.1%} of the values: those of an older "
                "baseline no longer fit; --edges-from none (edges_from=None) cuts them anew"
            )
        unseen = self.faults.get(names.UNSEEN, 0)
        if unseen > MANY_UNSEEN * self.rows:
            found.append(f"{unseen} of {self.rows} rows are of categories that are not kept")
        return found

    def _is_uneven(self) -> bool:
        """Tell whether shares leave 5 to 20 % where the fine bins, folded anew, would not."""
        if self.kind not in READ_AS_NUMBERS:
            return False
        fold = fold_of(self.counts)
        shares = self.layout.folded(self.counts) / self.values
        anew = histogram.fold(self.counts, fold, int(fold[-1]) + 1) / self.values
        return bool(
            shares.max() > max(LARGEST_SHARE, anew.max()) or shares.min() < min(LEAST_SHARE, anew.min())
        )


def lengths(column: Column) -> Numbers:
    """Read the lengths of texts in code points, as the wire carries them: cut to 128 bytes."""
    if isinstance(column, Coded):
        sizes = np.array([len(clip(text)) for text in column.texts], np.float64)
        rows = np.flatnonzero(column.codes >= 0)
        return Numbers(sizes[column.codes[rows]], rows, len(column) - len(rows), 0)
    if column.dtype.kind != "O":
        found = numbers(column)
        return Numbers(np.empty(0), np.empty(0, np.intp), found.missing, len(column) - found.missing)
    items = column.tolist()
    rows = np.array([row for row, item in enumerate(items) if isinstance(item, str)], np.intp)
    sizes = np.array([len(clip(items[row])) for row in rows.tolist()], np.float64)
    missing = sum(map(is_missing, items))
    return Numbers(sizes, rows, missing, len(items) - len(rows) - missing)


READ_AS_NUMBERS: dict[str, Callable[[Column], Numbers]] = {"numeric": numbers, "text_length": lengths}
"""How a kind that is counted between edges reads its numbers; the other kinds are categories."""
