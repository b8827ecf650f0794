"""Vectors among the features of a call: measured when they are copied, so that none is kept and none leaves."""

# ruff: noqa: D102 - the methods of a part are documented once, where Part declares them
from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftline.instrumentation.inputs import SCALARS, as_array, library, read_features
from driftline.instrumentation.parts import (
    Columns,
    Frame,
    Matrix,
    Opaque,
    Part,
    Records,
    Row,
    Table,
    Unreadable,
    is_series,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping, Sequence

    from driftline.baseline import Baseline
    from driftline.columns import Column
    from driftline.embedding import Embedding
    from driftline.instrumentation.parts import Kept, Wanted


class Embeddings(NamedTuple):
    """What is measured of a model's features.

    Attributes:
        by_name: By the name of the column of vectors.
        whole: Of features that are vectors and nothing else, an array of a row a vector; None where they are not.
    """

    by_name: Mapping[str, Embedding]
    whole: Embedding | None

    @classmethod
    def of(cls, given: Iterable[Embedding], baseline: Baseline | None) -> Embeddings | None:
        """Return those that were *given* and those of the *baseline*, on whose centroids its bins were made."""
        own = {embedding.name: embedding for embedding in given}
        kept = {} if baseline is None else dict(baseline.embeddings)
        found = own | kept
        if not found:
            return None
        only = next(iter(found.values())) if len(found) == 1 else None
        if only is not None and baseline is not None:
            others = {name for name in baseline.features if not name.startswith("@")} - {*only.features}
            only = None if others else only
        return cls(found, only)

    def read(self, features: Any, columns: tuple[str, ...] | None) -> Part:
        """Recognise what a model was called with as ``read_features`` does, its vectors as what is measured of them.

        Raises:
            Unreadable: It is something else.
        """
        if isinstance(features, dict) and not hasattr(features, "tocsr"):
            held = {name: features[name] for name in self.by_name if name in features}
            if held:
                rest = {name: value for name, value in features.items() if name not in held}
                part = read_features(rest, columns) if rest else None
                if isinstance(part, Row) or (part is None and all(map(_is_vector, held.values()))):
                    held = {name: [vector] for name, vector in held.items()}
                return self._beside(part, held)
        part = read_features(features, columns)
        held = {name: column for name in self.by_name if (column := _column(part, name)) is not None}
        if held:
            return self._beside(part.only(lambda name: name not in held), held)
        if self.whole is not None:
            if type(part) is Matrix:
                return _measured(self.whole, part.values)
            if isinstance(part, Records) and part.rows and not isinstance(part.items[0], dict):
                return _measured(self.whole, part.items)
        return part

    def _beside(self, part: Part | None, held: Mapping[str, Any]) -> Part:
        parts = [_measured(self.by_name[name], column) for name, column in held.items()]
        return Beside([*([] if part is None or part.names == () else [part]), *parts])


def _is_vector(value: Any) -> bool:
    """Tell one vector from several."""
    if isinstance(value, list | tuple):
        return len(value) > 0 and isinstance(value[0], SCALARS)
    return getattr(value, "ndim", 2) == 1 and getattr(value, "dtype", None) != np.dtype(object)


def _column(part: Part, name: str) -> Any:
    """Return the caller's own column *name*; None where *part* has none."""
    if isinstance(part, Records):
        if part.items and isinstance(part.items[0], dict):
            held = any(name in item for item in part.items)
            return [item.get(name) for item in part.items] if held else None
        return [item[part.names.index(name)] for item in part.items] if name in part.names else None
    if isinstance(part, Table):
        return part.values.get(name)
    if isinstance(part, Frame) and name in part.names:
        return part.frame.iloc[:, part.names.index(name)]
    if isinstance(part, Columns) and name in part.names:
        return part.source(name)
    return None


def _measured(embedding: Embedding, vectors: Any) -> Opaque:
    features = embedding.features
    return Opaque(
        features, (len(vectors), len(features)), lambda kept: embedding.measured(_rows(vectors, kept))
    )


def _rows(vectors: Any, kept: Kept) -> Any:
    """Return the *kept* rows of a column of vectors as an array or a list."""
    kind = library(vectors)
    if kind == "polars":
        return (vectors if kept is None else vectors.gather(kept)).to_numpy()
    if kind == "pyarrow":
        return (vectors if kept is None else vectors.take(kept)).to_numpy(zero_copy_only=False)
    if is_series(vectors):
        return (vectors if kept is None else vectors.iloc[kept]).to_numpy()
    if isinstance(vectors, list | tuple):
        rows = vectors if kept is None else [vectors[row] for row in kept]
        return [as_array(row) if hasattr(row, "__dlpack__") else row for row in rows]
    array = as_array(vectors)
    return array if kept is None else array[kept]


class Beside:
    """Parts of the same rows, one beside the other."""

    __slots__ = ("parts", "rows")

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts = parts
        rows = {part.rows for part in parts}
        if len(rows) > 1:
            raise Unreadable("columns of different lengths are no table")
        self.rows = rows.pop()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(chain.from_iterable(part.names or () for part in self.parts))

    @property
    def row_bytes(self) -> int:
        return sum(part.row_bytes for part in self.parts)

    def only(self, wanted: Wanted) -> Beside:
        return Beside([part.only(wanted) for part in self.parts])

    def own(self, kept: Kept) -> None:
        for part in self.parts:
            part.own(kept)

    def layout(self) -> Hashable:
        return tuple((type(part), part.layout()) for part in self.parts)

    @staticmethod
    def join(parts: Sequence[Beside]) -> dict[str, Column]:
        found: dict[str, Column] = {}
        for column in zip(*(part.parts for part in parts), strict=True):
            found = column[0].join(column) | found
        return found
