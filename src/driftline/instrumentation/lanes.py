"""Calls like the one before: one row of one form, kept in the fewest steps."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from driftline import names
from driftline.instrumentation.entries import Entry
from driftline.instrumentation.inputs import SCALARS
from driftline.instrumentation.parts import Matrix, Part, Row, Scalars

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from driftline.instrumentation.durations import Durations
    from driftline.instrumentation.entries import Model


_ndarray = np.ndarray  # asked of numpy once, not by every call
_NUMBERS = "fiub"  # kinds of arrays that are nothing but their bytes
_PLAIN = frozenset((float, int, bool, str, np.float64, np.float32, np.int64, np.int32, np.bool_))


class Naming(Protocol):
    """Who can tell the names that an owner gave to its features."""

    def columns(self, owner: Any, /) -> tuple[str, ...] | None:
        """Return the names, or None."""


@dataclass(frozen=True, slots=True)
class Arrays:
    """Rows that are an array of numbers each; a copy is its bytes, a twentieth of an object's cost.

    Attributes:
        columns: The names that its owner knows.
        shape: Of the array, in one or two dimensions.
        dtype: Of the array.
    """

    columns: tuple[str, ...] | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def copy(self, features: Any, owner: Any, naming: Naming) -> bytes | None:
        """Return a copy of *features*; None where they are not of this form, or *owner* names them otherwise."""
        if (
            type(features) is _ndarray
            and (features.dtype is self.dtype or features.dtype == self.dtype)
            and features.shape == self.shape
        ):
            try:
                given = None if owner is None else getattr(owner, "feature_names_in_", None)
                columns = given if given is None else naming.columns(owner)
            except Exception:  # noqa: BLE001 - it is a foreign object: the long way asks again, and says so
                return None
            if columns is self.columns or columns == self.columns:
                copied: bytes = features.tobytes()
                return copied
        return None

    def part(self, copies: Sequence[Any]) -> Matrix:
        """Return *copies* as they would have been read one by one."""
        width = self.shape[-1]
        fitting = self.columns if self.columns is not None and len(self.columns) == width else None
        return Matrix(fitting, np.frombuffer(b"".join(copies), self.dtype).reshape(len(copies), width))


@dataclass(frozen=True, slots=True)
class Dictionaries:
    """Rows that are a dictionary of scalars each, of so many names or up to half of them fewer."""

    width: int

    def copy(self, features: Any, _owner: Any, _naming: Naming) -> dict[Any, Any] | None:
        """Return a copy of *features*; None where they are not of this form."""
        if (
            type(features) is dict
            and self.width // 2 < len(features) <= self.width
            and isinstance(next(iter(features.values())), SCALARS)
        ):
            return features.copy()
        return None

    def part(self, copies: Sequence[Any]) -> Row:
        """Return the one row."""
        return Row(copies[0])


Form: TypeAlias = Arrays | Dictionaries


def form_of(features: Any, part: Part, columns: tuple[str, ...] | None) -> Form | None:
    """Return the form of *features*, which were read as *part*; None where it is not a row of a simple one."""
    if type(part) is Row and type(features) is dict:
        return Dictionaries(len(features))
    if (
        type(part) is Matrix
        and part.rows == 1
        and type(features) is np.ndarray
        and features.ndim
        and features.dtype.kind in _NUMBERS
    ):
        return Arrays(columns, features.shape, features.dtype)
    return None


class Lane:
    """Rows of calls alike that wait for the sender: of one model, one form and one type of prediction.

    A call whose row is of the form takes a permit, the bytes that the buffer reserved for one, and leaves the row
    at its end. Each is one step that no other thread can come between, so neither waits for a lock. The call that
    finds no permit asks the buffer for more of them than the last time; where there is no room it goes the long way.

    Attributes:
        model: Whose calls.
        form: Of their features.
        copy: Copies the features of a call that has the form.
        result: The type of a prediction that is an array of one value; None for one that is a scalar.
        row_bytes: Roughly what a copy of the features costs.
        permits: For calls to come.
        ahead: How many were given at once the last time.
        full: How many rows make a batch.
        durations: Where what its calls took goes.
    """

    __slots__ = (
        "_ring", "_rows", "ahead", "copy", "durations", "form", "full", "model", "permits", "result", "row_bytes",
    )  # fmt: skip

    def __init__(
        self,
        model: Model,
        form: Form,
        result: np.dtype[Any] | None,
        row_bytes: int,
        durations: Durations,
        ring: Callable[[], None],
    ) -> None:
        self.model = model
        self.form = form
        self.copy = form.copy
        self.result = result
        self.row_bytes = row_bytes
        self.permits: Iterator[int] = iter(())
        self.ahead = 0
        self.full = 1
        self.durations = durations
        self._ring = ring
        self._rows: deque[tuple[Any, Any, float, int]] = deque()

    @property
    def key(self) -> tuple[Model, Form, np.dtype[Any] | None]:
        """What no two lanes of a buffer have in common."""
        return self.model, self.form, self.result

    def keep(self, row: Any, prediction: Any, seconds: float, size: int) -> bool:
        """Keep the *row* of a call that came to its end as foreseen; False where the *prediction* is another."""
        if self.result is None:
            if type(prediction) not in _PLAIN:
                return False
        elif type(prediction) is _ndarray and prediction.size == 1 and prediction.dtype == self.result:
            prediction = prediction.tobytes()
        else:
            return False
        rows = self._rows
        rows.append((row, prediction, seconds, size))
        if len(rows) >= self.full:
            self._ring()
        return True

    def entries(self, *, full: bool) -> list[Entry]:
        """Take what waits, with *full* whole batches only; the sender's thread alone takes."""
        found: list[Entry] = []
        waiting = len(self._rows)
        while waiting >= (self.full if full else 1):
            count = min(waiting, self.full)
            waiting -= count
            rows = [self._rows.popleft() for _ in range(count)]
            # A dictionary may hold what cannot be read: it is to spoil no other row. Numbers cannot.
            together = isinstance(self.form, Arrays)
            found += map(self._entry, [rows] if together else ([row] for row in rows))
        return found

    def _entry(self, rows: Sequence[tuple[Any, Any, float, int]]) -> Entry:
        copies, predictions, seconds, sizes = zip(*rows, strict=True)
        prediction: Part = (
            Scalars(names.COLUMN_PREDICTION, predictions)
            if self.result is None
            else Matrix(
                (names.COLUMN_PREDICTION,), np.frombuffer(b"".join(predictions), self.result).reshape(-1, 1)
            )
        )
        parts = (self.form.part(copies), prediction, None)
        return Entry(self.model, len(rows), 1.0, sum(sizes), parts, seconds, None)


def lane_for(
    model: Model, form: Form, prediction: Any, row_bytes: int, durations: Durations, ring: Callable[[], None]
) -> Lane | None:
    """Return a lane for calls like one of *form* that returned *prediction*; None where that is not plain.

    *ring* is called when its rows make a batch.
    """
    if type(prediction) in _PLAIN:
        return Lane(model, form, None, row_bytes, durations, ring)
    if type(prediction) is _ndarray and prediction.size == 1 and prediction.dtype.kind in _NUMBERS:
        return Lane(model, form, prediction.dtype, row_bytes, durations, ring)
    return None
