"""Counting: each column of a batch into the bins of its baseline, into windows and counters."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from driftline import names
from driftline.columns import Coded, categories, numbers, take
from driftline.config import Model, parse_duration
from driftline.drift import DriftScore, Layout
from driftline.sidecar.baselines import ANY_VERSION, Baselines
from driftline.sidecar.streams import Streams
from driftline.window import Counts, Pieces, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from driftline.baseline import Baseline
    from driftline.columns import Column
    from driftline.config import Config
    from driftline.sidecar.telemetry import Telemetry
    from driftline.wire import Batch

logger = logging.getLogger(__name__)

LOCAL_WINDOWS = 2
"""Local scores are taken for the two shortest windows: for looking, and half of the series."""
MAX_ERROR_TYPES = 20
SILENT_SECONDS = 3600.0
_BOUNDS = np.asarray(names.DURATION_BOUNDS)


class Track:
    """The counts of one model and version on one baseline.

    ``totals`` count since the start and are what Prometheus sees; ``fresh`` is what came since the last
    tick and has not entered the windows yet.
    """

    def __init__(self, layout: Layout, windows: Mapping[str, float], now: float) -> None:
        self.layout = layout
        self.totals = layout.empty()
        self.fresh = layout.empty()
        self.pieces = Pieces(layout.bins)
        self.since = now
        self.windows = {
            name: Window(parse_duration(name), pane, self.fresh, now) for name, pane in windows.items()
        }
        self.scores: dict[str, list[DriftScore]] = {name: [] for name in windows}
        self.rows: dict[str, int] = dict.fromkeys(windows, 0)

    @property
    def baseline(self) -> Baseline:
        """The baseline that is counted on."""
        return self.layout.baseline

    def inherit(self, older: Track) -> None:
        """Take over what *older* holds in its windows of features whose bins are the same.

        Not the totals: a counter that is shown at 0 and then at its old value has, for Prometheus, risen by
        all of it again. It begins anew, as at a start.
        """
        self.since = older.since
        places = {feature.name: number for number, feature in enumerate(older.layout.features)}
        for number, feature in enumerate(self.layout.features):
            there = places.get(feature.name)
            if there is None or not same_bins(feature, older.layout.features[there]):
                continue
            here, old = self.layout.slices[number], older.layout.slices[there]
            self.fresh.values[here] = older.fresh.values[old]
            self.fresh.faults[number] = older.fresh.faults[there]
            for name, window in self.windows.items():
                window.values[:, here] = older.windows[name].values[:, old]
                window.faults[:, number] = older.windows[name].faults[:, there]
        self.fresh.rows = older.fresh.rows
        for name, window in self.windows.items():
            window.rows[:] = older.windows[name].rows
            window.number = older.windows[name].number


def same_bins(one: object, other: object) -> bool:
    """Return whether two features' fine bins are the same."""
    return all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ("kind", "edges", "categories")
    )


@dataclass(slots=True)
class ModelVersion:
    """What is counted of one version of one model."""

    name: str
    version: str
    settings: Model
    declared: bool
    created: float
    task: str | None = None
    dataset_version: str | None = None
    last_prediction: float | None = None
    predictions: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    calls: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(_BOUNDS) + 1, np.int64))
    seconds: float = 0.0
    undeclared_values: int = 0
    sender_dropped: int = 0
    sender_lost: int = 0
    task_differs: int = 0
    learning_missing: dict[str, int] = field(default_factory=dict)
    tracks: dict[str, Track] = field(default_factory=dict)


