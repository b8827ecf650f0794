"""The text that Prometheus scrapes: one consistent moment of the monitor and of the sidecar itself."""

from __future__ import annotations

import datetime as dt
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import prometheus_client
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from driftline import names
from driftline.baseline.attribution import ScoreSums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from driftline.drift import DriftScore
    from driftline.names import Series
    from driftline.sidecar.models import Distribution, ModelVersion, Track
    from driftline.sidecar.monitor import Monitor
    from driftline.sidecar.telemetry import Telemetry

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@dataclass(frozen=True, slots=True)
class _TrackView:
    """A track's numbers at one moment."""

    track: Track
    values: NDArray[np.int64]
    faults: NDArray[np.int64]
    stuck: NDArray[np.int64]
    segment_values: NDArray[np.int64]
    segment_faults: NDArray[np.int64]
    score_sums: ScoreSums
    scores: Mapping[str, list[DriftScore]]
    rows: Mapping[str, int]
    entities: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class _Buckets:
    """A histogram at one moment."""

    bounds: tuple[float, ...]
    cumulated: list[int]
    sum: float

    @classmethod
    def of(cls, distribution: Distribution, *, shown: bool) -> _Buckets:
        cumulated = (distribution.counts.cumsum() * shown).tolist()
        return cls(distribution.bounds, cumulated, distribution.sum * shown)

    def lines(self, series: Series, labels: str) -> Iterator[str]:
        for bound, count in zip(self.bounds, self.cumulated, strict=False):
            yield f'{series.name}_bucket{{{labels},le="{bound!r}"}} {count}'
        yield f'{series.name}_bucket{{{labels},le="+Inf"}} {self.cumulated[-1]}'
        yield f"{series.name}_sum{{{labels}}} {self.sum!r}"
        yield f"{series.name}_count{{{labels}}} {self.cumulated[-1]}"


@dataclass(frozen=True, slots=True)
class _View:
    """A model version's numbers at one moment; a counter nobody has seen yet is shown at 0 first."""

    model: ModelVersion
    labels: str
    predictions: int
    errors: Mapping[str, int]
    durations: _Buckets
    confidences: _Buckets | None
    checked: NDArray[np.int64]
    undeclared_values: int
    dropped: Mapping[str, int]
    sender_dropped: int
    sender_left_out: int
    sender_lost: int
    task_differs: int
    schema: tuple[str, int]
    schema_changes: Mapping[str, int]
    segment_rows: NDArray[np.int64]
    segment_errors: NDArray[np.int64]
    learning_missing: Mapping[str, int]
    tracks: tuple[_TrackView, ...]


