"""Which columns a model is given and in which types: each change is told once."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from driftline.columns import Coded, missing_rows
from driftline.names import MAX_COLUMNS, SCHEMA_CHANGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from driftline.columns import Column

ABSENT = "absent"
_TYPES = {"f": "number", "i": "number", "u": "number", "b": "boolean", "V": "id", "O": "mixed"}
_ALL_TYPES = {*_TYPES.values(), "text", ABSENT}


class Schema:
    """The columns of a model's rows, and every type that each came in; what is new is counted once.

    So a column that comes in two types, or only now and then, is no change with every batch, and a fleet
    in the middle of a release counts what the release changed.

    Attributes:
        changes: Changes by kind: a column that was ``absent``, ``extra``, or of another ``type``.
    """

    def __init__(self) -> None:
        self.changes = dict.fromkeys(SCHEMA_CHANGES, 0)
        self._types: dict[str, set[str]] = {}
        self._id: str | None = None

    def __len__(self) -> int:
        return len(self._types)

    @property
    def id(self) -> str:
        """12 hex digits, equal for equal columns and types."""
        if self._id is None:
            self._id = hashlib.sha256(json.dumps(self.dump()).encode()).hexdigest()[:12]
        return self._id

    def expect(self, columns: Iterable[str]) -> None:
        """Take *columns* for known: those of a baseline."""
        for name in columns:
            self._types.setdefault(name, set())
        self._id = None

    def observe(self, inputs: Mapping[str, Column]) -> list[str]:
        """Count what of *inputs* is new, and return a line for each known column that changed."""
        if not self._types:  # without a baseline the first batch is what the others are held to
            self.expect(inputs)
        lines = []
        changed = False
        for name, column in inputs.items():
            if name not in self._types:
                if len(self) == MAX_COLUMNS:
                    continue
                self.changes["extra"] += 1
                self._types[name] = {ABSENT}  # as it was until now
                changed = True
            known = self._types[name]
            type_ = "text" if isinstance(column, Coded) else _TYPES.get(column.dtype.kind, "mixed")
            if type_ not in known and not missing_rows(column).all():
                if known - {ABSENT}:
                    self.changes["type"] += 1
                    lines.append(f"column {name!r} is {type_}, and was {', '.join(sorted(known))}")
                known.add(type_)
                changed = True
        for name in self._types.keys() - inputs.keys():
            if ABSENT not in self._types[name]:
                self.changes[ABSENT] += 1
                lines.append(f"column {name!r} is not sent")
                self._types[name].add(ABSENT)
                changed = True
        if changed:
            self._id = None
        return lines

    def dump(self) -> list[tuple[str, list[str]]]:
        """Return what is known as plain values, in an order of its own."""
        return sorted((name, sorted(types)) for name, types in self._types.items())

    def restore(self, kept: Iterable[tuple[str, list[str]]]) -> None:
        """Take over what :meth:`dump` returned; the changes begin at 0, as every counter."""
        for name, types in [*kept][:MAX_COLUMNS]:
            self._types.setdefault(str(name), set()).update(_ALL_TYPES.intersection(types))
        self._id = None