class Monitor:
    """All models of one sidecar.

    Columns are counted outside the lock, which is held only to find a model and to add the counts up,
    so that a scrape, a tick and a batch never wait long for each other.

    Args:
        config: The settings.
        baselines: The baselines known at start.
        telemetry: Where batches, rows and drops are counted.
        clock: Seconds since 1970 that never step back.
    """

    def __init__(
        self, config: Config, baselines: Baselines, telemetry: Telemetry, clock: Callable[[], float]
    ) -> None:
        self.config = config
        self.clock = clock
        self.lock = threading.Lock()
        self.streams = Streams()
        self.models: dict[tuple[str, str], ModelVersion] = {}
        self._baselines = baselines
        self._layouts: dict[str, Layout] = {}
        self._telemetry = telemetry
        self._declare(clock())

    # --- batches --------------------------------------------------------------------------------

    def observe(self, batch: Batch) -> None:
        """Count *batch*: whole, or not at all and by reason."""
        now = self.clock()
        if batch.resource.get(names.ATTR_ENVIRONMENT, self.config.environment) != self.config.environment:
            self._telemetry.environment_differs()
        with self.lock:
            model = self._model(batch.model, batch.version, now)
            if model is None:
                self._telemetry.dropped("model_limit", batch.rows, records=batch.records)
                return
            admission = self.streams.admit(batch, now)
            if admission.refused:
                self._telemetry.dropped(admission.refused, batch.rows, records=batch.records)
                return
            track = self._track(model, batch.baseline_id, now)
        columns, rows = self._in_time(batch, now)
        failed = _failures(columns.get(names.COLUMN_ERROR))
        counts = _count(track, columns, rows, failed) if track else None
        with self.lock:
            model.predictions += batch.rows if admission.served is None else admission.served
            model.sender_dropped += admission.dropped
            model.sender_lost += admission.lost
            self._add_errors(model, failed, admission.failed)
            _add_durations(model, columns.get(names.COLUMN_LATENCY))
            model.last_prediction = now
            model.dataset_version = batch.dataset_version or model.dataset_version
            known = track.layout.names if track else ()
            inputs = {name: column for name, column in columns.items() if not name.startswith("@")}
            if track and counts:
                track.totals.add(counts)
                track.fresh.add(counts)
                if track.pieces.due(rows):
                    track.pieces.close(track.layout.folded(track.totals.values), now)
                expected = track.baseline.task
                if batch.task and expected and batch.task != expected:
                    model.task_differs += 1
                model.task = expected or batch.task or model.task
                model.undeclared_values += rows * len(inputs.keys() - set(known) - _ignored(model))
            else:
                model.task = batch.task or model.task
                self._learn(model, inputs)
                model.undeclared_values += rows * len(inputs)
        self._telemetry.counted(batch.records, rows)

    def _model(self, name: str, version: str, now: float) -> ModelVersion | None:
        model = self.models.get((name, version))
        if model is None:
            versions = [m for (known, _), m in self.models.items() if known == name]
            if not versions and len({known for known, _ in self.models}) >= self.config.limits.models:
                return None
            if len(versions) >= self.config.limits.versions and not self._make_room(versions, now):
                return None
            model = self._add_model(name, version, declared=name in self.config.models, now=now)
        return model

    def _make_room(self, versions: list[ModelVersion], now: float) -> bool:
        """Let the longest silent version go, if it has been silent for an hour: a release must be counted."""
        oldest = min(versions, key=lambda model: model.last_prediction or model.created)
        if now - (oldest.last_prediction or oldest.created) < SILENT_SECONDS:
            return False
        del self.models[oldest.name, oldest.version]
        return True

    def _add_model(self, name: str, version: str, *, declared: bool, now: float) -> ModelVersion:
        settings = self.config.models.get(name, Model())
        model = ModelVersion(name, version, settings, declared=declared, created=now)
        self.models[name, version] = model
        return model

    def _track(self, model: ModelVersion, baseline_id: str | None, now: float) -> Track | None:
        baseline = self._baselines.find(model.name, model.version, baseline_id)
        if baseline is None:
            return None
        track = model.tracks.get(baseline.id)
        if track is None:
            track = Track(self._layout(baseline, model.settings), self.config.windows, now)
            model.tracks[baseline.id] = track
            model.task = baseline.task or model.task
        return track

    def _layout(self, baseline: Baseline, settings: Model) -> Layout:
        if baseline.id not in self._layouts:
            kept = {name: f for name, f in baseline.features.items() if not settings.ignores(name)}
            if len(kept) > self.config.limits.features:
                logger.warning(
                    "model %s: its baseline has %d features, only the first %d are counted (limits.features)",
                    baseline.model, len(kept), self.config.limits.features,
                )  # fmt: skip
                kept = dict(list(kept.items())[: self.config.limits.features])
            self._layouts[baseline.id] = Layout(baseline, kept.values())
        return self._layouts[baseline.id]

    def _in_time(self, batch: Batch, now: float) -> tuple[Mapping[str, Column], int]:
        """Return the columns and rows whose ``@time`` is neither too old nor too far ahead."""
        times = batch.columns.get(names.COLUMN_TIME)
        if times is None or isinstance(times, Coded):
            return batch.columns, batch.rows
        found = numbers(times)
        late = found.values < (now - self.config.longest_window) * 1e9
        early = found.values > (now + self.config.limits.skew) * 1e9
        for reason, mask in (("time_late", late), ("time_early", early)):
            if mask.any():
                self._telemetry.dropped(reason, int(mask.sum()))
        bad = late | early
        if not bad.any():
            return batch.columns, batch.rows
        keep = np.ones(batch.rows, bool)
        keep[np.flatnonzero(bad) if found.rows is None else found.rows[bad]] = False
        return {name: take(column, keep) for name, column in batch.columns.items()}, int(keep.sum())

    @staticmethod
    def _add_errors(model: ModelVersion, failed: dict[str, NDArray[np.intp]], total: int | None) -> None:
        """Count failed rows by type; of those that never arrived only the number is known."""
        arrived = 0
        for error_type, rows in failed.items():
            name = (
                error_type
                if error_type in model.errors or len(model.errors) < MAX_ERROR_TYPES
                else names.OTHER
            )
            model.errors[name] = model.errors.get(name, 0) + len(rows)
            arrived += len(rows)
        if total is not None and total > arrived:
            model.errors[names.OTHER] = model.errors.get(names.OTHER, 0) + total - arrived

    def _learn(self, model: ModelVersion, inputs: Mapping[str, Column]) -> None:
        """Count what is missing of a model without a baseline, feature by feature."""
        for name, column in inputs.items():
            if name in model.learning_missing or len(model.learning_missing) < self.config.limits.features:
                missing = categories(column).missing if isinstance(column, Coded) else numbers(column).missing
                model.learning_missing[name] = model.learning_missing.get(name, 0) + missing

    def recall(self, name: str, version: str) -> ModelVersion | None:
        """Return a model version that an earlier run knew, with its track; None where it is beyond a limit."""
        now = self.clock()
        with self.lock:
            model = self._model(name, version, now)
            if model is not None:
                self._track(model, None, now)
            return model

    # --- time -----------------------------------------------------------------------------------

    def tick(self) -> None:
        """Move what is fresh into the windows, close panes, score, and let go of what is long silent."""
        now = self.clock()
        with self.lock:
            tracks = [track for model in self.models.values() for track in model.tracks.values()]
            for track in tracks:
                for window in track.windows.values():
                    window.add(track.fresh)
                    window.roll(now)
                track.fresh.clear()
            self._let_go(now)
        for track in tracks:  # only ticks change windows, and there is one ticker
            shown = [*track.windows][:LOCAL_WINDOWS]
            scores = {
                name: track.layout.score(
                    window,
                    self.config.statistics if name in shown else (),
                    track.pieces.since(now - window.length) if now - track.since >= window.length else None,
                )
                for name, window in track.windows.items()
            }
            rows = {name: int(window.rows.sum()) for name, window in track.windows.items()}
            with self.lock:
                track.scores, track.rows = scores, rows

    def _let_go(self, now: float) -> None:
        declared = {(b.model, b.version) for b in self._baselines.all}
        for key, model in list(self.models.items()):
            last = model.last_prediction or model.created
            if key not in declared and now - last > self.config.longest_window:
                del self.models[key]

    # --- baselines ------------------------------------------------------------------------------

    def _declare(self, now: float) -> None:
        """Make every version that has a baseline exist, at 0, before its first row."""
        for baseline in self._baselines.all:
            if baseline.version == ANY_VERSION:
                continue
            key = (baseline.model, baseline.version)
            model = self.models.get(key) or self._add_model(*key, declared=True, now=now)
            self._track(model, None, now)

    def reload(self, baselines: Baselines) -> None:
        """Count on *baselines* from now on; what a feature's equal bins hold is kept."""
        now = self.clock()
        with self.lock:
            self._baselines = baselines
            known = {baseline.id for baseline in baselines.all}
            self._declare(now)
            for model in self.models.values():
                gone = [track for key, track in model.tracks.items() if key not in known]
                if not gone:
                    continue
                model.tracks = {key: track for key, track in model.tracks.items() if key in known}
                fresh = self._track(model, None, now)
                if fresh is not None and not fresh.totals.rows:
                    fresh.inherit(gone[-1])
            self._layouts = {key: layout for key, layout in self._layouts.items() if key in known}


