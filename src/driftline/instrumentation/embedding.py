"""Embeddings as features: how long a vector is, and how far from the middle of the training data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.errors import ConfigurationError
from driftline.instrumentation.inputs import as_array
from driftline.instrumentation.parts import Opaque

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from driftline.instrumentation.parts import Kept

_ROWS = 1024  # at a time, so that no second copy of all vectors is made


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """What is watched of vectors that have no columns to name: their length and their distance to a centroid.

    Hundreds of dimensions, each a feature, would be hundreds of features that mean nothing by themselves.

    Attributes:
        name: The embedding's; its features are ``<name>.norm`` and ``<name>.distance``.
        centroid: The mean vector of the training data.

    Raises:
        ConfigurationError: The centroid is no vector of finite numbers.

    Example:
        >>> train = np.array([[3.0, 4.0], [3.0, 0.0]])
        >>> embedding = Embedding.of("text", train)
        >>> embedding.centroid
        array([3., 2.])
        >>> embedding.columns(train)
        {'text.norm': array([5., 3.]), 'text.distance': array([2., 2.])}
    """

    name: str
    centroid: NDArray[np.float64]

    def __post_init__(self) -> None:
        centroid = np.array(self.centroid, np.float64)
        if centroid.ndim != 1 or not len(centroid) or not np.isfinite(centroid).all():
            raise ConfigurationError(
                f"embedding {self.name!r}: a centroid is one vector of finite numbers, not of shape {centroid.shape}"
            )
        object.__setattr__(self, "centroid", centroid)

    @classmethod
    def of(cls, name: str, vectors: ArrayLike) -> Embedding:
        """Return the embedding *name* with the centroid of the training data's *vectors*, a row each."""
        return cls(name, np.asarray(vectors).mean(axis=0, dtype=np.float64))

    def columns(self, vectors: Any) -> dict[str, NDArray[np.float64]]:
        """Return the features of *vectors*, a row each: what a baseline is built from, and what is sent."""
        norm, distance = self._measured(as_array(vectors)).T
        return dict(zip(self._names, (norm, distance), strict=True))

    def read(self, features: Any) -> Any:
        """Return *features* with the vectors in them, all of it or the column of the embedding's name, measured.

        Nothing but the rows that are kept is measured where there are vectors alone.
        """
        if isinstance(features, dict) and self.name in features:
            rest = {name: column for name, column in features.items() if name != self.name}
            return rest | self.columns(features[self.name])
        vectors = as_array(features)

        def take(kept: Kept) -> NDArray[np.float64]:
            return self._measured(vectors if kept is None else vectors[kept])

        return Opaque(self._names, (len(vectors), 2), take)

    @property
    def _names(self) -> tuple[str, str]:
        return f"{self.name}.norm", f"{self.name}.distance"

    def _measured(self, vectors: NDArray[Any]) -> NDArray[np.float64]:
        if vectors.ndim != 2 or vectors.shape[1] != len(self.centroid):
            raise ConfigurationError(
                f"embedding {self.name!r}: vectors of shape {vectors.shape}, where the centroid has "
                f"{len(self.centroid)} dimensions; pass a row a vector"
            )
        measured = np.empty((len(vectors), 2))
        for start in range(0, len(vectors), _ROWS):
            piece = np.asarray(vectors[start : start + _ROWS], np.float64)
            measured[start : start + _ROWS, 0] = np.linalg.norm(piece, axis=1)
            measured[start : start + _ROWS, 1] = np.linalg.norm(piece - self.centroid, axis=1)
        return measured
