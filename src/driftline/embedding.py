"""Embeddings: of a vector what is watched is how long it is, and how far from the middle of the training data."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.columns import is_missing
from driftline.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

MAX_DIMENSIONS = 65_536
_SURE = 0.9
"""The share of vectors that are as long as most: lists of words or of purchases are of all lengths."""
_LENGTHS = 64
"""More different lengths are no vectors' either."""
_NUMBERS = 1 << 20
"""How many are looked at a time, so that no second copy of all vectors is made."""
_ROWS = 64
"""The same where nobody knows how long the vectors are."""
_STEPS = 2.0**17
"""Of a norm or distance what is kept, relative to itself: that of normalised vectors is 1 to float32 and 1 to float64."""


class NoVectors(Exception):
    """Rows are no vectors of one length; the text is the end of a sentence that begins with their name."""


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What is watched of vectors, whose dimensions mean nothing one by one: their length, their distance to a centroid.

    A row without a vector, or with one that is all NaN, is missing. A vector of another length than the centroid, of
    infinities or some NaN, or of what is no number, is of the wrong type. Neither stops the rows beside it.

    Attributes:
        name: The embedding's; its features are ``<name>.norm`` and, with a centroid, ``<name>.distance``.
        centroid: The mean vector of the training data, as a baseline of it holds it; None to watch lengths alone.

    Raises:
        ConfigurationError: The centroid is no vector of finite numbers, or too long.

    Example:
        >>> train = np.array([[3.0, 4.0], [3.0, 0.0]])
        >>> embedding = Embedding.of("text", train)
        >>> embedding.centroid
        array([3., 2.])
        >>> embedding.columns(train)
        {'text.norm': array([5., 3.]), 'text.distance': array([2., 2.])}
    """

    name: str
    centroid: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.centroid is None:
            return
        centroid = np.array(self.centroid, np.float64)
        if centroid.ndim != 1 or not 0 < len(centroid) <= MAX_DIMENSIONS or not np.isfinite(centroid).all():
            raise ConfigurationError(
                f"embedding {self.name!r}: a centroid is one vector of finite numbers, at most {MAX_DIMENSIONS}, "
                f"not of shape {centroid.shape}"
            )
        object.__setattr__(self, "centroid", centroid)

    @classmethod
    def of(cls, name: str, vectors: Any) -> Embedding:
        """Return the embedding *name* with the centroid of the training data's *vectors*, a row each.

        Raises:
            ConfigurationError: They are no vectors of one length.
        """
        try:
            return cls(name, centroid(lambda: [_rows(vectors)]))
        except NoVectors as reason:
            raise ConfigurationError(f"embedding {name!r} {reason}; pass a row a vector") from reason

    @property
    def dimensions(self) -> int:
        """How long its vectors are; 0 where that is all the same."""
        return 0 if self.centroid is None else len(self.centroid)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of what is measured."""
        return (f"{self.name}.norm", *([] if self.centroid is None else [f"{self.name}.distance"]))

    def columns(self, vectors: Any) -> dict[str, NDArray[np.float64]]:
        """Return the features of *vectors*, a row each.

        Raises:
            ConfigurationError: None of them is a vector that can be measured.
        """
        found = self.measured(_rows(vectors))
        if len(found) and np.isinf(found).all():
            long = f", where the centroid has {self.dimensions} dimensions" if self.dimensions else ""
            raise ConfigurationError(
                f"embedding {self.name!r}: what is given is no vectors{long}; pass a row a vector"
            )
        return dict(zip(self.features, found.T, strict=True))

    def measured(self, rows: Any) -> NDArray[np.float64]:
        """Return the features of *rows*, shape (rows, features): an array of vectors, or a sequence of them.

        NaN where a vector is missing, inf where it is of the wrong type.
        """
        found = np.full((len(rows), len(self.features)), np.inf)
        for at, values in _blocks(rows, self.dimensions):
            if values is not None:
                found[at] = self._euclid(values)
            elif is_missing(rows[at[0]]):
                found[at] = np.nan
        return found

    def _euclid(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Measure vectors of one length."""
        found = np.full((len(vectors), len(self.features)), np.inf)
        width = vectors.shape[1]
        if width and self.dimensions in (0, width):
            with np.errstate(over="ignore", invalid="ignore"):
                found[:, 0] = np.linalg.norm(vectors, axis=1)
                if self.centroid is not None:
                    found[:, 1] = np.linalg.norm(vectors - self.centroid, axis=1)
            found[~np.isfinite(found)] = np.inf
            found[np.isnan(vectors).all(axis=1)] = np.nan
        return _rounded(found)


def centroid(pieces: Callable[[], Iterable[Any]]) -> NDArray[np.float64]:
    """Return the mean of the vectors in *pieces*, which are read twice: the same, whatever the order of the rows.

    Of nine digits, as a baseline's file holds it. Vectors that are not as long as most, or not finite, are passed over.

    Raises:
        NoVectors: They are none, or of many lengths.
    """
    vectors: Counter[int] = Counter()
    others = 0
    largest: dict[int, NDArray[np.float64]] = {}
    for values in _finite(pieces):
        width = values.shape[1]
        if width < 2 or len(vectors) > _LENGTHS:
            others += len(values)
        elif len(values):
            vectors[width] += len(values)
            most = np.abs(values).max(axis=0)
            largest[width] = np.maximum(largest.get(width, most), most)
    if not vectors:
        raise NoVectors(f"holds lists, and no vectors of 2 to {MAX_DIMENSIONS} finite numbers")
    width, rows = max(vectors.items(), key=lambda item: (item[1], item[0]))
    if rows < _SURE * (vectors.total() + others):
        rest = vectors.total() + others - rows
        raise NoVectors(
            f"holds lists of different lengths, {rows} of {width} numbers and {rest} others: no vectors"
        )
    exponent = np.frexp(largest[width])[1]
    grid = 2.0 ** (
        52 - rows.bit_length()
    )  # whole parts of the largest, whose sum is exact, so no order changes it
    total = np.zeros(width)
    for values in _finite(pieces):
        if values.shape[1] == width:
            total += np.rint(np.ldexp(values, -exponent) * grid).sum(axis=0)
    mean = np.ldexp(total / rows / grid, exponent)
    return np.array([float(f"{value:.9g}") for value in mean.tolist()])


def _rows(vectors: Any) -> Any:
    """Return *vectors* of another library's as an array of them."""
    return vectors if isinstance(vectors, np.ndarray | list | tuple) else np.asarray(vectors)


def _finite(pieces: Callable[[], Iterable[Any]]) -> Iterator[NDArray[np.float64]]:
    for piece in pieces():
        for _, values in _blocks(piece, 0):
            if values is not None:
                yield values[np.isfinite(values).all(axis=1)]


def _blocks(rows: Any, dimensions: int) -> Iterator[tuple[Any, NDArray[np.float64] | None]]:
    """Give the places of some *rows* and their vectors, which are of one length; None for a row that holds no vector."""
    if isinstance(rows, np.ndarray) and rows.ndim == 2:
        dimensions = rows.shape[1]
    step = max(1, _NUMBERS // dimensions) if dimensions else _ROWS
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        values = _numbers(block)
        if values is not None:
            yield slice(start, start + len(block)), values
            continue
        by_length: dict[int, list[int]] = {}
        for at, row in enumerate(block):
            by_length.setdefault(_length(row), []).append(at)
        for places in by_length.values():
            values = _numbers([block[at] for at in places])
            if values is not None:
                yield start + np.array(places), values
            else:
                for at in places:
                    yield [start + at], _numbers([block[at]])


def _length(row: Any) -> int:
    try:
        return len(row)
    except Exception:  # noqa: BLE001 - what is missing has none, and foreign objects do as they like
        return -1


def _numbers(block: Any) -> NDArray[np.float64] | None:
    """Return *block* as vectors, one below the other; None where they are not of one length, too long, or of no numbers."""
    if isinstance(block, np.ndarray) and block.ndim == 1:
        block = block.tolist()
    try:
        values = np.asanyarray(block)
    except Exception:  # noqa: BLE001 - of different lengths, or foreign objects, which do as they like
        return None
    if values.ndim != 2 or values.shape[1] > MAX_DIMENSIONS or values.dtype.kind not in "fiub":
        return None
    # in one order: how numpy sums a row depends on how it lies
    return np.ascontiguousarray(np.ma.filled(values.astype(np.float64), np.nan))


def _rounded(found: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round to a relative 2**-17: else the noise of float32 in normalised vectors, all of length 1, were drift."""
    fraction, exponent = np.frexp(found)
    rounded: NDArray[np.float64] = np.ldexp(np.rint(fraction * _STEPS) / _STEPS, exponent)
    return rounded