class Exposition:
    """Renders the series. What is constant of a line, all but its number, is rendered once and kept."""

    def __init__(self, monitor: Monitor, telemetry: Telemetry) -> None:
        self._monitor = monitor
        self._telemetry = telemetry
        self._rendering = threading.Lock()  # what was shown is told from scrape to scrape
        self._shown: set[tuple[str, ...]] = set()
        self._constant: dict[tuple[str, str, str], _Constant] = {}

    def render(self, *, openmetrics: bool = False) -> bytes:
        """Return the whole exposition, as OpenMetrics 1.0.0 or as Prometheus text 0.0.4."""
        with self._rendering:
            return self._render(openmetrics=openmetrics)

    def _render(self, *, openmetrics: bool) -> bytes:
        began = time.perf_counter()
        views = self._views()
        lines: list[str] = []
        for series, samples in self._families(views):
            name = series.name.removesuffix("_total") if openmetrics else series.name
            lines.append(f"# HELP {name} {series.help.translate(_ESCAPES) if openmetrics else series.help}")
            lines.append(f"# TYPE {name} {series.kind}")
            lines.extend(samples)
        lines.append("")
        own = generate_openmetrics if openmetrics else prometheus_client.generate_latest
        self._telemetry.scraped(time.perf_counter() - began)
        return "\n".join(lines).encode() + own(self._telemetry.registry)

    # --- one moment -----------------------------------------------------------------------------

    def _views(self) -> list[_View]:
        environment = self._monitor.config.environment
        with self._monitor.lock:
            models = [self._view(model, environment) for model in self._monitor.models.values()]
            live = {
                (model.name, model.version, key)
                for model in self._monitor.models.values()
                for key in model.tracks
            }
        self._constant = {key: kept for key, kept in self._constant.items() if key in live}
        known = {(view.model.name, view.model.version) for view in models}
        self._shown = {
            key
            for key in self._shown
            if key[:2] in known and (key[2:3] != ("track",) or (*key[:2], key[3]) in live)
        }
        return models

    def _view(self, model: ModelVersion, environment: str) -> _View:
        key = (model.name, model.version)
        seen = self._seen(*key)
        tracks = []
        for baseline_id, track in model.tracks.items():
            shown = self._seen(*key, "track", baseline_id)
            tracks.append(
                _TrackView(
                    track,
                    track.layout.folded(track.totals.values) * shown,
                    track.totals.faults * shown,
                    track.stuck * shown,
                    track.segment_totals.values * shown,
                    track.segment_totals.faults * shown,
                    ScoreSums(
                        track.score_totals.values * shown,
                        track.score_totals.sums * shown,
                        track.score_totals.squares * shown,
                    ),
                    track.scores,
                    track.rows,
                    track.entities,
                )
            )
        return _View(
            model,
            _labels(environment, *key),
            model.predictions * seen,
            {name: count * self._seen(*key, "error", name) for name, count in model.errors.items()},
            _Buckets.of(model.durations, shown=seen),
            None
            if model.confidences is None
            else _Buckets.of(model.confidences, shown=self._seen(*key, "confidence")),
            model.checked * seen,
            model.undeclared_values * seen,
            {r: model.dropped[r] * seen for r in names.DROPPED_REASONS if r != names.MODEL_LIMIT},
            model.sender_dropped * seen,
            model.sender_left_out * seen,
            model.sender_lost * seen,
            model.task_differs * seen,
            (model.schema.id, len(model.schema)),
            {change: count * seen for change, count in model.schema.changes.items()},
            model.segment_rows * seen,
            model.segment_errors * seen,
            {
                name: count * self._seen(*key, "learning", name)
                for name, count in model.learning_missing.items()
            },
            tuple(tracks),
        )

    def _seen(self, *key: str) -> bool:
        """Return whether *key* was in an earlier exposition.

        A counter that appears with 40 has, for Prometheus, not risen by 40: it must be seen at 0 first.
        """
        if key in self._shown:
            return True
        self._shown.add(key)
        return False

    def _constants(self, view: _View, track: Track) -> _Constant:
        key = (view.model.name, view.model.version, track.baseline.id)
        if key not in self._constant:
            self._constant[key] = _Constant(view, track)
        return self._constant[key]

    # --- families -------------------------------------------------------------------------------

    def _families(self, views: list[_View]) -> Iterator[tuple[Series, Iterable[str]]]:
        pairs = [(self._constants(view, t.track), t) for view in views for t in view.tracks]
        unique = _unique if any(len(view.tracks) > 1 for view in views) else _as_they_are

        yield names.FEATURE_VALUES, unique((c.values, t.values.tolist()) for c, t in pairs)
        learning = (
            (
                [
                    f'driftline_feature_faults_total{{{v.labels},feature="{escape(name)}",fault="missing"}} '
                    for name in v.learning_missing
                ],
                list(v.learning_missing.values()),
            )
            for v in views
            if not v.tracks
        )
        faults = ((c.faults, t.faults[c.fault_rows, c.fault_kinds].tolist()) for c, t in pairs)
        stuck = ((c.stuck, t.stuck[t.track.constancy.judged].tolist()) for c, t in pairs)
        yield names.FEATURE_FAULTS, unique([*faults, *stuck, *learning])
        for number, series in enumerate(
            (
                names.BASELINE_RATIO,
                names.BASELINE_VALUES,
                names.BASELINE_FAULT_RATIO,
                names.BASELINE_SCORE_EXPLAINED,
            )
        ):
            yield series, unique((c.baseline[number], None) for c, _ in pairs)
        yield names.DRIFT_THRESHOLD, unique((c.thresholds, None) for c, _ in pairs)
        yield (
            names.OVERDISPERSION,
            unique(
                (
                    [
                        f'{c.overdispersion[score.feature]},window="{name}"}} {score.overdispersion!r}'
                        for name, scores in t.scores.items()
                        for score in scores
                        if score.overdispersion is not None
                    ],
                    None,
                )
                for c, t in pairs
            ),
        )
        yield names.SCORED_VALUES, unique((c.scored_values, t.score_sums.values.tolist()) for c, t in pairs)
        yield names.SCORE_SUM, unique((c.score_sums, t.score_sums.sums.tolist()) for c, t in pairs)
        yield names.SCORE_SQUARES, unique((c.score_squares, t.score_sums.squares.tolist()) for c, t in pairs)
        yield (
            names.SEGMENT_VALUES,
            unique((c.segment_values, t.segment_values.ravel().tolist()) for c, t in pairs),
        )
        yield (
            names.SEGMENT_FAULTS,
            unique(
                (c.segment_faults, t.segment_faults[:, c.fault_rows, c.fault_kinds].ravel().tolist())
                for c, t in pairs
            ),
        )
        yield from self._of_models(views)
        config = self._monitor.config
        yield (
            names.MODEL_RETIRED,
            [
                f'driftline_model_retired{{environment="{escape(config.environment)}",model="{escape(name)}"}} 1'
                for name, settings in config.models.items()
                if settings.retired
            ],
        )
        yield from self._of_this_sidecar(views)

    def _of_this_sidecar(self, views: list[_View]) -> Iterator[tuple[Series, Iterable[str]]]:
        latest = [(view, view.tracks[-1]) for view in views if view.tracks]
        scores = [
            (self._constants(view, t.track).local[score.feature] + f',window="{name}"', score)
            for view, t in latest
            for name, found in t.scores.items()
            for score in found
        ]
        yield (
            names.LOCAL_DRIFT,
            [
                f'driftline_sidecar_feature_drift{{{labels},statistic="{statistic}"}} {value!r}'
                for labels, score in scores
                for statistic, value in score.scores.items()
            ],
        )
        for series, field in (
            (names.LOCAL_P_VALUE, "p_value"),
            (names.LOCAL_Q_VALUE, "q_value"),
            (names.LOCAL_MEAN, "mean"),
            (names.LOCAL_STDDEV, "stddev"),
        ):
            values = ((labels, getattr(score, field)) for labels, score in scores if score.scores)
            yield series, [f"{series.name}{{{labels}}} {v!r}" for labels, v in values if v is not None]
        yield (
            names.LOCAL_WINDOW_ROWS,
            [
                f'driftline_sidecar_window_rows{{{view.labels},window="{name}"}} {rows}'
                for view, t in latest
                for name, rows in t.rows.items()
            ],
        )
        yield (
            names.LOCAL_WINDOW_ENTITIES,
            [
                f'driftline_sidecar_window_entities{{{view.labels},window="{name}"}} {number!r}'
                for view, t in latest
                for name, number in t.entities.items()
            ],
        )
        yield (
            names.LOCAL_SCHEMA,
            [
                f'driftline_sidecar_model_schema_info{{{v.labels},schema="{v.schema[0]}",columns="{v.schema[1]}"}} 1'
                for v in views
            ],
        )
        yield (
            names.DROPPED,
            [
                f'driftline_sidecar_rows_dropped_total{{{labels},reason="{reason}"}} {rows}'
                for labels, dropped in (
                    *((v.labels, v.dropped) for v in views),
                    (
                        _labels(self._monitor.config.environment),
                        {names.MODEL_LIMIT: self._monitor.beyond_limits},
                    ),
                )
                for reason, rows in dropped.items()
            ],
        )
        now = self._monitor.clock()
        yield (
            names.LOCAL_WINDOW_FILL,
            [
                f'driftline_sidecar_window_fill_ratio{{{view.labels},window="{name}"}} '
                f"{min(1.0, max(0.0, now - t.track.since) / window.length):.4g}"
                for view, t in latest
                for name, window in t.track.windows.items()
            ],
        )

    @staticmethod
    def _of_models(views: list[_View]) -> Iterator[tuple[Series, Iterable[str]]]:
        def each(series: Series, value: Callable[[_View], float | None]) -> tuple[Series, list[str]]:
            found = ((view, value(view)) for view in views)
            return series, [
                f"{series.name}{{{v.labels}}} {number!r}" for v, number in found if number is not None
            ]

        def each_segment(
            series: Series, counts: Callable[[_View], NDArray[np.int64]]
        ) -> tuple[Series, list[str]]:
            return series, [
                f'{series.name}{{{v.labels},segment="{escape(label)}"}} {count}'
                for v in views
                for label, count in zip(v.model.segments.labels, counts(v).tolist(), strict=True)
            ]

        yield each(names.PREDICTIONS, lambda v: v.predictions)
        yield (
            names.PREDICTION_ERRORS,
            [
                f'driftline_prediction_errors_total{{{v.labels},error_type="{escape(name)}"}} {count}'
                for v in views
                for name, count in ({names.OTHER: 0} | dict(v.errors)).items()
            ],
        )
        for series, buckets in (
            (names.PREDICTION_DURATION, [v.durations for v in views]),
            (names.CONFIDENCE, [v.confidences for v in views]),
        ):
            pairs = zip(views, buckets, strict=True)
            yield series, [line for v, b in pairs if b is not None for line in b.lines(series, v.labels)]
        yield each(names.LAST_PREDICTION, lambda v: v.model.last_prediction)
        yield each(names.SILENCE_THRESHOLD, lambda v: v.model.settings.silence if v.model.awaited else None)
        yield each(names.MIN_ROWS, lambda v: v.model.settings.min_rows)
        yield (
            names.MODEL_INFO,
            [
                f'driftline_model_info{{{v.labels},owner="{escape(v.model.settings.owner)}",'
                f'tier="{escape(v.model.settings.tier)}",task="{escape(v.model.task or "")}"}} 1'
                for v in views
            ],
        )
        yield names.MODEL_VERSION_INFO, [_version_info(v) for v in views]
        yield each(
            names.BASELINE_CREATED,
            lambda v: _seconds(v.tracks[-1].track.baseline.created) if v.tracks else None,
        )
        yield each(names.CHECKED_VALUES, lambda v: int(v.checked[0]))
        yield each(names.WRONG_TYPE_VALUES, lambda v: int(v.checked[1]))
        yield each(names.UNDECLARED_COLUMNS, lambda v: v.undeclared_values)
        yield (
            names.SCHEMA_CHANGED,
            [
                f'driftline_model_schema_changes_total{{{v.labels},change="{change}"}} {count}'
                for v in views
                for change, count in v.schema_changes.items()
            ],
        )
        yield each_segment(names.SEGMENT_PREDICTIONS, lambda v: v.segment_rows)
        yield each_segment(names.SEGMENT_ERRORS, lambda v: v.segment_errors)
        yield each(names.SENDER_DROPPED, lambda v: v.sender_dropped)
        yield each(names.SENDER_LEFT_OUT, lambda v: v.sender_left_out)
        yield each(names.SENDER_LOST, lambda v: v.sender_lost)
        yield each(names.TASK_DIFFERS, lambda v: v.task_differs)


