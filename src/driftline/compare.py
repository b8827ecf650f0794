"""Two tables, one verdict: the gate of the shipped rules, for a notebook, a command line or CI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftline import names
from driftline.baseline.kinds import Unfit
from driftline.baseline.stream import in_parts
from driftline.columns import take
from driftline.drift import DEFAULT_STATISTICS, Expected
from driftline.errors import BaselineError
from driftline.layout import Layout
from driftline.statistics.chi_square import chance
from driftline.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftline.baseline import Baseline
    from driftline.baseline.stream import Parts
    from driftline.baseline.table import Table
    from driftline.columns import Column
    from driftline.drift import DriftScore

PANES = 12
MIN_ROWS = 200
MANY_FAULTS = 0.05
FEW_FAULTS = 0.01
CLUSTERED = 5.0


class Spread(NamedTuple):
    """How a feature's values are spread over its bins; the shares of a side sum to 1.

    Attributes:
        bins: What each bin holds, as a person reads it.
        expected: The baseline's share of each bin, smoothed as it is scored.
        observed: The share of the rows that are judged.
    """

    bins: Sequence[str]
    expected: Sequence[float]
    observed: Sequence[float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one feature.

    Attributes:
        feature: Its name, or a reserved one such as ``@prediction``.
        drifted: Whether it moved by more than the threshold, and by more than chance explains.
        says: The verdict in a word or two.
        scores: Drift score by statistic.
        p_value: How often chance alone moves a feature so far; None where it cannot be told.
        overdispersion: phi of the observed rows in their order; None alike.
        faults: The share of rows with a fault, for those that have become many.
        spread: Over its bins; None where there is no value.
    """

    feature: str
    drifted: bool
    says: str
    scores: Mapping[str, float]
    p_value: float | None
    overdispersion: float | None
    faults: Mapping[str, float]
    spread: Spread | None = None

    @property
    def found(self) -> bool:
        """Whether there is anything to look at."""
        return self.drifted or bool(self.faults)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The verdicts, what moved most first, and what else is worth a line."""

    rows: int
    verdicts: tuple[Verdict, ...]
    notes: tuple[str, ...]

    @property
    def drifted(self) -> list[Verdict]:
        """What moved, most first."""
        return [verdict for verdict in self.verdicts if verdict.drifted]

    @property
    def faulty(self) -> list[Verdict]:
        """What has more faults than before, most first."""
        faulty = (verdict for verdict in self.verdicts if verdict.faults)
        return sorted(faulty, key=lambda verdict: -max(verdict.faults.values()))


def compare(
    expected: Baseline, observed: Any, *, threshold: float = 0.1, outputs: Mapping[str, str] | None = None
) -> Comparison:
    """Judge whether *observed* has moved away from *expected*, feature by feature.

    A feature has drifted when its PSI is above *threshold*, above what chance alone exceeds once in a
    million looks, and there are at least 200 values. How far rows come in clusters is told from twelve
    stretches of *observed* in the order it has.

    Args:
        expected: The baseline.
        observed: A DataFrame, an Arrow table, a dictionary of columns; or a path to Parquet, Arrow or CSV, to a
            folder or a pattern of such, which may be larger than memory.
        threshold: PSI from which a shift is large.
        outputs: The column of an output by its reserved name, such as ``{"@prediction": "y_hat"}``.

    Raises:
        BaselineError: *observed* cannot be read, has no rows, or none of the baseline's features.
    """
    found = in_parts(observed, expected.embeddings)
    if not found.rows:
        raise BaselineError("the observed data has no rows")
    layout = Layout(expected)
    named = {name: (outputs or {}).get(name, name) for name in layout.names}
    notes: list[str] = []
    present = {name: column for name, column in named.items() if column in found.names}
    absent = [name for name in layout.names if name not in present and not name.startswith("@")]
    if not present:
        raise BaselineError(
            "the observed data has none of the baseline's features: " + ", ".join(layout.names[:20])
        )
    extra = sorted(set(found.names) - set(named.values()) - set(expected.skipped))
    if absent:
        notes.append(f"Not in the observed data: {', '.join(absent)}.")
    if extra:
        notes.append(f"Not in the baseline, and not judged: {', '.join(extra[:20])}.")
    window = _counted(layout, present, found)
    counts = window.merged()
    folded = layout.folded(counts.values)
    scores = {
        score.feature: score for score in Expected(layout).score(window, (*DEFAULT_STATISTICS, "chi_square"))
    }
    verdicts = [
        _verdict(
            layout,
            number,
            scores.get(name),
            folded[layout.bin_slices[number]],
            counts.faults[number],
            counts.rows,
            threshold,
        )
        for number, name in enumerate(layout.names)
        if name in present
    ]
    clustered = [v.feature for v in verdicts if (v.overdispersion or 1.0) > CLUSTERED]
    if clustered:
        notes.append(
            f"Rows of {', '.join(clustered)} come in clusters or are sorted (phi): fewer of them count as evidence."
        )
    order = sorted(verdicts, key=lambda v: (not v.found, not v.drifted, -v.scores.get("psi", 0.0)))
    return Comparison(counts.rows, tuple(order), tuple(notes))


def _counted(layout: Layout, sources: Mapping[str, str], observed: Parts) -> Window:
    """Count *observed*, of whose columns *sources* names those of features, in twelve stretches of its rows.

    Each is a closed pane of one window; however the rows come in parts, it is of the same rows.
    """
    window = Window(PANES + 1, 1.0, layout.empty(), 0.0)
    sizes = observed.rows // PANES + (np.arange(PANES) < observed.rows % PANES)
    ends = np.cumsum(sizes)[:-1].tolist()  # the last stretch is what is left
    stretch = layout.empty()  # a pane rounds what is added to it, so it is added once
    counted = 0
    for table in observed.read([*dict.fromkeys(sources.values())]):
        columns = {name: _read(table, column) for name, column in sources.items()}
        start = 0
        while start < table.rows:
            stop = min(table.rows, start + ends[0] - counted) if ends else table.rows
            piece = {name: take(column, slice(start, stop)) for name, column in columns.items()}
            stretch.add(layout.count(piece, stop - start))
            counted, start = counted + stop - start, stop
            while ends and counted == ends[0]:
                window.add(stretch)
                window.roll(float(PANES - len(ends)))
                stretch.clear()
                del ends[0]
    window.add(stretch)
    window.roll(float(PANES))
    return window


def _read(table: Table, column: str) -> Column:
    try:
        return table.column(column)
    except Unfit as reason:
        raise BaselineError(f"column {column!r}, {reason}") from reason


def _verdict(
    layout: Layout,
    number: int,
    score: DriftScore | None,
    values: Any,
    faults: Any,
    rows: int,
    threshold: float,
) -> Verdict:
    feature = layout.features[number]
    many = _faults(feature.faults, feature.rows, faults, rows)
    if score is None:
        return Verdict(feature.name, False, "no values", {}, None, None, many)  # noqa: FBT003 - read by name
    psi = score.scores["psi"]
    phi = score.overdispersion or 1.0
    surprise = chance(max(len(feature.bins), 2)) * phi
    sure = psi / (1 / score.values + 1 / feature.values) > surprise and score.scores["chi_square"] > surprise
    large, enough = psi > threshold, score.values >= MIN_ROWS
    if large and sure and enough:
        says = "drifted"
    elif large:
        says = "too few rows" if not enough else "perhaps chance"
    elif many:
        says = "faults"
    else:
        says = "small shift" if score.p_value is not None and score.p_value < 1e-6 else "same"
    spread = Spread(feature.layout.spans(), feature.ratios.tolist(), (values / values.sum()).tolist())
    return Verdict(
        feature.name, says == "drifted", says, score.scores, score.p_value, score.overdispersion, many, spread
    )


def _faults(before: Mapping[str, int], rows_before: int, now: Any, rows: int) -> dict[str, float]:
    """Return the faults that have become many: 5 % missing, 1 % of another kind, and twice as many as before."""
    found = {}
    for fault, count in zip(names.FAULTS, now.tolist(), strict=True):
        share, was = count / rows, before.get(fault, 0) / rows_before
        least = MANY_FAULTS if fault == names.MISSING else FEW_FAULTS
        if count >= 10 and share >= least and share > 2 * was:
            found[fault] = share
    return found
