"""Two tables, one verdict: the gate of the shipped rules, for a notebook, a command line or CI."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftline import names
from driftline.baseline.kinds import Unfit
from driftline.baseline.table import open_table
from driftline.columns import take
from driftline.drift import DEFAULT_STATISTICS, Layout
from driftline.errors import BaselineError
from driftline.statistics.chi_square import chance
from driftline.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftline.baseline import Baseline
    from driftline.columns import Column
    from driftline.drift import DriftScore
    from driftline.window import Counts

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


def compare(
    expected: Baseline, observed: Any, *, threshold: float = 0.1, outputs: Mapping[str, str] | None = None
) -> Comparison:
    """Judge whether *observed* has moved away from *expected*, feature by feature.

    A feature has drifted when its PSI is above *threshold*, above what chance alone exceeds once in a
    million looks, and there are at least 200 values. How far rows come in clusters is told from twelve
    stretches of *observed* in the order it has.

    Args:
        expected: The baseline.
        observed: A DataFrame, an Arrow table, a dictionary of columns, or a path to Parquet or CSV.
        threshold: PSI from which a shift is large.
        outputs: The column of an output by its reserved name, such as ``{"@prediction": "y_hat"}``.

    Raises:
        BaselineError: *observed* cannot be read, has no rows, or none of the baseline's features.
    """
    table = open_table(observed)
    if not table.rows:
        raise BaselineError("the observed data has no rows")
    layout = Layout(expected)
    named = {name: (outputs or {}).get(name, name) for name in layout.names}
    columns: dict[str, Column] = {}
    notes: list[str] = []
    for name, column in named.items():
        if column in table.names:
            try:
                columns[name] = table.column(column)
            except Unfit as reason:
                raise BaselineError(f"column {column!r}, {reason}") from reason
    absent = [name for name in layout.names if name not in columns and not name.startswith("@")]
    if not columns:
        raise BaselineError(
            "the observed data has none of the baseline's features: " + ", ".join(layout.names[:20])
        )
    extra = sorted(set(table.names) - set(named.values()) - set(expected.skipped))
    if absent:
        notes.append(f"Not in the observed data: {', '.join(absent)}.")
    if extra:
        notes.append(f"Not in the baseline, and not judged: {', '.join(extra[:20])}.")
    window, counts = _counted(layout, columns, table.rows)
    folded = layout.folded(counts.values)
    scores = {score.feature: score for score in layout.score(window, (*DEFAULT_STATISTICS, "chi_square"))}
    verdicts = [
        _verdict(
            layout,
            number,
            scores.get(name),
            folded[layout.bin_slices[number]],
            counts.faults[number],
            table.rows,
            threshold,
        )
        for number, name in enumerate(layout.names)
        if name in columns
    ]
    clustered = [v.feature for v in verdicts if (v.overdispersion or 1.0) > CLUSTERED]
    if clustered:
        notes.append(
            f"Rows of {', '.join(clustered)} come in clusters or are sorted (phi): fewer of them count as evidence."
        )
    order = sorted(verdicts, key=lambda v: (not v.found, not v.drifted, -v.scores.get("psi", 0.0)))
    return Comparison(table.rows, tuple(order), tuple(notes))


def _counted(layout: Layout, columns: Mapping[str, Column], rows: int) -> tuple[Window, Counts]:
    """Count *columns* in twelve stretches, each a closed pane of one window."""
    window = Window(PANES + 1, 1.0, layout.empty(), 0.0)
    for pane, part in enumerate(np.array_split(np.arange(rows), PANES)):
        window.add(layout.count({name: take(column, part) for name, column in columns.items()}, len(part)))
        window.roll(pane + 1.0)
    return window, window.merged()


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
