"""What is counted of one version of a model: on each of its baselines a track, and what needs no baseline."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftline import names
from driftline.config import Model, parse_duration
from driftline.sidecar.attribution import Attribution
from driftline.sidecar.constant import Constancy
from driftline.sidecar.schema import Schema
from driftline.sidecar.segments import SegmentLayout, Segments
from driftline.window import Pieces, Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from driftline.baseline import Baseline
    from driftline.baseline.attribution import ScoreSums
    from driftline.columns import Column
    from driftline.drift import DriftScore, Expected
    from driftline.sidecar.rows import Rows
    from driftline.sidecar.segments import SegmentCounts
    from driftline.sidecar.streams import Admission
    from driftline.window import Counts

MAX_ERROR_TYPES = 20


class Distribution:
    """Values per bucket, as a histogram of Prometheus has them: upper *bounds* included, and one for the rest."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = np.zeros(len(bounds) + 1, np.int64)
        self.sum = 0.0

    def add(self, values: NDArray[np.floating[Any]]) -> None:
        """Count *values*."""
        self.counts += np.bincount(np.searchsorted(self.bounds, values), minlength=len(self.counts))
        self.sum += float(values.sum(dtype=np.float64))


class Counted(NamedTuple):
    """What the rows of a batch add to a track."""

    counts: Counts
    by_segment: SegmentCounts
    scores: ScoreSums


class Track:
    """The counts of one model and version on one baseline.

    ``totals`` count since the start and are what Prometheus sees; ``fresh`` is what came since the last
    tick and has not entered the windows yet; ``stuck`` are the values of a feature that came while it was
    constant. Segments have totals only: their windows are Prometheus's.
    """

    def __init__(
        self,
        expected: Expected,
        windows: Mapping[str, float],
        settings: Model,
        segments: Segments,
        now: float,
    ) -> None:
        self.expected = expected
        layout = self.layout = expected.layout
        self.constancy = Constancy(layout)
        self.stuck = np.zeros(len(layout.features), np.int64)
        self.segments = SegmentLayout(layout.features, segments)
        self.segment_totals = self.segments.empty()
        self.attribution = Attribution(layout.baseline, layout.features, wanted=settings.attribution)
        self.score_totals = self.attribution.empty()
        self.totals = layout.empty()
        self.fresh = layout.empty()
        self.pieces = Pieces(layout.bins)
        self.since = now
        self.told = False  # whether the log has a hint about its columns
        self.windows = {
            name: Window(parse_duration(name), pane, self.fresh, now) for name, pane in windows.items()
        }
        self.scores: dict[str, list[DriftScore]] = {name: [] for name in windows}
        self.rows: dict[str, int] = dict.fromkeys(windows, 0)
        self.looked_at: tuple[Any, ...] = ()
        self.entities: dict[str, float] = {}

    @property
    def baseline(self) -> Baseline:
        """The baseline that is counted on."""
        return self.layout.baseline

    def count(self, rows: Rows) -> Counted:
        """Count *rows*; nothing of the track changes."""
        if rows.counts is not None:
            counts = self.layout.counted(rows.counts, rows.number)
            return Counted(counts, self.segments.empty(), self.attribution.empty())
        return Counted(
            self.layout.count({**rows.columns, **rows.outputs}, rows.number),
            self.segments.count(rows.inputs, rows.outputs, rows.segments, rows.answered),
            self.attribution.count(rows.inputs, rows.outputs, rows.answered),
        )

    def add(self, counted: Counted, rows: int, now: float) -> None:
        """Add what was *counted* of so many *rows*."""
        self.totals.add(counted.counts)
        self.fresh.add(counted.counts)
        self.segment_totals.add(counted.by_segment)
        self.score_totals.add(counted.scores)
        if self.pieces.due(rows):
            self.pieces.close(self.layout.folded(self.totals.values), now)

    def restart(self) -> None:
        """Begin the counters anew; the windows stay."""
        self.totals.clear()
        self.segment_totals.clear()
        self.score_totals.clear()
        self.stuck[:] = 0
        self.pieces.restart()

    def inherit(self, older: Track) -> None:
        """Take over what *older* holds in its windows of features whose bins are the same.

        Not the totals: a counter that is shown at 0 and then at its old value has, for Prometheus, risen by
        all of it again. It begins anew, as at a start.
        """
        self.since = older.since
        carry = self.layout.passage(older.layout.table, older.layout.centres)
        self.fresh.add(carry(older.fresh))
        for name, window in self.windows.items():
            there = older.windows[name]
            for number in (*there.numbers(), there.number):
                window.put(number, carry(there.pane_at(number)))

    @property
    def checked(self) -> NDArray[np.int64]:
        """Shape (2,): the values in its totals that were not missing, and those of the wrong type."""
        unseen, wrong = (
            self.totals.faults[:, names.FAULTS.index(f)].sum() for f in (names.UNSEEN, names.WRONG_TYPE)
        )
        return np.array([self.totals.values.sum() + unseen + wrong, wrong])

    def pieces_within(self, now: float) -> dict[str, NDArray[np.uint32]]:
        """Return pieces of the rows of each window that was watched for its whole length."""
        return {
            name: self.pieces.since(now - window.length)
            for name, window in self.windows.items()
            if now - self.since >= window.length
        }

    def hint(self, inputs: Mapping[str, Column]) -> list[str]:
        """Return what may be wrong where other columns arrive than the baseline has: it looks like drift.

        The names that only the sender knows are not said; they may be anything.
        """
        expected = {name for name in self.layout.names if not name.startswith("@")}
        unknown, absent = inputs.keys() - expected, expected - inputs.keys()
        if not unknown or not absent:
            return []
        if absent == expected and all(re.fullmatch("x[0-9]+", name) for name in unknown):
            return [
                "its columns come without names (x0, x1, ...) and match none: send a DataFrame or dictionaries"
            ]
        return [f"{len(unknown)} columns that arrive are not in its baseline: are the names right?"]


