"""One call of a model: a span, a duration, and its rows in the buffer."""

from __future__ import annotations

import copy
import os
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from opentelemetry import context, trace
from opentelemetry.trace import INVALID_SPAN, SpanKind, Status, StatusCode

from driftline import names
from driftline.embedding import Embedding
from driftline.errors import ConfigurationError
from driftline.instrumentation import bins
from driftline.instrumentation.entries import Entry, Model
from driftline.instrumentation.inputs import SCALARS, read_features, read_prediction, read_score
from driftline.instrumentation.lanes import form_of, lane_for
from driftline.instrumentation.parts import Part, Scalars, Unreadable
from driftline.instrumentation.policy import Policy
from driftline.instrumentation.problems import problem, remark
from driftline.instrumentation.process import outlet
from driftline.instrumentation.vectors import Embeddings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

    from numpy.typing import NDArray

    from driftline.baseline import Baseline
    from driftline.instrumentation.lanes import Form, Lane
    from driftline.instrumentation.parts import Kept
    from driftline.instrumentation.said import Said
    from driftline.instrumentation.sender import Sender
    from driftline.instrumentation.settings import Settings

_FAILED = "driftline could not record a call"
_INTERNAL = SpanKind.INTERNAL  # an enumeration takes a tenth of a microsecond to be asked
MOST_FORMS = 8  # of which a recorder remembers lanes
EVERYTHING = Policy()
_OVER = object()
"""Stands in the place of the features that a call let go of at its end."""
_current: ContextVar[Call | None] = ContextVar("driftline_call", default=None)


