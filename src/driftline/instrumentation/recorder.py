"""One call of a model: a span, a duration, and its rows in the buffer."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from opentelemetry import context, metrics, trace
from opentelemetry.trace import SpanKind, Status, StatusCode

from driftline import names
from driftline.errors import ConfigurationError
from driftline.instrumentation.buffer import Entry, Model
from driftline.instrumentation.inputs import Part, Unreadable, read_features, read_prediction, read_score
from driftline.instrumentation.problems import problem
from driftline.instrumentation.process import outlet
from driftline.instrumentation.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from types import TracebackType

    from numpy.typing import NDArray
    from opentelemetry.metrics import Histogram

    from driftline.instrumentation.sender import Sender

_current: ContextVar[Call | None] = ContextVar("driftline_call", default=None)


class Recorder:
    """Records the calls of one model and version.

    Raises:
        ConfigurationError: A name or version is empty or too long, or the task is unknown.
    """

    def __init__(
        self,
        name: str,
        version: str,
        *,
        task: str | None = None,
        ignore: Collection[str] = (),
        settings: Settings,
    ) -> None:
        faults = [
            f"{what}: {value!r} must be text of 1 to {names.MAX_MODEL_BYTES} bytes"
            for what, value in (("name", name), ("version", version))
            if not isinstance(value, str)
            or not 0 < len(value.encode("utf-8", "replace")) <= names.MAX_MODEL_BYTES
        ]
        if task is not None and task not in names.TASKS:
            faults.append(f"task: {task!r} is none of {', '.join(names.TASKS)}")
        if faults:
            raise ConfigurationError(faults)
        self.key = name, version
        self.model = Model(self.key, task, frozenset(ignore))
        self.outlet = outlet(settings)
        self.tracer = trace.get_tracer(names.SCOPE)
        self.span_name = f"predict {name}"
        self.attributes = {names.ATTR_MODEL_NAME: name, names.ATTR_MODEL_VERSION: version}
        self.span_attributes = self.attributes | ({names.ATTR_TASK: task} if task else {})
        self._columns: tuple[Any, tuple[str, ...] | None] = (None, None)

    def call(self, features: Any, owner: Any = None) -> Call:
        """Return a context manager around one call with *features*; *owner* knows their names and classes."""
        return Call(self, features, owner)

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Record no call of this model inside: training and scoring serve nobody."""
        with _Silence(self, None):
            yield

    def columns(self, owner: Any) -> tuple[str, ...] | None:
        """Return the feature names that scikit-learn keeps on a fitted *owner*, or None."""
        given = getattr(owner, "feature_names_in_", None)
        if given is None:
            return None
        known, columns = self._columns
        if given is not known:
            columns = tuple(map(str, given))
            self._columns = given, columns
        return columns