class _Constant:
    """The constant part of every line of one track."""

    def __init__(self, view: _View, track: Track) -> None:
        features = track.layout.features
        settings = view.model.settings
        of = {f.name: f'{view.labels},feature="{escape(f.name)}"' for f in features}
        binned = {f.name: f'{of[f.name]},binning="{f.binning}"' for f in features}
        bins = [(f, number, bin_) for f in features for number, bin_ in enumerate(f.bins)]
        self.values = [
            f'driftline_feature_values_total{{{binned[f.name]},bin="{escape(bin_)}"}} ' for f, _, bin_ in bins
        ]
        kinds = [
            (row, names.FAULTS.index(fault), f.name, fault)
            for row, f in enumerate(features)
            for fault in names.FAULTS_OF_KIND[f.kind]
        ]
        varied = [features[number] for number in track.constancy.judged]
        self.fault_rows = [row for row, _, _, _ in kinds]
        self.fault_kinds = [kind for _, kind, _, _ in kinds]
        self.faults = [
            f'driftline_feature_faults_total{{{of[name]},fault="{fault}"}} ' for _, _, name, fault in kinds
        ]
        self.baseline = (
            [
                f'driftline_feature_baseline_ratio{{{binned[f.name]},bin="{escape(bin_)}"}} {float(f.ratios[n])!r}'
                for f, n, bin_ in bins
                if f.values
            ],
            [f"driftline_feature_baseline_values{{{binned[f.name]}}} {f.values}" for f in features],
            [
                f'driftline_feature_baseline_fault_ratio{{{of[f.name]},fault="{fault}"}} '
                f"{f.faults.get(fault, 0) / f.rows!r}"
                for f in features
                if f.rows
                for fault in names.FAULTS_OF_KIND[f.kind]
            ]
            + [
                f'driftline_feature_baseline_fault_ratio{{{of[f.name]},fault="{names.CONSTANT}"}} 0.0'
                for f in varied
            ],
            [
                f"driftline_feature_baseline_score_explained_ratio{{{binned[name]}}} {share!r}"
                for name, share in track.attribution.in_training.items()
            ],
        )
        self.stuck = [
            f'driftline_feature_faults_total{{{of[f.name]},fault="{names.CONSTANT}"}} ' for f in varied
        ]
        self.thresholds = [
            f'driftline_feature_drift_threshold{{{of[f.name]},statistic="psi",priority="{priority}"}} {value!r}'
            for f in features
            for priority, value in settings.psi_thresholds(f.name).items()
        ]
        self.overdispersion = {
            name: f"driftline_feature_overdispersion{{{labels}" for name, labels in binned.items()
        }
        self.local = of
        attributed = track.attribution.features
        in_bins = [f'{binned[f.name]},bin="{escape(bin_)}"' for f in attributed for bin_ in f.bins]
        self.scored_values = [f"driftline_feature_scored_values_total{{{labels}}} " for labels in in_bins]
        self.score_sums = [f"driftline_feature_score_sum_total{{{labels}}} " for labels in in_bins]
        self.score_squares = [
            f"driftline_feature_score_squares_total{{{binned[f.name]}}} " for f in attributed
        ]
        segments = [f'segment="{escape(label)}"' for label in view.model.segments.labels]
        coarse = [
            f'feature="{escape(f.name)}",binning="{bins.binning(f.kind)}",bin="{escape(bin_)}"'
            for f, bins in zip(features, track.segments.bins, strict=True)
            for bin_ in bins.labels
        ]
        self.segment_values = [
            f"driftline_segment_feature_values_total{{{view.labels},{segment},{bin_}}} "
            for segment in segments
            for bin_ in coarse
        ]
        self.segment_faults = [
            f"driftline_segment_feature_faults_total{{{view.labels},{segment},"
            f'feature="{escape(name)}",fault="{fault}"}} '
            for segment in segments
            for _, _, name, fault in kinds
        ]


