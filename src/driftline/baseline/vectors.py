"""Columns of vectors: in the place of each stand the norm and the distance that are measured of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from driftline.columns import missing_rows
from driftline.embedding import Embedding, NoVectors, centroid

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from driftline.baseline.feature import FeatureBaseline
    from driftline.baseline.table import Table
    from driftline.columns import Column

logger = logging.getLogger(__name__)

MAX_CENTROIDS = 1 << 20
"""How many numbers the centroids of a baseline may be together: its file is read whole."""


def embeddings_of(
    table: Table, columns: Collection[str], older: Mapping[str, Embedding]
) -> tuple[dict[str, Embedding], dict[str, str]]:
    """Return the embeddings among *columns* of *table*, and why others that hold lists are none.

    A centroid is kept from *older* where more than half of the vectors are as long as it is: distances from
    another point are not those of last week.
    """
    found: dict[str, Embedding] = {}
    reasons: dict[str, str] = {}
    room = MAX_CENTROIDS
    for name in columns:
        if name in table.vectors:
            try:
                embedding = _embedding(name, table, older.get(name), room)
            except NoVectors as reason:
                reasons[name] = str(reason)
            else:
                found[name] = embedding
                room -= embedding.dimensions
    return found, reasons


def _embedding(name: str, table: Table, older: Embedding | None, room: int) -> Embedding:
    pieces = table.pieces[name]
    if older is not None and not _fits(older, pieces()):
        logger.warning("%s: its vectors do not fit the older baseline; it gets a centroid of its own", name)
        older = None
    found = older or Embedding(name, centroid(pieces))
    taken = [feature for feature in found.features if feature in table.names]
    if taken:
        raise NoVectors(f"holds vectors, whose {taken[0]} is a column already; rename one of them")
    if found.dimensions > room:
        raise NoVectors(f"holds vectors; all centroids of a baseline are at most {MAX_CENTROIDS} numbers")
    return found


def _fits(embedding: Embedding, pieces: Iterable[Sequence[object]]) -> bool:
    measured = np.concatenate([np.empty((0, 2)), *map(embedding.measured, pieces)])[:, 0]
    return bool(2 * np.isfinite(measured).sum() > (~np.isnan(measured)).sum())


def bins_kept(
    older: Mapping[str, FeatureBaseline],
    centroids: Mapping[str, Embedding],
    embeddings: Mapping[str, Embedding],
) -> dict[str, FeatureBaseline]:
    """Return the features of *older* whose bins can be kept: none of a distance from other than its *centroids*."""
    new = (embedding for name, embedding in embeddings.items() if centroids.get(name) is not embedding)
    lost = {feature for embedding in new for feature in embedding.features}
    return {name: feature for name, feature in older.items() if name not in lost}


def measured(table: Table, embeddings: Mapping[str, Embedding]) -> Table:
    """Return *table* with the features of *embeddings* in the place of the columns that have their names."""
    its = {name: embedding for name, embedding in embeddings.items() if name in table.names}
    owner = {feature: embedding for embedding in its.values() for feature in embedding.features}
    known: dict[str, dict[str, Column]] = {}

    def column(name: str) -> Column:
        embedding = owner.get(name)
        if embedding is None:
            return table.column(name)
        if embedding.name not in known:
            known[embedding.name] = dict(zip(embedding.features, _rows(table, embedding).T, strict=True))
        return known[embedding.name][name]

    return table._replace(names=spread(table.names, its), column=column) if its else table


def _rows(table: Table, embedding: Embedding) -> NDArray[np.float64]:
    nothing = np.empty((0, len(embedding.features)))
    if embedding.name in table.pieces:
        return np.concatenate([nothing, *map(embedding.measured, table.pieces[embedding.name]())])
    missing = missing_rows(table.column(embedding.name))  # no row of it holds a vector
    return np.where(missing, np.nan, np.inf)[:, np.newaxis].repeat(nothing.shape[1], axis=1)


def measuring(
    read: Callable[[Sequence[str]], Iterator[Table]], embeddings: Mapping[str, Embedding]
) -> Callable[[Sequence[str]], Iterator[Table]]:
    """Return what reads the features of *embeddings* where *read* reads the columns of vectors."""
    owner = {feature: name for name, e in embeddings.items() for feature in e.features}
    return lambda columns: (
        measured(table, embeddings) for table in read([*dict.fromkeys(owner.get(n, n) for n in columns)])
    )


def spread(columns: Iterable[str], embeddings: Mapping[str, Embedding]) -> tuple[str, ...]:
    """Return *columns* with the features of an embedding in its place."""
    return tuple(
        feature
        for name in columns
        for feature in (embeddings[name].features if name in embeddings else (name,))
    )
