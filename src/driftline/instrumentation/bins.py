"""Bins-only mode: what leaves the process is how many values were in each bin of the baseline, and no value."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline import names
from driftline.columns import Coded, Column, take
from driftline.errors import BaselineError, ConfigurationError
from driftline.instrumentation.problems import remark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from driftline.baseline import Baseline

_LEAVES = (names.COLUMN_LATENCY, names.COLUMN_ERROR)
"""What is sent by row besides: how long a call took, and the type of the error that ended it."""


def load(path: str, key: tuple[str, str]) -> Baseline:
    """Return the baseline of a model and version from a file, or from a folder of them.

    A file of the folder that cannot be used is said once and passed over: it may be another model's.

    Raises:
        ConfigurationError: There is none, there are two, or it cannot be used.
    """
    from driftline.baseline import folder

    try:
        found, faults = folder.read(folder.files(Path(path)))
    except BaselineError as error:
        raise ConfigurationError([f"baseline: {fault}" for fault in error.faults]) from error
    its = _of(key, found) or _of((key[0], folder.ANY_VERSION), found)
    if not its:
        there = ", ".join(dict.fromkeys(f"{one.model} {one.version}" for _, one in found)) or "nothing"
        none = f"{path} has none for {' '.join(key)}; it has {there}"
        raise ConfigurationError([f"baseline: {fault}" for fault in (none, *faults)])
    if both := folder.twice(its):
        raise ConfigurationError([f"baseline: {fault}" for fault in both])
    if faults:
        remark("baseline", f"baselines that cannot be used: {'; '.join(faults)}", of=path)
    return its[0][1]


def _of(key: tuple[str, str], found: Iterable[tuple[Path, Baseline]]) -> list[tuple[Path, Baseline]]:
    return [(file, one) for file, one in found if (one.model, one.version) == key]


def binned(
    baseline: Baseline, table: dict[str, Column]
) -> tuple[dict[str, NDArray[np.int64]], dict[str, Column]]:
    """Return the counts of *table* on the baseline's bins, and the columns that leave as they are."""
    errors = table.get(names.COLUMN_ERROR)
    answered = np.flatnonzero(errors.codes < 0) if isinstance(errors, Coded) else None
    counts: dict[str, Any] = {}
    for name, feature in baseline.features.items():
        column = table.get(name)
        if column is None:
            continue
        if answered is not None and name.startswith("@"):  # a failed call has no output to miss
            column = take(column, answered)
        found = feature.count(column)
        counts[name] = np.concatenate((found.faults, found.values))
    return counts, {name: table[name] for name in _LEAVES if name in table}