class Known(NamedTuple):
    """What is known of a model's features and classes, under the names that scikit-learn gave them."""

    feature_names_in_: Sequence[str] | None
    classes_: Sequence[Any] | None


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
        policy: Policy = EVERYTHING,
        baseline: Baseline | None = None,
        embeddings: Iterable[Embedding] = (),
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
        self.model = Model(self.key, task, baseline)
        self.said: Said | None = None
        self.embeddings = Embeddings.of(embeddings, baseline)
        if self.embeddings is not None:
            policy = policy.of_embeddings(self.embeddings.by_name.values())
        self.policy = policy if policy.limits else None
        self.sample_rate = settings.sample_rate
        self.simple = self.policy is None and self.embeddings is None and self.sample_rate == 1
        self.outlet = outlet(replace(settings, sample_rate=1.0, baseline=None))  # one way out for all models
        self.tracer = trace.get_tracer(names.SCOPE)
        self.span_name = f"predict {name}"
        self.attributes = {names.ATTR_MODEL_NAME: name, names.ATTR_MODEL_VERSION: version}
        self._task = {names.ATTR_TASK: task} if task else {}
        self.row_attributes = self.span_attributes(1)
        self._columns: tuple[Any, tuple[str, ...] | None] = (None, None)
        self._told_of_idle = False
        self.lanes: tuple[tuple[Sender, Lane], ...] = ()  # for calls like some before, each of a sender

    def call(self, features: Any, owner: Any = None) -> Call:
        """Return a context manager around one call with *features*; *owner* knows their names and classes."""
        return Call(self, features, owner)

    def saying(self, said: Said | None) -> Recorder:
        """Return a recorder of the same model which says as much of every call."""
        other = copy.copy(self)
        other.said = said
        return other

    def span_attributes(self, rows: int | None) -> dict[str, Any]:
        """Return the attributes of the span of a call of so many *rows*, where that is known."""
        size = {} if rows is None else {names.ATTR_BATCH_SIZE: rows}
        return {**self.attributes, **self._task, **size}

    def failed_attributes(self, error: str) -> dict[str, str]:
        """Return the attributes of the duration of a call that *error* ended."""
        return {**self.attributes, names.ATTR_ERROR_TYPE: error}

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Record no call of this model inside: training and scoring serve nobody."""
        with Silence(self, None):
            yield

    def tell_of_idle(self, policy: Policy, part: Part) -> None:
        """Say of the first call which names keep nothing back: what was meant may be leaving."""
        if self._told_of_idle:
            return
        self._told_of_idle = True
        features = list(map(str, part.names or ()))

        def noted(name: str) -> bool:
            features.append(name)
            return False

        if part.names is None:  # x0, x1, ...
            part.only(noted)
        idle = policy.idle((*features, *(self.embeddings.by_name if self.embeddings else ())))
        if idle:
            remark(
                "policy",
                f"no feature of {self.key[0]} is called {' or '.join(idle)}, which keeps nothing back; "
                f"they are {', '.join(features[:20])}",
                of=self.key[0],
            )

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


def recorder_for(
    name: str,
    version: str,
    *,
    settings: Settings,
    task: str | None = None,
    policy: Policy = EVERYTHING,
    embedding: Embedding | Iterable[Embedding] | None = None,
) -> Recorder | None:
    """Return a recorder; None where driftline is off, or the environment's baseline cannot be used.

    Then nothing is recorded: whoever wanted only counts to leave did not want values to.

    Raises:
        ConfigurationError: What the developer gave cannot be used.
    """
    if settings.disabled:
        return None
    baseline = None
    if settings.baseline is not None:
        try:
            baseline = bins.load(settings.baseline, (name, version))
        except ConfigurationError as error:
            if settings.baseline != os.environ.get("DRIFTLINE_BASELINE"):
                raise
            problem("settings", f"DRIFTLINE_BASELINE: {error}; nothing of {name} is recorded", of=name)
            return None
    embeddings = (embedding,) if isinstance(embedding, Embedding) else tuple(embedding or ())
    if not all(isinstance(one, Embedding) for one in embeddings):
        raise ConfigurationError(
            f"embedding: {embedding!r} is none; pass driftline.Embedding, or several of them"
        )
    return Recorder(
        name, version, task=task, policy=policy, baseline=baseline, embeddings=embeddings, settings=settings
    )


class Call:
    """One call of a model, as a context manager.

    What stands here is paid by every prediction, so it takes few steps and no detour; each step is guarded
    by itself, so that what goes wrong in one keeps no other from going.

    Attributes:
        prediction: What the model returned: one value a row.
        score: One score a row, one a class and row, or a dictionary of scores by class.
        said: What is said of the rows besides; None for nothing.
        recorder: Records it.
        owner: Knows the features' names and the classes; or None.
        features: What the model is called with, until the end.
        rows: How many rows that has; None where that is not known.
        lane: Where its row goes if it ends as those before it did; None for a call unlike them.
        row: The copy that goes there.
        size: The bytes that are reserved for what is copied.
        span: Its span, from its beginning.
        outer: The call around this one, if any.
        began: When; None before it did, and once it is over.
    """

    __slots__ = (
        "_form", "_hashes", "_kept", "_left_out", "_part", "_paused", "_rate", "_sender", "_token", "began", "features",
        "lane", "outer", "owner", "prediction", "recorder", "row", "rows", "said", "score", "size", "span",
    )  # fmt: skip
    _form: Form | None
    _kept: NDArray[np.intp] | None
    _left_out: int
    _part: Part | None
    _hashes: Part | None
    _sender: Sender | None
    row: Any
    size: int

    def __init__(self, recorder: Recorder, features: Any, owner: Any = None) -> None:
        self.recorder = recorder
        self.features = features
        self.owner = owner
        self.said = recorder.said
        self.prediction: Any = None
        self.score: Any = None
        self.rows: int | None = None
        self.lane: Lane | None = None
        self.span: trace.Span | None = None
        self.outer: Call | None = None
        self.began: float | None = None
        self._paused: float | None = None

    def __enter__(self) -> Self:
        outer = _current.get()
        if outer is not None and self._inside(outer):
            return self
        recorder = self.recorder
        try:
            for sender, lane in recorder.lanes if self.said is None else ():
                row = lane.copy(self.features, self.owner, recorder)
                if row is not None and sender is recorder.outlet.sender:
                    size = next(lane.permits, None) or sender.buffer.permit(lane)
                    if size is not None:
                        self._sender, self.lane, self.row, self.size = sender, lane, row, size
                        self.rows = 1
                        break
            else:
                self._copy()
        except Exception as error:  # noqa: BLE001 - nothing of ours reaches the caller
            problem("record", _FAILED, error)
        try:
            span = self.span = recorder.tracer.start_span(
                recorder.span_name,
                None,
                _INTERNAL,
                recorder.row_attributes if self.rows == 1 else recorder.span_attributes(self.rows),
            )
            if span is not INVALID_SPAN:
                self._attach()
        except Exception as error:  # noqa: BLE001 - the same
            problem("span", _FAILED, error)
        _current.set(self)
        self.began = perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        began, paused = self.began, self._paused
        if began is None:
            return
        seconds = (perf_counter() if paused is None else paused) - began
        self.began = None
        if paused is None:
            _current.set(self.outer)
        try:
            if self.span is not INVALID_SPAN:
                self._end_span(kind)
        except Exception as failure:  # noqa: BLE001 - the same
            problem("span", _FAILED, failure)
        try:
            lane = self.lane
            if (
                lane is None
                or kind is not None
                or self.score is not None
                or self.said is not None
                or not lane.keep(self.row, self.prediction, seconds, self.size)
            ):
                self._keep(seconds, None if kind is None else kind.__qualname__)
            else:
                lane.durations.add(seconds, self.recorder.attributes, self.span)
        except Exception as failure:  # noqa: BLE001 - the same
            problem("record", _FAILED, failure)
        self.features = _OVER
        self.owner = self._part = self.row = None

    def suspend(self) -> None:
        """Let the caller go on in the midst of the call: what it does is no part of it and not of its time."""
        if self.began is not None and self._paused is None:
            self._paused = perf_counter()
            _current.set(self.outer)
            try:
                self._detach()
            except Exception as error:  # noqa: BLE001 - nothing of ours reaches the caller
                problem("span", _FAILED, error)

    def resume(self) -> None:
        """Go on with the call, from wherever its caller is now."""
        if self.began is not None and self._paused is not None:
            self.began += perf_counter() - self._paused
            self._paused = None
            self.outer = _current.get()
            _current.set(self)
            try:
                self._attach()
            except Exception as error:  # noqa: BLE001 - the same
                problem("span", _FAILED, error)

    def _inside(self, outer: Call | None) -> bool:
        """Tell whether the same model is being called already: scikit-learn's predict calls predict_proba."""
        self.outer = outer = _going_on(outer)
        while outer is not None:
            if outer.recorder.key == self.recorder.key:
                return True
            outer = outer.outer
        return False

    def _copy(self) -> None:
        """Copy the features before the model runs: it may change them, and so may the caller afterwards."""
        recorder, owner, policy = self.recorder, self.owner, self.recorder.policy
        self.lane = self._part = self._hashes = self._form = self._kept = self._sender = None
        secret: Part | None = None
        try:
            if self.features is _OVER:
                raise Unreadable("a block is one call; make another one for the next")  # noqa: TRY301 - said as the others are
            columns = None if owner is None else recorder.columns(owner)
            reads = read_features if recorder.embeddings is None else recorder.embeddings.read
            part = reads(self.features, columns)
            if recorder.simple and self.said is None:
                self._form = form_of(self.features, part, columns)
            if policy is not None:
                recorder.tell_of_idle(policy, part)
                secret = part.only(policy.secret) if policy.hashed else None
                part = part.only(policy.plain)
        except Exception as error:  # noqa: BLE001 - foreign objects do as they like
            why = _reason(error, self.features, limited=policy is not None)
            problem("features", f"features of {recorder.key[0]} are not sent: {why}")
            self.rows = _length(self.features)
            return
        rows = self.rows = part.rows
        self._reserve(rows, part.row_bytes)
        if self._kept is None or len(self._kept):
            part.own(self._kept)
            self._part = part
            if policy is not None and secret is not None and (secret.names is None or secret.names):
                self._hash(secret, policy)

    def _hash(self, secret: Part, policy: Policy) -> None:
        """Keep the hashes of what may leave as a hash only; of the values nothing is left when this returns."""
        try:
            secret.own(self._kept)
            self._hashes = policy.hash(secret)
        except Exception as error:  # noqa: BLE001 - foreign objects do as they like; what it says may be a value
            name = self.recorder.key[0]
            problem(
                "features", f"hashed features of {name} are not sent: {type(error).__qualname__}", of=name
            )

    def _reserve(self, rows: int, row_bytes: int) -> None:
        recorder = self.recorder
        sender = self._sender = recorder.outlet.sender or recorder.outlet.open()
        held = row_bytes + recorder.model.extra_bytes
        self._rate, wanted = recorder.sample_rate, rows
        if self._rate < 1:
            self._kept = sample(rows, self._rate, sender.random)
            wanted = len(self._kept)
        self._left_out = rows - wanted
        share, self.size = sender.buffer.reserve(wanted, held)
        if share < 1:
            self._rate *= share
            kept = sample(wanted, share, sender.random)
            self._kept = kept if self._kept is None else self._kept[kept]
            reserved, self.size = self.size, int(len(kept) * held)
            sender.buffer.release(reserved - self.size)

    def _attach(self) -> None:
        if self.span is not None and self.span is not INVALID_SPAN:
            self._token = None
            self._token = context.attach(trace.set_span_in_context(self.span))

    def _detach(self) -> None:
        if self.span is not None and self.span is not INVALID_SPAN:
            token, self._token = self._token, None
            if token is not None:
                context.detach(token)

    def _end_span(self, kind: type[BaseException] | None) -> None:
        span = self.span
        if span is None:
            return
        try:
            self._detach()
            if kind is not None:
                span.set_attribute(names.ATTR_ERROR_TYPE, kind.__qualname__)
                span.set_status(Status(StatusCode.ERROR))
        finally:
            span.end()

    def _keep(self, seconds: float, error: str | None) -> None:
        recorder, lane = self.recorder, self.lane
        if lane is not None:
            self._part, self._rate = lane.form.part([self.row]), 1.0
            self._hashes = self._form = self._kept = None
            self._left_out = 0
            recorder.lanes = tuple(
                each for each in recorder.lanes if each[1] is not lane
            )  # the next decides anew
        prediction = score = None
        if error is None:
            if self.prediction is not None:
                prediction = (
                    Scalars(names.COLUMN_PREDICTION, (self.prediction,))
                    if self.rows == 1 and isinstance(self.prediction, SCALARS)
                    else self._output(read_prediction, self.prediction)
                )
            if self.score is not None:
                score = self._output(self._read_score, self.score)
        rows = self.rows
        if rows is None:
            found = prediction or score
            rows = 1 if found is None else found.rows
        if self._sender is None:
            self._reserve(rows, 0)
        sender, kept = self._sender, self._kept
        if sender is None or sender is not recorder.outlet.sender:
            return  # forked or shut down meanwhile: what was reserved is gone
        attributes = recorder.attributes if error is None else recorder.failed_attributes(error)
        sender.durations.add(seconds, attributes, self.span)
        count = rows if kept is None else len(kept)
        if not count:
            sender.buffer.drop(recorder.model, rows, self._left_out, self.size, failed=error is not None)
            return
        try:
            if prediction is not None:
                prediction.own(kept)
            if score is not None:
                score.own(kept)
            parts: tuple[Part | None, ...] = (self._part, prediction, score)
            if self._hashes is not None:
                parts += (self._hashes,)
            if self.said is not None:
                parts += self._besides(self.said, rows, kept)
            entry = Entry(recorder.model, count, self._rate, self.size, parts, (seconds,), error)
        except BaseException:
            sender.buffer.drop(recorder.model, rows, self._left_out, self.size, failed=error is not None)
            raise
        if not sender.buffer.add(entry, rows, self._left_out):
            problem("models", "more than 1000 models and versions in one process; those beyond are not sent")
        elif self._form is not None and kept is None and error is None and score is None:
            self._remember(sender, self._form)

    def _remember(self, sender: Sender, form: Form) -> None:
        """Let calls like this one, of one row of a simple *form*, go the short way."""
        recorder = self.recorder
        if self._part is None:
            return
        lane = lane_for(
            recorder.model, form, self.prediction, self._part.row_bytes, sender.durations, sender.wake.ring
        )
        if lane is None:
            return
        lanes = tuple(each for each in recorder.lanes if each[0] is sender)
        others = tuple(each for each in lanes if each[1].key != lane.key)
        if len(others) < MOST_FORMS:
            lane = sender.buffer.lane(lane)
            recorder.lanes = lanes if lane is None else (*others, (sender, lane))

    def _besides(self, said: Said, rows: int, kept: Kept) -> tuple[Part, ...]:
        """Return a copy of what is said of the rows besides."""
        try:
            part = said.part(self.features, rows)
            if part is not None:
                part.own(kept)
                return (part,)
        except Exception as error:  # noqa: BLE001 - foreign objects do as they like
            problem(
                "said",
                f"what is said of a call of {self.recorder.key[0]} is not sent: {error}",
                of=self.recorder.key[0],
            )
        return ()

    def _read_score(self, score: Any) -> Part:
        return read_score(score, getattr(self.owner, "classes_", None))

    def _output(self, read: Callable[[Any], Part], given: Any) -> Part | None:
        name = self.recorder.key[0]
        try:
            part = read(given)
        except Exception as error:  # noqa: BLE001 - foreign objects do as they like
            problem("output", f"an output of {name} is not sent: {_reason(error, given)}", of=name)
            return None
        if self.rows is not None and part.rows != self.rows:
            problem(
                "output_rows",
                f"an output of {name} is not sent: {part.rows} values for {self.rows} rows of "
                "features; pass one row a prediction, in two dimensions",
                of=name,
            )
            return None
        return part


