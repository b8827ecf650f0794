"""How far features wander when nothing is wrong: drift thresholds from windows of recent rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftline.baseline.files import Files
from driftline.baseline.kinds import Unfit, refuse_personal
from driftline.baseline.table import open_table, pyarrow
from driftline.baseline.vectors import measured
from driftline.columns import take
from driftline.errors import BaselineError
from driftline.histogram import Histogram
from driftline.statistics.psi import psi

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from driftline.baseline import Baseline, FeatureBaseline
    from driftline.columns import Column

LEAST_ROWS = 200
"""A window of fewer is not judged in production either."""
LEAST_WINDOWS = 5
FLOOR = 0.1
"""No threshold below is suggested: a smaller shift is rarely worth a ticket."""
QUANTILE = 0.95
MARGIN = 1.25
LARGE = 2.5
"""P2 is so many times P3, as it is unless anything else is configured: 0.25 and 0.1."""


class Spread(NamedTuple):
    """What recent windows say about one feature.

    Attributes:
        feature: Its name, or a reserved one such as ``@prediction``.
        scores: The PSI of each window that had values, against the baseline.
        look: Why the column is no feature to watch; empty where it is one.
    """

    feature: str
    scores: NDArray[np.float64]
    look: str = ""

    @property
    def moved(self) -> bool:
        """Whether most windows are beyond what drift is by default: no spread, but another population."""
        return bool(len(self.scores)) and float(np.median(self.scores)) > FLOOR

    @property
    def thresholds(self) -> dict[str, float]:
        """The suggestion, by priority: 1.25 times what 95 % of the windows stay below, at least 0.1."""
        beyond = float(np.quantile(self.scores, QUANTILE, method="higher")) if len(self.scores) else 0.0
        large = max(FLOOR, np.ceil(MARGIN * beyond * 100) / 100)
        return {"P3": round(float(large), 2), "P2": round(float(large * LARGE), 2)}


def by_rows(rows: int, size: int) -> list[NDArray[np.intp]]:
    """Return windows of *size* rows each, in the order of the data; what is left over at the end is none."""
    return [np.arange(start, start + size) for start in range(0, rows - size + 1, size)]


def by_time(path: Path, column: str, hours: float) -> list[NDArray[np.intp]]:
    """Return the rows of each window of so many *hours*, from midnight UTC on; cut off ones, of less than half the usual rows, not.

    Raises:
        BaselineError: The column is not there, or holds no time.
    """
    pa, files = pyarrow(str(path)), Files(path)
    if column not in files.names:
        raise BaselineError(
            f"{path}: column {column!r} is not there, there are {', '.join(files.names[:20])}"
        )
    parts = []
    for batch in files.batches([column]):
        try:
            times = batch.column(column).cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
        except pa.ArrowException as error:
            raise BaselineError(
                f"{path}: column {column!r} holds no time: {str(error).splitlines()[0]}"
            ) from error
        parts.append(times.to_numpy().astype(np.float64))
    times = np.concatenate(parts) if parts else np.empty(0)
    known = np.flatnonzero(np.isfinite(times))
    number, place = np.unique(times[known] // (3_600_000 * hours), return_inverse=True)
    windows = [known[place == window] for window in range(len(number))]
    usual = float(np.median([len(window) for window in windows])) if windows else 0.0
    return [window for window in windows if 2 * len(window) >= usual]


def spread(
    baseline: Baseline,
    data: Any,
    windows: Sequence[NDArray[np.intp]],
    *,
    outputs: Mapping[str, str] | None = None,
) -> list[Spread]:
    """Return how far each feature of *baseline* is from it in each of the *windows* of *data*.

    Args:
        baseline: The baseline.
        data: Recent rows, in which nothing was wrong.
        windows: The rows of each window; those of fewer than 200 are passed over.
        outputs: The column of an output by its reserved name, such as ``{"@prediction": "y_hat"}``.

    Raises:
        BaselineError: The data cannot be read, has none of the features, or gives fewer than five windows.
    """
    enough = [window for window in windows if len(window) >= LEAST_ROWS]
    if len(enough) < LEAST_WINDOWS:
        raise BaselineError(
            f"the recent data gives {len(enough)} windows of {LEAST_ROWS} rows or more; {LEAST_WINDOWS} are needed"
        )
    table = measured(open_table(data), baseline.embeddings)
    found = []
    for name, feature in baseline.features.items():
        source = (outputs or {}).get(name, name)
        if source not in table.names:
            continue
        try:
            column = table.column(source)
        except Unfit as reason:
            raise BaselineError(f"column {source!r} {reason}") from reason
        found.append(
            Spread(name, _scores(feature, column, enough), "" if name[0] == "@" else _look(name, column))
        )
    if not found:
        raise BaselineError(
            f"the recent data has none of the baseline's features: {', '.join(baseline.features)}"
        )
    return found


def _scores(
    feature: FeatureBaseline, column: Column, windows: Sequence[NDArray[np.intp]]
) -> NDArray[np.float64]:
    """Return the PSI of every window that has values, on the bins that the rules judge."""
    edges = np.arange(len(feature.bins) + 1.0)
    expected = Histogram(edges, feature.layout.folded(feature.counts))
    held = (feature.layout.folded(feature.count(take(column, rows)).values) for rows in windows)
    filled = [counts for counts in held if counts.any() and feature.values]
    return np.array([float(psi(expected, Histogram(edges, counts))) for counts in filled])


def _look(name: str, column: Column) -> str:
    try:
        refuse_personal(name, column)
    except Unfit as reason:
        return str(reason).partition(";")[0]
    return ""