class Call:
    """One call of a model, as a context manager.

    Attributes:
        prediction: What the model returned: one value a row.
        score: One score a row, one a class and row, or a dictionary of scores by class.
        key: Name and version of the model.
        outer: The call around this one, if any.
        over: Whether it ended.
    """

    __slots__ = (
        "_counted", "_features", "_kept", "_owner", "_part", "_paused", "_rate", "_recorder", "_rows", "_sender", "_size", "_span",
        "_started", "_token", "key", "outer", "over", "prediction", "score",
    )  # fmt: skip

    def __init__(self, recorder: Recorder | None, features: Any, owner: Any = None) -> None:
        self.key = None if recorder is None else recorder.key
        self.outer: Call | None = None
        self.over = False
        self._recorder = recorder
        self._features = features
        self._owner = owner
        self._counted = False
        self._part: Part | None = None
        self._rows: int | None = None
        self._kept: NDArray[np.intp] | None = None
        self._sender: Sender | None = None
        self._span: trace.Span | None = None
        self._token: Any = None
        self._paused: float | None = None
        self.prediction: Any = None
        self.score: Any = None

    def __enter__(self) -> Self:
        recorder = self._recorder
        if recorder is not None and not self._nested(recorder):
            self._counted = True
            _guarded(self._copy, recorder)
            _guarded(self._start_span, recorder)
            _current.set(self)
        self._started = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        paused = self._paused
        seconds = (perf_counter() if paused is None else paused) - self._started
        recorder = self._recorder
        if recorder is None or not self._counted:
            return
        self.over = True
        if paused is None:
            _current.set(self.outer)
        error_type = None if kind is None else kind.__qualname__
        _guarded(_record_duration, recorder, seconds, error_type)
        if self._token is not None:
            _guarded(context.detach, self._token)
        if self._span is not None:
            _guarded(_end_span, self._span, error_type)
        _guarded(self._keep, recorder, seconds, error_type)
        self._features = self._owner = self._part = None

    @property
    def rows(self) -> int | None:
        """How many rows its features have; None where that is not known."""
        return self._rows

    def suspend(self) -> None:
        """Let the caller go on in the midst of the call: what it does is no part of it and not of its time."""
        if self._counted and self._paused is None:
            self._paused = perf_counter()
            _current.set(self.outer)
            if self._token is not None:
                _guarded(context.detach, self._token)
                self._token = None

    def resume(self) -> None:
        """Go on with the call, from wherever its caller is now."""
        if self._counted and self._paused is not None:
            self._started += perf_counter() - self._paused
            self._paused = None
            self.outer = _current.get()
            _current.set(self)
            if self._span is not None:
                _guarded(self._attach, self._span)

    def _nested(self, recorder: Recorder) -> bool:
        """Tell whether the same model is being called already: scikit-learn's predict calls predict_proba.

        A task that was started inside a call inherits it and may outlive it: a call that is over counts
        for nothing, and is forgotten.
        """
        outer = _current.get()
        while outer is not None and outer.over:
            outer = outer.outer
        self.outer = outer
        while outer is not None:
            if outer.key == recorder.key:
                return True
            outer = outer.outer
        return False

    def _copy(self, recorder: Recorder) -> None:
        """Copy the features before the model runs: it may change them, and so may the caller afterwards."""
        try:
            part = read_features(self._features, recorder.columns(self._owner))
        except Exception as error:  # noqa: BLE001 - foreign objects do as they like
            reason = (
                error if isinstance(error, Unreadable) else f"{type(self._features).__qualname__}, {error!r}"
            )
            problem("features", f"features of {recorder.key[0]} are not sent: {reason} is not understood")
            self._rows = _length(self._features)
            return
        self._rows = part.rows
        self._reserve(recorder, part.rows, part.row_bytes)
        if self._kept is None or len(self._kept):
            part.own(self._kept)
            self._part = part

    def _reserve(self, recorder: Recorder, rows: int, row_bytes: int) -> None:
        sender = self._sender = recorder.outlet.sender or recorder.outlet.open()
        held = row_bytes + recorder.model.extra_bytes
        self._rate, self._size = sender.buffer.reserve(rows, held)
        if self._rate < 1:
            kept = self._kept = sample(rows, self._rate, sender.random)
            reserved, self._size = self._size, int(len(kept) * held)
            sender.buffer.release(reserved - self._size)

    def _start_span(self, recorder: Recorder) -> None:
        attributes: dict[str, Any] = recorder.span_attributes
        if self._rows is not None:
            attributes = {**attributes, names.ATTR_BATCH_SIZE: self._rows}
        span = recorder.tracer.start_span(recorder.span_name, kind=SpanKind.INTERNAL, attributes=attributes)
        self._span = span
        self._attach(span)

    def _attach(self, span: trace.Span) -> None:
        if span.get_span_context().is_valid:
            self._token = context.attach(trace.set_span_in_context(span))

    def _keep(self, recorder: Recorder, seconds: float, error: str | None) -> None:
        prediction = score = None
        if error is None:
            if self.prediction is not None:
                prediction = self._output(recorder, read_prediction, self.prediction)
            if self.score is not None:
                score = self._output(recorder, read_score, self.score, getattr(self._owner, "classes_", None))
        rows = self._rows
        if rows is None:
            found = prediction or score
            rows = 1 if found is None else found.rows
        if self._sender is None:
            self._reserve(recorder, rows, 0)
        sender, kept = self._sender, self._kept
        if sender is None or sender is not recorder.outlet.sender:
            return  # forked or shut down meanwhile: what was reserved is gone
        count = rows if kept is None else len(kept)
        if not count:
            sender.buffer.drop(recorder.model, rows, self._size, failed=error is not None)
            return
        try:
            if prediction is not None:
                prediction.own(kept)
            if score is not None:
                score.own(kept)
            if kept is not None and kept[0]:
                seconds = np.nan  # the call's first row is not among those kept
            parts = (self._part, prediction, score)
            entry = Entry(recorder.model, count, self._rate, self._size, parts, seconds, error)
        except BaseException:
            sender.buffer.drop(recorder.model, rows, self._size, failed=error is not None)
            raise
        if not sender.buffer.add(entry, rows):
            problem("models", "more than 1000 models and versions in one process; those beyond are not sent")

    def _output(self, recorder: Recorder, read: Callable[..., Part], *given: Any) -> Part | None:
        try:
            part = read(*given)
        except Exception as error:  # noqa: BLE001 - foreign objects do as they like
            reason = error if isinstance(error, Unreadable) else f"{type(given[0]).__qualname__}, {error!r}"
            problem("output", f"an output of {recorder.key[0]} is not sent: {reason} is not understood")
            return None
        if self._rows is not None and part.rows != self._rows:
            problem(
                "output_rows",
                f"an output of {recorder.key[0]} is not sent: {part.rows} values for {self._rows} rows of "
                "features; pass one row a prediction, in two dimensions",
            )
            return None
        return part


