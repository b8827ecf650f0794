"""Training data counted part by part on bins that are given, and the parts added up."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import reduce
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from driftline import names
from driftline.baseline.attribution import ScoreSums
from driftline.baseline.feature import READ_AS_NUMBERS
from driftline.baseline.file import LARGEST
from driftline.baseline.kinds import Unfit
from driftline.baseline.scores import Scores, attributed
from driftline.baseline.table import Table
from driftline.columns import Coded, of
from driftline.errors import BaselineError
from driftline.histogram import smoothed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from driftline.baseline.feature import FeatureBaseline
    from driftline.columns import Column


def counted(feature: FeatureBaseline, column: Column, scores: Scores | None = None) -> FeatureBaseline:
    """Return *feature* with its bins, range and quantiles as they are, and everything else of *column*.

    Args:
        feature: An input or an output.
        column: Its training data.
        scores: Those of the same rows, to be summed by the bins of an input.
    """
    values = np.empty(0)
    if feature.kind in READ_AS_NUMBERS:
        values = READ_AS_NUMBERS[feature.kind](column).values.astype(np.float64)
    mean, stddev = moments(values)
    found = feature.count(column, exact=True)
    faults = dict(zip(names.FAULTS, found.faults.tolist(), strict=True))
    return replace(
        feature,
        dtype=_dtype(column),
        counts=found.values,
        sums=found.sums,
        ratios=smoothed(feature.layout.folded(found.values)),
        values=int(found.values.sum()),
        rows=len(column),
        faults={fault: faults[fault] for fault in names.FAULTS_OF_KIND[feature.kind]},
        mean=mean,
        stddev=stddev,
        scores=None if scores is None else scores.by_bin(feature, column, feature.layout.cuts),
    )


def counted_in_parts(
    features: Mapping[str, FeatureBaseline], sources: Mapping[str, str], tables: Iterable[Table]
) -> tuple[int, dict[str, FeatureBaseline]]:
    """Return how many rows *tables* hold together, and the features counted on all of them.

    Args:
        features: Features whose bins, ranges and quantiles are kept.
        sources: The column of each.
        tables: The parts, of which one at a time is in memory.

    Raises:
        BaselineError: A column is not there, or holds neither numbers nor text.
    """
    rows = 0
    score = attributed(features.values())
    found: dict[str, FeatureBaseline] = {}
    nothing = Table(tuple(sources.values()), 0, lambda _: of([]))
    for table in chain([nothing], tables):
        absent = [source for name, source in sources.items() if source not in table.names]
        if absent:
            shown = ", ".join(table.names[:20])
            raise BaselineError([f"column {name!r} is not in the data, which has {shown}" for name in absent])
        rows += table.rows
        scores = None if score is None else Scores.of(score, _read(table, score.name, sources))
        for name, feature in features.items():
            part = counted(feature, _read(table, name, sources), None if name.startswith("@") else scores)
            found[name] = merged([found[name], part]) if name in found else part
    return rows, found


def _read(table: Table, name: str, sources: Mapping[str, str]) -> Column:
    try:
        return table.column(sources[name])
    except Unfit as reason:
        raise BaselineError(f"{name}, column {sources[name]!r}, {reason}") from reason


def merged(parts: Sequence[FeatureBaseline]) -> FeatureBaseline:
    """Return the feature of all rows of *parts*, which were counted on the same bins and the same range."""
    first = parts[0]
    counts = np.sum([part.counts for part in parts], axis=0)
    mean, stddev = _merged_moments(parts)
    return replace(
        first,
        dtype=reduce(_wider, [p.dtype for p in parts if p.values] or [p.dtype for p in parts if p.rows], ""),
        counts=counts,
        sums=_merged_sums(np.array([part.sums for part in parts])),
        ratios=smoothed(first.layout.folded(counts)),
        values=sum(part.values for part in parts),
        rows=sum(part.rows for part in parts),
        faults={fault: sum(part.faults[fault] for part in parts) for fault in first.faults},
        mean=mean,
        stddev=stddev,
        scores=_merged_scores([part.scores for part in parts]),
    )


def differences(one: FeatureBaseline, other: FeatureBaseline) -> str:
    """Return in what two features, which must agree in it to be merged, do not; empty where they agree."""
    pairs = {
        "kind": (one.kind, other.kind),
        "edges": (one.edges.tolist(), other.edges.tolist()),
        "categories": (one.categories, other.categories),
        "fold": (one.fold.tolist(), other.fold.tolist()),
        "range": (one.range, other.range),
        "quantiles": (dict(one.quantiles), dict(other.quantiles)),
    }
    return ", ".join(name for name, (left, right) in pairs.items() if left != right)


def _dtype(column: Column) -> str:
    if isinstance(column, Coded):
        return "text"
    return "mixed" if column.dtype.kind == "O" else column.dtype.name


def _wider(one: str, other: str) -> str:
    """Return the type that holds what two parts hold: whole numbers in one, missing ones in the other."""
    if one in ("", other):
        return other
    if {one, other} & {"text", "mixed", "bool"}:
        return "mixed"
    return np.result_type(one, other).name


def moments(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return mean and standard deviation, exact for equal values and finite for huge ones."""
    if not len(values):
        return 0.0, 0.0
    low, high = values.min(), values.max()
    if low == high:
        return float(low) + 0.0, 0.0
    scale = _power_of_two(max(-low, high))
    scaled = values / scale
    return float(scaled.mean() * scale), float(scaled.std() * scale)


def _merged_moments(parts: Sequence[FeatureBaseline]) -> tuple[float, float]:
    filled = [part for part in parts if part.values]
    means = {part.mean for part in filled}
    if len(means) <= 1 and not any(part.stddev for part in filled):
        return (means or {0.0}).pop(), 0.0
    scale = _power_of_two(max(max(abs(part.mean), part.stddev) for part in filled))
    total = sum(part.values for part in filled)
    mean = math.fsum(part.mean / scale * part.values for part in filled) / total
    squares = math.fsum(
        ((part.stddev / scale) ** 2 + (part.mean / scale - mean) ** 2) * part.values for part in filled
    )
    return mean * scale, math.sqrt(squares / total) * scale


def _merged_sums(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up shape (parts, bins), rounded once, so that no order of parts differs; held at float64's end."""
    parts = _power_of_two(len(sums)) * 2  # none overflows that is divided by as many
    return np.array([_held(bin_, parts) for bin_ in sums.T.tolist()])


def _merged_scores(parts: Sequence[ScoreSums | None]) -> ScoreSums | None:
    """Add up *parts*; None where one has none, for a part of the rows would say something else."""
    present = [part for part in parts if part is not None]
    if len(present) < len(parts):
        return None
    return ScoreSums(
        np.sum([part.values for part in present], axis=0),
        _merged_sums(np.array([part.sums for part in present])),
        _merged_sums(np.array([part.squares for part in present])),
    )


def _held(items: list[float], parts: float) -> float:
    try:
        return math.fsum(items)
    except OverflowError:
        return max(-LARGEST, min(LARGEST, math.fsum(item / parts for item in items) * parts))


def _power_of_two(number: float) -> float:
    """Return the power of two just below *number*: nothing is rounded that is divided by it."""
    return 2.0 ** (math.frexp(number)[1] - 1)