def _count(
    track: Track, columns: Mapping[str, Column], rows: int, failed: Mapping[str, NDArray[np.intp]]
) -> Counts:
    """Count *columns*; a failed call has inputs, and no outputs that would be missing."""
    outputs = {name: column for name, column in columns.items() if name.startswith("@")}
    if failed:
        answered = np.ones(rows, bool)
        answered[np.concatenate(list(failed.values()))] = False
        outputs = {name: take(column, answered) for name, column in outputs.items()}
    return track.layout.count({**columns, **outputs}, rows)


def _failures(column: Column | None) -> dict[str, NDArray[np.intp]]:
    """Return the rows of failed calls by the type of their error."""
    if column is None:
        return {}
    found = categories(column)
    rows = np.arange(len(found.codes)) if found.rows is None else found.rows
    return {
        text: rows[found.codes == code]
        for code, text in enumerate(found.texts)
        if text and (found.codes == code).any()
    }


def _add_durations(model: ModelVersion, column: Column | None) -> None:
    if column is None:
        return
    values = numbers(column).values
    values = values[values >= 0]
    model.calls += np.bincount(np.searchsorted(_BOUNDS, values, side="left"), minlength=len(_BOUNDS) + 1)
    model.seconds += float(values.sum(dtype=np.float64))


def _ignored(model: ModelVersion) -> set[str]:
    return {name for name, feature in model.settings.features.items() if feature.ignore}
