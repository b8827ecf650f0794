"""The entries of many calls as the columns of one batch."""

from __future__ import annotations

from itertools import accumulate, islice
from sys import getsizeof
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline import names
from driftline.columns import Coded, is_missing
from driftline.instrumentation.parts import columns, not_sent, unnamed
from driftline.instrumentation.problems import problem, remark

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from driftline.columns import Column
    from driftline.instrumentation.entries import Entry
    from driftline.instrumentation.parts import Part


def by_outputs(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Return *entries* apart by the outputs they have: in one batch, who has none would count as missing it.

    Failed calls have no outputs to miss and go with the first.
    """
    groups: dict[Any, list[Entry]] = {}
    failed = []
    for entry in entries:
        if entry.error is not None:
            failed.append(entry)
        else:
            _, prediction, score, *_ = entry.parts
            groups.setdefault((prediction is None, score and score.names), []).append(entry)
    apart = list(groups.values()) or [[]]
    apart[0].extend(failed)
    return apart


def tabulate(entries: Sequence[Entry]) -> dict[str, Column]:
    """Return the rows of *entries*, which are of one model, as columns.

    Entries of one layout are joined at once, so that a thousand calls of one row cost what one call of
    a thousand rows does; the order of rows in a batch says nothing.
    """
    groups: dict[Any, list[Entry]] = {}
    for entry in entries:
        layout = tuple(part and (type(part), part.layout()) for part in entry.parts)
        groups.setdefault(layout, []).append(entry)
    ordered = [entry for group in groups.values() for entry in group]
    sizes = [sum(entry.rows for entry in group) for group in groups.values()]
    slots = max(len(entry.parts) for entry in ordered)
    features, *outputs = (
        columns([[_slot(entry, slot) for entry in group] for group in groups.values()], sizes)
        for slot in range(slots)
    )
    if (called := tuple(features)) and called == unnamed(len(called)):
        remark(
            "unnamed",
            f"features of {ordered[0].model.key[0]} have no names and are called {called[0]} to {called[-1]}; "
            "give feature_names=[...], or a table that has names, as the baseline has them",
            of=ordered[0].model.key[0],
        )
    table = _calls(ordered)
    for found in outputs:
        table |= found
    table |= _sendable(features)
    if len(table) > names.MAX_COLUMNS:
        problem("columns", f"{len(table)} columns; the first {names.MAX_COLUMNS} are sent")
        table = dict(islice(table.items(), names.MAX_COLUMNS))
    return table


def _slot(entry: Entry, slot: int) -> Part | None:
    return entry.parts[slot] if slot < len(entry.parts) else None


def _calls(entries: Sequence[Entry]) -> dict[str, Column]:
    """Return what is known of a call as a whole: its latency on its first row, its error on all."""
    rows = [entry.rows for entry in entries]
    latency = np.full(sum(rows), np.nan)
    for first, entry in zip(accumulate(rows, initial=0), entries, strict=False):
        latency[first : first + len(entry.seconds)] = entry.seconds
    found: dict[str, Column] = {names.COLUMN_LATENCY: latency}
    errors = {error: code for code, error in enumerate({e.error for e in entries if e.error is not None})}
    if errors:
        codes = [-1 if entry.error is None else errors[entry.error] for entry in entries]
        found[names.COLUMN_ERROR] = Coded(np.repeat(codes, rows), tuple(errors))
    return found


def _sendable(features: dict[str, Column]) -> dict[str, Column]:
    kept = {}
    for name, column in features.items():
        if not name or name.startswith("@") or len(name.encode("utf-8", "replace")) > names.MAX_NAME_BYTES:
            problem(
                "feature_name",
                f"feature {name[:64]!r} is not sent; a name has 1 to {names.MAX_NAME_BYTES} bytes and no @ before",
            )
            continue
        if not isinstance(column, Coded) and column.dtype.hasobject and _holds_lists(column):
            not_sent(name)
            continue
        kept[name] = column
    return kept


def _holds_lists(column: NDArray[Any]) -> bool:
    """Tell whether the first value that is there is no single value, but a vector, a list or a dictionary."""
    first = next((item for item in column if not is_missing(item)), None)
    return isinstance(first, (list, tuple, dict, np.ndarray))


def row_bytes(table: dict[str, Column]) -> int:
    """Return roughly how long a row of *table* is on the wire."""
    return sum(8 if isinstance(column, Coded) else column.itemsize for column in table.values())


def extra_bytes(table: dict[str, Column]) -> int:
    """Return roughly what *table* held in memory beyond plain features: outputs, text, foreign objects."""
    held = 0
    for name, column in table.items():
        if isinstance(column, Coded):
            lengths = np.array([*map(len, column.texts), 0])
            held += int(lengths[column.codes].sum())
        elif column.dtype.hasobject:
            held += sum(map(getsizeof, column.tolist()))
        elif name.startswith("@"):
            held += column.nbytes
    return held