def _as_they_are(parts: Iterable[tuple[list[str], Sequence[float] | None]]) -> list[str]:
    lines: list[str] = []
    for prefixes, values in parts:
        lines.extend(prefixes if values is None else map(str.__add__, prefixes, map(str, values)))
    return lines


def _unique(parts: Iterable[tuple[list[str], Sequence[float] | None]]) -> list[str]:
    """Join the lines of tracks that may name the same series: counters add up, of gauges the last holds."""
    found: dict[str, Any] = {}
    for prefixes, values in parts:
        for number, line in enumerate(prefixes):
            if values is None:
                prefix, _, value = line.rpartition(" ")
                found[prefix + " "] = value
            else:
                found[line] = found.get(line, 0) + values[number]
    return [f"{prefix}{value}" for prefix, value in found.items()]


def _seconds(moment: str) -> float:
    return dt.datetime.fromisoformat(moment).timestamp()


def _version_info(view: _View) -> str:
    model = view.model
    baseline = view.tracks[-1].track.baseline if view.tracks else None
    labels = {
        "baseline": baseline.id if baseline else "",
        "dataset_version": model.dataset_version or (baseline.dataset_version if baseline else None) or "",
        "deployment_id": "",
        "state": "ready" if baseline else "learning",
    }
    rendered = ",".join(f'{name}="{escape(value)}"' for name, value in labels.items())
    return f"driftline_model_version_info{{{view.labels},{rendered}}} 1"


def _labels(environment: str, model: str = "", version: str = "") -> str:
    """Return the labels of a model and version; Prometheus takes an empty one for none."""
    return f'environment="{escape(environment)}",model="{escape(model)}",version="{escape(version)}"'


def escape(value: str) -> str:
    """Return *value* as it may stand in a label's quotes."""
    return value.translate(_ESCAPES)