class _Silence(Call):
    """A call that records nothing and lets no call of its model inside be recorded."""

    __slots__ = ()

    def __enter__(self) -> Self:
        self.outer = _current.get()
        _current.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.over = True
        _current.set(self.outer)


def observe(
    name: str,
    version: str,
    features: Any,
    *,
    task: str | None = None,
    ignore: Collection[str] = (),
    endpoint: str | None = None,
) -> Call:
    """Return a context manager around one prediction where there is no model object to wrap.

    ::

        with driftline.observe("fraud", "2.3.1", features) as call:
            call.prediction = decide(features)

    It never raises: what is wrong with its arguments is logged and counted, and nothing is recorded.

    Args:
        name: The model's name.
        version: Its version.
        features: One row (a dictionary of scalars) or many: array, DataFrame, list of dictionaries, ...
        task: One of classification, regression, ranking, forecasting, generation.
        ignore: Features that must not leave the process.
        endpoint: The sidecar's address, else ``DRIFTLINE_ENDPOINT``, else http://127.0.0.1:4328.
    """
    try:
        recorder = _observer(name, version, task, tuple(ignore), endpoint)
    except Exception as error:  # noqa: BLE001 - nothing of ours reaches the caller
        problem("observe", f"observe({name!r}, {version!r}) records nothing: {error}")
        recorder = None
    return Call(recorder, features)


@lru_cache(maxsize=1024)
def _observer(
    name: str, version: str, task: str | None, ignore: tuple[str, ...], endpoint: str | None
) -> Recorder | None:
    settings = Settings.load(endpoint=endpoint)
    return None if settings.disabled else Recorder(name, version, task=task, ignore=ignore, settings=settings)


def sample(rows: int, rate: float, random: np.random.Generator) -> NDArray[np.intp]:
    """Return the indices of *rows* that are kept, each with probability *rate*, by rising index.

    What is drawn is the gaps between them, so that the cost is that of the kept rows alone.
    """
    if rate <= 0 or rows == 0:
        return np.empty(0, np.intp)
    pieces, last = [], -1
    while last < rows:
        expected = (rows - last) * rate
        piece = last + np.cumsum(random.geometric(rate, int(expected + 4 * expected**0.5) + 1))
        pieces.append(piece)
        last = int(piece[-1])
    kept = np.concatenate(pieces)
    return kept[kept < rows]


def _guarded(step: Callable[..., Any], *args: Any) -> None:
    """Take one step of ours; nothing that goes wrong in it reaches the caller or keeps the next from going."""
    try:
        step(*args)
    except Exception as error:  # noqa: BLE001 - see above
        problem("record", "driftline could not record a call", error)


def _record_duration(recorder: Recorder, seconds: float, error: str | None) -> None:
    attributes = (
        recorder.attributes if error is None else {**recorder.attributes, names.ATTR_ERROR_TYPE: error}
    )
    _duration().record(seconds, attributes)


def _end_span(span: trace.Span, error: str | None) -> None:
    try:
        if error is not None:
            span.set_attribute(names.ATTR_ERROR_TYPE, error)
            span.set_status(Status(StatusCode.ERROR))
    finally:
        span.end()


@cache
def _duration() -> Histogram:
    meter = metrics.get_meter(names.SCOPE)
    said: dict[str, Any] = {"unit": "s", "description": "Duration of a call of the model."}
    try:
        return meter.create_histogram(
            names.METRIC_DURATION, explicit_bucket_boundaries_advisory=names.DURATION_BOUNDS, **said
        )
    except TypeError:  # opentelemetry-api before 1.30: the bounds are the service's to set, by a view
        return meter.create_histogram(names.METRIC_DURATION, **said)


def _length(features: Any) -> int | None:
    """Return how many rows *features* have that were not understood, where they say so."""
    try:
        return None if isinstance(features, dict) else len(features)
    except Exception:  # noqa: BLE001 - a generator has none, and others do as they like
        return None
