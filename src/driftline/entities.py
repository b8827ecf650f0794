"""Whose rows they are: how many entities rows are worth, from a sketch that adds up."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.columns import Coded, category_text, missing_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from driftline.columns import Column

BUCKETS = 512
SIZE = BUCKETS + 1
"""Of a sketch: its buckets, and how many rows had an entity."""


def sketch(column: Column) -> NDArray[np.int64]:
    """Return a sketch of how the rows of *column* spread over its entities, shape (SIZE,).

    A row adds 1 or -1 to a bucket, both told by its entity's hash. Rows of one entity push one way, those
    of different ones cancel out, so that the buckets' squares add up to the squares of the entities'
    numbers of rows, to 6 % as a standard error. Sketches of different rows are added.

    Args:
        column: Who each row is about: numbers, text, ids; rows without one are left out.

    References:
        M. Charikar, K. Chen, M. Farach-Colton, Finding frequent items in data streams, 2002.
    """
    present = ~missing_rows(column)
    hashes = _mixed(_keys(column)[present])
    signs = (hashes >> np.uint64(63)).astype(np.int64) * 2 - 1
    found = np.bincount((hashes % np.uint64(BUCKETS)).astype(np.intp), signs, BUCKETS)
    return np.append(found, len(hashes)).astype(np.int64)


def clustering(sketched: NDArray[Any], rows: int) -> float:
    """Return as how many rows of one entity each row counts, at least 1: a row without an entity as one.

    ``sum k ** 2 / sum k`` over the numbers of rows k of each entity: by so much a statistic of *rows* grows
    where what is measured stays the same for an entity, and *rows* over it is how many entities they are
    worth. Of entities with equally many rows it is their number.

    >>> clustering(sketch(np.repeat(np.arange(50.0), 20)), 1000) > 15
    True
    """
    if not rows:
        return 1.0
    buckets, told = sketched[:BUCKETS].astype(np.float64), int(sketched[BUCKETS])
    return max(1.0, float((buckets**2).sum() + rows - told) / rows)


def _keys(column: Column) -> NDArray[np.uint64]:
    """Return 64 bits a row that are equal for equal entities, in whatever number type they come."""
    if isinstance(column, Coded):
        of_text = [zlib.crc32(text.encode("utf-8", "replace")) for text in column.texts] or [0]
        keys: NDArray[np.uint64] = np.array(of_text, np.uint64)[column.codes]
        return keys
    kind = column.dtype.kind
    if kind == "V":
        halves = np.ascontiguousarray(column).view(np.uint64).reshape(-1, 2)
        mixed: NDArray[np.uint64] = halves[:, 0] ^ _mixed(halves[:, 1])
        return mixed
    if kind == "O":
        texts = [category_text(item) or "" for item in column.tolist()]
        return np.array([zlib.crc32(text.encode("utf-8", "replace")) for text in texts], np.uint64)
    if kind == "f":
        wide = column.astype(np.float64)
        whole = (np.abs(wide) < 2.0**63) & (np.floor(wide) == wide)
        return np.where(whole, np.where(whole, wide, 0.0).astype(np.int64), wide.view(np.int64)).view(
            np.uint64
        )
    return column.astype(np.int64).view(np.uint64)


def _mixed(keys: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return *keys* with every bit spread over all: the finaliser of SplitMix64."""
    keys = keys + np.uint64(0x9E3779B97F4A7C15)
    keys = (keys ^ (keys >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    keys = (keys ^ (keys >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return keys ^ (keys >> np.uint64(31))