@dataclass(slots=True)
class ModelVersion:
    """What is counted of one version of one model."""

    name: str
    version: str
    settings: Model
    segments: Segments
    declared: bool
    created: float
    task: str | None = None
    dataset_version: str | None = None
    last_prediction: float | None = None
    predictions: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    durations: Distribution = field(default_factory=lambda: Distribution(names.DURATION_BOUNDS))
    confidences: Distribution | None = None
    checked_before: NDArray[np.int64] = field(default_factory=lambda: np.zeros(2, np.int64))
    undeclared_values: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    sender_dropped: int = 0
    sender_left_out: int = 0
    sender_lost: int = 0
    task_differs: int = 0
    learning_missing: dict[str, int] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)
    laid_aside: Track | None = None  # of a baseline that is gone
    laid_aside_at: float = 0.0
    schema: Schema = field(default_factory=Schema)
    segment_rows: NDArray[np.int64] = field(init=False)
    segment_errors: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.segment_rows, self.segment_errors = np.zeros((2, len(self.segments.labels)), np.int64)

    @property
    def awaited(self) -> bool:
        """Whether its silence is news: somebody declared it, and nobody retired it."""
        return self.declared and not self.settings.retired

    @property
    def checked(self) -> NDArray[np.int64]:
        """As :attr:`Track.checked`, of all tracks that ever were: it never falls."""
        return sum((track.checked for track in self.tracks.values()), self.checked_before)

    def add(self, rows: Rows, admission: Admission, sure: NDArray[np.floating[Any]]) -> None:
        """Count calls: those of *rows*, how *sure* their answers were, and what the sender says of others."""
        self.predictions += rows.number if admission.served is None else admission.served
        self.sender_dropped += admission.dropped
        self.sender_left_out += admission.left_out
        self._add_errors(rows.errors, admission.failed)
        self.durations.add(rows.latencies)
        if len(sure):
            self.tells_confidence().add(sure)
        if rows.counts is None:  # else no row tells its segment
            self.segment_rows += self.segments.occurs(rows.segments)
            self.segment_errors += self.segments.occurs(rows.segments[:, ~rows.answered])

    def _add_errors(self, errors: Mapping[str, int], total: int | None) -> None:
        """Count failed rows by type; of those that were never sent only the number is known."""
        for error_type, count in errors.items():
            known = error_type in self.errors or len(self.errors) < MAX_ERROR_TYPES
            name = error_type if known else names.OTHER
            self.errors[name] = self.errors.get(name, 0) + count
        unsent = 0 if total is None else total - sum(errors.values())
        if unsent > 0:
            self.errors[names.OTHER] = self.errors.get(names.OTHER, 0) + unsent

    def not_watched(self) -> set[str]:
        """Return the columns that need no baseline: those to ignore, and those that tell the segment."""
        ignored = {name for name, feature in self.settings.features.items() if feature.ignore}
        return ignored.union(self.segments.attributes)

    def tells_confidence(self) -> Distribution:
        """Return where confidences are counted; from the first call on there is a series for them."""
        if self.confidences is None:
            bound = self.settings.confidence
            self.confidences = Distribution(() if bound is None else (bound,))
        return self.confidences

    def see(self, track: Track | None, rows: Rows) -> list[str]:
        """Count the columns that came and those nobody declared; return what is new about them, for the log."""
        known = set(track.layout.names) if track else set()
        aside = self.not_watched() - known  # a feature may tell the segment, too
        undeclared = rows.inputs.keys() - known - aside if track else rows.inputs
        self.undeclared_values += rows.number * len(undeclared)
        if rows.counts is not None:
            return []
        seen = {name: column for name, column in rows.inputs.items() if name not in aside}
        news = self.schema.observe(seen)
        if track and not track.told:
            track.told = True
            news += track.hint(seen)
        return news
