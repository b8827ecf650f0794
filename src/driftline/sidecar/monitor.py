"""Which batch is counted on what: models and versions admitted, windows moved on, baselines followed."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import numpy as np

from driftline import names
from driftline.baseline.folder import ANY_VERSION
from driftline.columns import Coded, categories, numbers, take
from driftline.config import Model
from driftline.drift import Expected
from driftline.entities import clustering
from driftline.layout import Layout
from driftline.sidecar.attribution import NOTHING
from driftline.sidecar.confidence import confidence
from driftline.sidecar.models import ModelVersion, Track
from driftline.sidecar.rows import Rows
from driftline.sidecar.segments import Segments
from driftline.sidecar.streams import Streams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from driftline.baseline import Baseline
    from driftline.columns import Column
    from driftline.config import Config
    from driftline.sidecar.baselines import Baselines
    from driftline.sidecar.streams import Admission
    from driftline.sidecar.telemetry import Telemetry
    from driftline.window import Window
    from driftline.wire import Batch

logger = logging.getLogger(__name__)

LOCAL_WINDOWS = 2
"""Local scores are taken for the two shortest windows: for looking, and half of the series."""
SILENT_SECONDS = 3600.0
LAID_ASIDE_SECONDS = 3600.0
"""How long windows wait for their baseline to come back: meanwhile they take the memory that they took."""


class Monitor:
    """All models of one sidecar.

    Columns are counted outside the lock, which is held only to find a model and to add the counts up,
    so that a scrape, a tick and a batch never wait long for each other.

    Args:
        config: The settings.
        baselines: The baselines known at start.
        telemetry: Where batches, rows and drops are counted.
        clock: Seconds that never step back; panes go by it.
        wall: Seconds since 1970, as the world has them: what is compared with times from elsewhere.
    """

    def __init__(
        self,
        config: Config,
        baselines: Baselines,
        telemetry: Telemetry,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.config = config
        self.clock = clock
        self.wall = wall
        self.lock = threading.Lock()
        self.streams = Streams()
        self.models: dict[tuple[str, str], ModelVersion] = {}
        self.beyond_limits = 0  # rows of models that are not among them
        self._baselines = baselines
        self._expected: dict[str, Expected] = {}
        self._telemetry = telemetry
        self._declare(clock())

    # --- batches --------------------------------------------------------------------------------

    def observe(self, batch: Batch) -> str | None:
        """Count *batch*: whole, or not at all and by reason.

        Of what was counted on bins that are not known here, rows, errors and durations count, and no value.

        Returns:
            What its sender can mend, and is told; None where there is nothing.
        """
        now, wall = self.clock(), self.wall()
        if batch.resource.get(names.ATTR_ENVIRONMENT, self.config.environment) != self.config.environment:
            self._telemetry.environment_differs()
        with self.lock:
            admitted = self._admit(batch, now, wall)
        if isinstance(admitted, str):
            self._telemetry.dropped(batch.rows, records=batch.records)
            return _told(admitted, batch) if admitted == names.MODEL_LIMIT else None
        model, track, admission = admitted
        columns, number, untimely = self._in_time(batch, wall)
        rows = Rows.of(batch, columns, number, model.segments)
        task = (track.baseline.task if track else None) or _task(batch.task) or model.task
        sure = confidence(rows.outputs) if task in (None, "classification") else np.empty(0)
        counted = track.count(rows) if track else None
        with self.lock:
            present = self._track_of(model, batch, now)
            if present is not track:  # baselines were reloaded meanwhile; so seldom that the lock may wait
                track, counted = present, present.count(rows) if present else None
            if track and counted:
                track.add(counted, rows.number, now)
            else:
                self._learn(model, rows.inputs)
            unjudged = batch.counts is not None and track is None
            model.dropped.update({"baseline_unknown": rows.number} if unjudged else untimely)
            model.add(rows, admission.without(batch.rows - rows.number), sure)
            model.task = task
            model.task_differs += _differs(batch.task, track)
            model.dataset_version = batch.dataset_version or model.dataset_version
            news = model.see(track, rows)
        for line in news:
            logger.warning("model %s, version %s: %s", model.name, model.version, line)
        if untimely:
            self._telemetry.dropped(sum(untimely.values()))
        if unjudged:
            self._telemetry.dropped(rows.number, records=batch.records)
            return _told("baseline_unknown", batch)
        self._telemetry.counted(batch.records, rows.number)
        return None

    def _admit(
        self, batch: Batch, now: float, wall: float
    ) -> tuple[ModelVersion, Track | None, Admission] | str:
        """Return what *batch* is counted on, or the reason why it is not; what is admitted is not admitted again."""
        model = self._model(batch.model, batch.version, wall)
        if model is None:
            self.beyond_limits += batch.rows
            return names.MODEL_LIMIT
        admission = self.streams.admit(batch, now)
        if admission.refused:
            model.dropped[admission.refused] += batch.rows
            return admission.refused
        model.last_prediction = wall  # at once: a model that is heard gives way to no other
        return model, self._track_of(model, batch, now), admission

    def _model(self, name: str, version: str, wall: float) -> ModelVersion | None:
        model = self.models.get((name, version))
        if model is None:
            declared = name in self.config.models
            known: dict[str, list[ModelVersion]] = {}
            for other in self.models.values():
                known.setdefault(other.name, []).append(other)
            versions = known.get(name, [])
            full = not versions and not declared and len(known) >= self.config.limits.models
            if full and not self._make_room([v for v in known.values() if not v[0].declared], wall):
                return None
            if len(versions) >= self.config.limits.versions and not self._make_room(
                [[v] for v in versions], wall
            ):
                return None
            model = self._add_model(name, version, declared=declared, wall=wall)
            self._introduce(model)
        return model

    def _make_room(self, candidates: list[list[ModelVersion]], wall: float) -> bool:
        """Let those go that were silent for longest, and for an hour: what is new must be counted.

        Those with a baseline of their own go last, or a service that names its versions after commits would
        take the windows of a nightly job. The versions of one candidate go together.
        """
        kept = {(baseline.model, baseline.version) for baseline in self._baselines.all}
        silent = [
            (any((model.name, model.version) in kept for model in versions), last, versions)
            for versions in candidates
            if wall - (last := max(m.last_prediction or m.created for m in versions)) >= SILENT_SECONDS
        ]
        if not silent:
            return False
        for goes in min(silent, key=lambda found: found[:2])[2]:
            del self.models[goes.name, goes.version]
        return True

    def _introduce(self, model: ModelVersion) -> None:
        """Say once that a version is retired and yet there, or is learning, and what baselines its model has."""
        name, version = model.name, model.version
        if model.settings.retired:
            logger.warning(
                "model %s, version %s is retired: its rows are counted until none has come for %g s, then it is forgotten",
                name, version, model.settings.silence,
            )  # fmt: skip
        if self._baselines.find(name, version) is None:
            known = sorted(baseline.version for baseline in self._baselines.all if baseline.model == name)
            there = f"there are some for {', '.join(known)}" if known else "there is none for this model"
            there += "; make one with driftline baseline build, or capture, where baselines: points to"
            logger.warning("model %s, version %s has no baseline and is learning; %s", name, version, there)

    def _add_model(self, name: str, version: str, *, declared: bool, wall: float) -> ModelVersion:
        settings = self.config.models.get(name, Model())
        segments = Segments(settings.segments)
        model = ModelVersion(name, version, settings, segments, declared=declared, created=wall)
        self.models[name, version] = model
        return model

    def _track(self, model: ModelVersion, baseline_id: str | None, now: float) -> Track | None:
        baseline = self._baselines.find(model.name, model.version, baseline_id)
        if baseline is None:
            return None
        track = model.tracks.get(baseline.id)
        if track is None:
            expected = self._expect(baseline, model.settings)
            track = Track(expected, self.config.windows, model.settings, model.segments, now)
            model.tracks[baseline.id] = track
            if model.settings.attribution and track.attribution.score is None:
                logger.warning("model %s, version %s: %s", model.name, model.version, NOTHING)
            model.schema.expect(name for name in track.layout.names if not name.startswith("@"))
            model.task = baseline.task or model.task
            if baseline.task == "classification" and any(
                f.startswith(names.COLUMN_SCORE) for f in track.layout.names
            ):
                model.tells_confidence()
        return track

    def _track_of(self, model: ModelVersion, batch: Batch, now: float) -> Track | None:
        """Return what *batch* is counted on; None while the model is learning, or where its bins are not known here."""
        track = self._track(model, batch.baseline_id, now)
        if track is None or batch.counts is None:
            return track
        its = track.baseline.id == batch.baseline_id and track.layout.fits(batch.counts)
        return track if its else None

    def _expect(self, baseline: Baseline, settings: Model) -> Expected:
        if baseline.id not in self._expected:
            kept = {name: f for name, f in baseline.features.items() if not settings.ignores(name)}
            if len(kept) > self.config.limits.features:
                logger.warning(
                    "model %s: its baseline has %d features, only the first %d are counted (limits.features)",
                    baseline.model, len(kept), self.config.limits.features,
                )  # fmt: skip
                kept = dict(list(kept.items())[: self.config.limits.features])
            self._expected[baseline.id] = Expected(Layout(baseline, kept.values()))
        return self._expected[baseline.id]

    def _in_time(self, batch: Batch, wall: float) -> tuple[Mapping[str, Column], int, dict[str, int]]:
        """Return the columns and rows whose ``@time`` is neither too old nor too far ahead, and why how many are not."""
        times = batch.columns.get(names.COLUMN_TIME)
        if times is None or isinstance(times, Coded) or batch.counts is not None:  # whose counts, is not told
            return batch.columns, batch.rows, {}
        found = numbers(times)
        late = found.values < (wall - self.config.longest_window) * 1e9
        early = found.values > (wall + self.config.limits.skew) * 1e9
        bad = late | early
        if not bad.any():
            return batch.columns, batch.rows, {}
        keep = np.ones(batch.rows, bool)
        keep[np.flatnonzero(bad) if found.rows is None else found.rows[bad]] = False
        columns = {name: take(column, keep) for name, column in batch.columns.items()}
        return columns, int(keep.sum()), {"time_late": int(late.sum()), "time_early": int(early.sum())}

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
            model = self._model(name, version, self.wall())
            if model is not None:
                self._track(model, None, now)
            return model

    def has_baseline(self, beginning: str) -> bool:
        """Return whether a baseline is known whose id has this *beginning*."""
        return any(baseline.id.startswith(beginning) for baseline in self._baselines.all)

    # --- time -----------------------------------------------------------------------------------

    def tick(self) -> None:
        """Move what is fresh into the windows, close panes, score, and let go of what is long silent."""
        now = self.clock()
        with self.lock:
            models = [(model, track) for model in self.models.values() for track in model.tracks.values()]
            tracks = [track for _, track in models]
            came = [track.constancy.per_feature(track.fresh.values) for track in tracks]
            for track in tracks:
                for window in track.windows.values():
                    window.add(track.fresh)
                    window.roll(now)
                track.fresh.clear()
            for key, lost in self.streams.lost(now).items():
                if key in self.models:
                    self.models[key].sender_lost += lost
            self._let_go(now)
            pieces = [track.pieces_within(now) for track in tracks]
        for (model, track), whole, values in zip(
            models, pieces, came, strict=True
        ):  # only ticks change windows, in one thread
            rows = {name: int(window.rows.sum()) for name, window in track.windows.items()}
            found = (*rows.items(), *(window.number for window in track.windows.values()), *whole)
            if found == track.looked_at:
                continue  # nothing came and no pane closed
            track.looked_at = found
            shown = [*track.windows][:LOCAL_WINDOWS]
            scores = {
                name: track.expected.score(
                    window, self.config.statistics if name in shown else (), whole.get(name)
                )
                for name, window in track.windows.items()
            }
            entities = {name: _entities(window) for name, window in track.windows.items()}
            least = model.settings.min_rows
            stuck = values * track.constancy.stuck(track.windows, now - track.since, least)
            with self.lock:
                track.scores, track.rows = scores, rows
                track.stuck += stuck
                track.entities = {name: number for name, number in entities.items() if number is not None}

    def _let_go(self, now: float) -> None:
        """Forget what has been silent: for as long as its longest window if it has no baseline, for less if retired."""
        wall = self.wall()
        declared = {(b.model, b.version) for b in self._baselines.all}
        for key, model in list(self.models.items()):
            retired = model.settings.retired
            after = model.settings.silence if retired else self.config.longest_window
            last = model.last_prediction or (0.0 if retired else model.created)
            if (retired or key not in declared) and wall - last > after:
                del self.models[key]
                why = ", and it is retired" if retired else ""
                logger.info("model %s, version %s is forgotten: no row in %g s%s", *key, after, why)
            elif now - model.laid_aside_at > LAID_ASIDE_SECONDS:
                model.laid_aside = None

    # --- baselines ------------------------------------------------------------------------------

    def _declare(self, now: float) -> None:
        """Make every version that has a baseline exist, at 0, before its first row; not where the model is retired."""
        for baseline in self._baselines.all:
            settings = self.config.models.get(baseline.model, Model())
            if baseline.version == ANY_VERSION or settings.retired:
                continue
            key = (baseline.model, baseline.version)
            model = self.models.get(key) or self._add_model(*key, declared=True, wall=self.wall())
            model.declared = True
            self._track(model, None, now)

    def reload(self, baselines: Baselines) -> None:
        """Count on *baselines* from now on; what a feature's equal bins hold is kept."""
        now = self.clock()
        with self.lock:
            self._baselines = baselines
            known = {baseline.id for baseline in baselines.all}
            for model in self.models.values():
                self._follow(model, now)
            self._expected = {key: kept for key, kept in self._expected.items() if key in known}
            self._declare(now)

    def _follow(self, model: ModelVersion, now: float) -> None:
        """Let *model* be counted on its present baseline alone, with the windows of the one before.

        Where there is none now, these are laid aside for a while: a file may be away by mistake, or between two copies.

        Tracks add up in the series they share, so when one leaves, all counters of the version begin anew:
        a counter that falls to less than it was, and not to 0, has for Prometheus risen by all it still holds.
        """
        before = model.tracks
        wanted = self._baselines.find(model.name, model.version)
        if before and [wanted.id if wanted else ""] == list(before):
            return
        model.checked_before = model.checked
        model.tracks = {}
        last = next(reversed(before.values()), model.laid_aside)
        model.laid_aside = None
        if wanted is None:
            if before:
                model.laid_aside_at = now
                logger.warning(
                    "model %s, version %s: its baseline is gone, it is learning; the windows go on if one comes within the hour",
                    model.name, model.version,
                )  # fmt: skip
            model.laid_aside = last
            return
        if wanted.id in before:
            model.tracks[wanted.id] = before[wanted.id]
            before[wanted.id].restart()
            return
        track = self._track(model, None, now)
        if track is not None and last is not None:
            track.inherit(last)


def _entities(window: Window) -> float | None:
    """Return how many entities the rows of *window* are worth; None where no row tells whose it is."""
    sketched, rows = window.columns["entities"].sum(axis=0), int(window.rows.sum())
    return rows / clustering(sketched, rows) if sketched[-1] else None


def _told(reason: str, batch: Batch) -> str:
    """Return what the sender of *batch* is told of rows that are not counted, or not wholly."""
    if reason == "model_limit":
        why = "the sidecar knows as many models or versions as limits: allows; nothing of it is counted"
    else:
        why = (
            f"the sidecar has no baseline {(batch.baseline_id or '')[:12]} with these bins; rows, errors and durations "
            "count, values do not: put the file that the service has where baselines: points to"
        )
    return f"{reason}: model {batch.model}, version {batch.version}: {why}"


def _differs(task: str | None, track: Track | None) -> bool:
    """Tell whether a batch says another *task* than its baseline, which wins."""
    return bool(task and track and track.baseline.task and task != track.baseline.task)


def _task(said: str | None) -> str | None:
    """Return a task that is one: what a sender says becomes a label."""
    return said if said in names.TASKS else None
