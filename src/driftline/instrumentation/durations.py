"""Durations of calls on their way into the service's own metrics."""

from __future__ import annotations

from collections import deque
from functools import cache
from typing import TYPE_CHECKING, Any

from opentelemetry import context, metrics, trace

from driftline import names
from driftline.instrumentation.problems import problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import Histogram
    from opentelemetry.trace import Span

WAITING = 2048


class Durations:
    """Durations that wait for the sender's thread: recording one costs seven tenths of a span, keeping it nothing.

    While that thread is held up and more than 2,048 wait, a call records its own.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[float, Mapping[str, str], Span | None]] = deque()

    def add(self, seconds: float, attributes: Mapping[str, str], span: Span | None) -> None:
        """Keep the duration of a call, and its *span* for exemplars."""
        if len(self._waiting) < WAITING:
            self._waiting.append((seconds, attributes, span))
        else:
            _record(seconds, attributes, span)

    def record(self) -> None:
        """Record all that wait."""
        while self._waiting:
            _record(*self._waiting.popleft())


def _record(seconds: float, attributes: Mapping[str, str], span: Span | None) -> None:
    try:
        _record_within(seconds, attributes, span)
    except Exception as error:  # noqa: BLE001 - the service's meter does as it likes
        problem("duration", "driftline could not record the duration of a call", error)


def _record_within(seconds: float, attributes: Mapping[str, str], span: Span | None) -> None:
    if span is None or not span.get_span_context().trace_flags.sampled:
        histogram().record(seconds, attributes)
        return
    token = context.attach(trace.set_span_in_context(span))
    try:
        histogram().record(seconds, attributes)
    finally:
        context.detach(token)


@cache
def histogram() -> Histogram:
    """Return the instrument, whose bounds are those of the sidecar's series."""
    meter = metrics.get_meter(names.SCOPE)
    said: dict[str, Any] = {"unit": "s", "description": "Duration of a call of the model."}
    try:
        return meter.create_histogram(
            names.METRIC_DURATION, explicit_bucket_boundaries_advisory=names.DURATION_BOUNDS, **said
        )
    except TypeError:  # opentelemetry-api before 1.30: the bounds are the service's to set, by a view
        return meter.create_histogram(names.METRIC_DURATION, **said)
