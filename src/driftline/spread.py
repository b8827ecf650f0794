"""How far features wander when nothing is wrong: drift thresholds from windows of recent rows."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftline.baseline.files import BATCH_ROWS, Files
from driftline.baseline.kinds import Unfit, refuse_personal
from driftline.baseline.stream import in_parts
from driftline.baseline.table import pyarrow
from driftline.columns import take
from driftline.errors import BaselineError
from driftline.histogram import Histogram
from driftline.statistics.psi import psi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from numpy.typing import NDArray

    from driftline.baseline import Baseline, FeatureBaseline
    from driftline.baseline.table import Table
    from driftline.columns import Column

    Cut: TypeAlias = Callable[[], Iterator[NDArray[np.float64]]]
    """Tells the window of each row by a number, piece by piece; a row of none has no number."""

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


def by_rows(rows: int, size: int) -> Cut:
    """Return windows of *size* rows each, in the order of the data; what is left over at the end is in none."""

    def numbers() -> Iterator[NDArray[np.float64]]:
        for start in range(0, rows, BATCH_ROWS):
            found = np.arange(start, min(rows, start + BATCH_ROWS)) // size
            yield np.where(found < rows // size, found, np.nan)

    return numbers


def by_time(path: Path, column: str, hours: float) -> Cut:
    """Return windows of so many *hours*, from midnight UTC on.

    Raises:
        BaselineError: The column is not there, or holds no time.
    """
    pa, files = pyarrow(str(path)), Files(path)
    if column not in files.names:
        raise BaselineError(
            f"{path}: column {column!r} is not there, there are {', '.join(files.names[:20])}"
        )

    def numbers() -> Iterator[NDArray[np.float64]]:
        for batch in files.batches([column]):
            try:
                times = batch.column(column).cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
            except pa.ArrowException as error:
                raise BaselineError(
                    f"{path}: column {column!r} holds no time: {str(error).splitlines()[0]}"
                ) from error
            yield times.to_numpy().astype(np.float64) // (3_600_000 * hours)

    return numbers


def spread(
    baseline: Baseline, data: Any, windows: Cut, *, outputs: Mapping[str, str] | None = None
) -> list[Spread]:
    """Return how far each feature of *baseline* is from it in each of the *windows* of *data*.

    Files of any size are read in bounded memory: the windows twice, the features once.

    Args:
        baseline: The baseline.
        data: Recent rows, in which nothing was wrong.
        windows: How they are cut; a window of fewer than 200 rows, or of less than half the usual number, as at
            the ends of the data, is passed over.
        outputs: The column of an output by its reserved name, such as ``{"@prediction": "y_hat"}``.

    Raises:
        BaselineError: The data cannot be read, has none of the features, or gives fewer than five windows.
    """
    chosen = _chosen(windows)
    parts = in_parts(data, baseline.embeddings)
    sources = {name: (outputs or {}).get(name, name) for name in baseline.features}
    features = [feature for name, feature in baseline.features.items() if sources[name] in parts.names]
    if not features:
        raise BaselineError(
            f"the recent data has none of the baseline's features: {', '.join(baseline.features)}"
        )
    held = {f.name: np.zeros((len(chosen), len(f.bins)), np.int64) for f in features}
    looks: dict[str, str] = {}
    ahead, waiting = windows(), np.empty(0)
    for part in parts.read([*dict.fromkeys(sources[f.name] for f in features)]):
        while len(waiting) < part.rows:
            waiting = np.concatenate([waiting, next(ahead)])
        number, waiting = waiting[: part.rows], waiting[part.rows :]
        rows_of = {window: np.flatnonzero(number == chosen[window]) for window in _among(number, chosen)}
        for feature in features:
            column = _read(part, sources[feature.name])
            if feature.name not in looks:  # the first rows tell as well as any
                looks[feature.name] = _look(feature.name, column, part.rows / parts.rows)
            for window, rows in rows_of.items():
                held[feature.name][window] += feature.layout.folded(feature.count(take(column, rows)).values)
    return [Spread(f.name, _scores(f, held[f.name]), looks.get(f.name, "")) for f in features]


def _chosen(windows: Cut) -> NDArray[np.float64]:
    """Return the numbers of the windows that are judged, rising."""
    sizes: Counter[float] = Counter()
    for piece in windows():
        numbers, rows = np.unique(piece[np.isfinite(piece)], return_counts=True)
        sizes.update(dict(zip(numbers.tolist(), rows.tolist(), strict=True)))
    usual = float(np.median([*sizes.values()])) if sizes else 0.0
    enough = [number for number, rows in sizes.items() if rows >= LEAST_ROWS and 2 * rows >= usual]
    if len(enough) < LEAST_WINDOWS:
        raise BaselineError(
            f"the recent data gives {len(enough)} windows of {LEAST_ROWS} rows or more; {LEAST_WINDOWS} are needed"
        )
    return np.sort(enough)


def _among(numbers: NDArray[np.float64], chosen: NDArray[np.float64]) -> list[int]:
    """Return the places in *chosen* of the windows that *numbers* hold."""
    return np.flatnonzero(np.isin(chosen, numbers)).tolist()


def _read(part: Table, column: str) -> Column:
    try:
        return part.column(column)
    except Unfit as reason:
        raise BaselineError(f"column {column!r} {reason}") from reason


def _scores(feature: FeatureBaseline, held: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the PSI of every window that has values, on the bins that the rules judge."""
    edges = np.arange(len(feature.bins) + 1.0)
    expected = Histogram(edges, feature.layout.folded(feature.counts))
    filled = [counts for counts in held if counts.any() and feature.values]
    return np.array([float(psi(expected, Histogram(edges, counts))) for counts in filled])


def _look(name: str, column: Column, share: float) -> str:
    if name.startswith("@"):
        return ""
    try:
        refuse_personal(name, column, share)
    except Unfit as reason:
        return str(reason).partition(";")[0]
    return ""