class Silence(Call):
    """A call that records nothing and lets no call of its model inside be recorded."""

    __slots__ = ()

    def __enter__(self) -> Self:
        self.outer = _current.get()
        _current.set(self)
        self.began = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        self.began = None
        _current.set(self.outer)


def current_call() -> Call | None:
    """Return the call that whoever asks is a part of, if any."""
    return _going_on(_current.get())


def _going_on(call: Call | None) -> Call | None:
    """Return *call*, or the next around it that is not over.

    A task that was started inside a call inherits it and may outlive it: a call that is over counts
    for nothing, and is forgotten.
    """
    while call is not None and call.began is None:
        call = call.outer
    return call


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


def _reason(error: Exception, given: Any, *, limited: bool = False) -> str:
    """Return why *given* is not sent; an error of others may quote a value, which *limited* may not be seen."""
    if isinstance(error, Unreadable):
        return str(error)
    said = type(error).__qualname__ if limited else repr(error)
    return f"{type(given).__module__}.{type(given).__qualname__} is not understood, {said}"


def _length(features: Any) -> int | None:
    """Return how many rows *features* have that were not understood, where they say so."""
    try:
        return None if isinstance(features, dict) else len(features)
    except Exception:  # noqa: BLE001 - a generator has none, and others do as they like
        return None
