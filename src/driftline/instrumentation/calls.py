"""What stands in the place of a method or function: the same call, recorded."""

from __future__ import annotations

import functools
import inspect
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from numpy import ndarray

from driftline.instrumentation.frameworks.reading import (
    NOBODY,
    Asked,
    Method,
    Unread,
    first,
    predicted,
    returned,
)
from driftline.instrumentation.problems import problem
from driftline.instrumentation.recorder import Call

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence
    from types import TracebackType

    from driftline.instrumentation.recorder import Recorder


class Watching(Protocol):
    """Whoever records the calls of a method or function."""

    @property
    def model(self) -> Any:
        """Whose method it is; None where the model is the first argument."""

    def asked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Asked:
        """Return the call with *args* and *kwargs*."""

    def begin(self, asked: Asked) -> Call | None:
        """Return the call to record; None where it serves nobody."""

    def tell(self, call: Call, asked: Asked, result: Any) -> None:
        """Say what *call* returned."""


@dataclass(slots=True, eq=False)
class Watch:
    """How the calls of one method or function are recorded.

    Attributes:
        recorder: Records them.
        method: Reads them.
        owner: Knows the features' names and the classes; None where the model itself does.
        model: Whose method it is; None where the model is the first argument.
        task: The recorder's.
        classes: The owner's.
    """

    recorder: Recorder
    method: Method
    owner: Any = None
    model: Any = None
    task: str | None = field(init=False)
    classes: Sequence[Any] | None = field(init=False)

    def __post_init__(self) -> None:
        self.task = self.recorder.model.task
        self.classes = None if self.owner is None else self.owner.classes_

    def asked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Asked:
        """Return the call with *args* and *kwargs*."""
        if self.model is None:
            return Asked(args[0] if args else None, args[1:], kwargs, self.task, self.classes)
        return Asked(self.model, args, kwargs, self.task, self.classes)

    def begin(self, asked: Asked) -> Call | None:
        """Return the call to record; None where it serves nobody."""
        try:
            features = self.method.features(asked)
        except Exception as error:  # noqa: BLE001 - foreign objects do as they like
            problem("features", f"features of {self.recorder.key[0]} are not sent", error)
            features = Unread()
        if features is NOBODY:
            return None
        return self.recorder.call(features, asked.model if self.owner is None else self.owner)

    def tell(self, call: Call, asked: Asked, result: Any) -> None:
        """Say what *call* returned."""
        try:
            call.prediction, call.score = self.method.outputs(asked, result)
        except Exception as error:  # noqa: BLE001 - foreign objects do as they like
            problem("output", f"an output of {self.recorder.key[0]} is not sent", error)


def recorded(function: Callable[..., Any], watch: Watching) -> Callable[..., Any]:
    """Return *function* with its calls recorded: what it is, such as a coroutine function, it stays."""
    kind = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004
    if inspect.isasyncgenfunction(kind):
        return _async_generator(function, watch)
    if inspect.isgeneratorfunction(kind):
        return _generator(function, watch)
    if inspect.iscoroutinefunction(kind):
        return _coroutine(function, watch)
    if isinstance(watch, Watch) and watch.method.features is first:
        return _direct(function, watch)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        asked = watch.asked(args, kwargs)
        call = watch.begin(asked)
        if call is None:
            return function(*args, **kwargs)
        with call:
            result = function(*args, **kwargs)
            watch.tell(call, asked, result)
        return result

    return call


def _direct(function: Callable[..., Any], watch: Watch) -> Callable[..., Any]:
    """Return *function*, whose first argument is the features, recorded: nobody has to be asked for them."""
    recorder, outputs = watch.recorder, watch.method.outputs
    owner = watch.model if watch.owner is None else watch.owner
    place = int(watch.model is None)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        features = args[place] if len(args) > place else next(iter(kwargs.values()), None)
        call = Call(recorder, features, args[0] if owner is None and args else owner)
        call.__enter__()  # `with`, and to pass on no names, would add a twentieth to what all of this costs
        try:
            result = function(*args, **kwargs) if kwargs else function(*args)
        except BaseException as error:
            call.__exit__(type(error), error, error.__traceback__)
            raise
        if outputs is returned or (outputs is predicted and type(result) is ndarray and result.ndim == 1):
            call.prediction = result  # as they would say themselves, in a fifth of the time
        else:
            watch.tell(call, watch.asked(args, kwargs), result)
        call.__exit__(None, None, None)
        return result

    return call


def silent(function: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    """Return *function* so that no call of the model inside it is recorded."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with recorder.silence():
            return function(*args, **kwargs)

    return call


def _coroutine(function: Callable[..., Any], watch: Watching) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        asked = watch.asked(args, kwargs)
        call = watch.begin(asked)
        if call is None:
            return await function(*args, **kwargs)
        with call:
            result = await function(*args, **kwargs)
            watch.tell(call, asked, result)
        return result

    return call


def _generator(function: Callable[..., Any], watch: Watching) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        asked = watch.asked(args, kwargs)
        run, args, kwargs = _run(watch, asked, args, kwargs)
        generator = function(*args, **kwargs)
        step, sent = generator.send, None
        with run:
            while True:
                run.resume()
                try:
                    result = step(sent)
                except StopIteration as stop:
                    return stop.value
                run.told(result)
                try:
                    sent = yield result
                    step = generator.send
                except GeneratorExit:
                    generator.close()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the generator's, whatever it is
                    step, sent = generator.throw, error

    return call


def _async_generator(function: Callable[..., Any], watch: Watching) -> Callable[..., Any]:
    @functools.wraps(function)
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        asked = watch.asked(args, kwargs)
        run, args, kwargs = _run(watch, asked, args, kwargs)
        generator = function(*args, **kwargs)
        step, sent = generator.asend, None
        with run:
            while True:
                run.resume()
                try:
                    result = await step(sent)
                except StopAsyncIteration:
                    return
                run.told(result)
                try:
                    sent = yield result
                    step = generator.asend
                except GeneratorExit:
                    await generator.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - it is the generator's, whatever it is
                    step, sent = generator.athrow, error

    return call


def _run(
    watch: Watching, asked: Asked, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[_Batches | _Rows, tuple[Any, ...], dict[str, Any]]:
    """Return what records a generator's run, and the arguments to run it with."""
    given = first(asked)
    if not isinstance(given, (Iterator, AsyncIterator)):
        return _Rows(watch, asked), args, kwargs
    run = _Batches(watch, asked)
    batches = run.passing(given) if isinstance(given, Iterator) else run.passing_async(given)
    if asked.args:
        place = int(watch.model is None)
        return run, (*args[:place], batches, *args[place + 1 :]), kwargs
    return run, args, kwargs | {next(iter(kwargs)): batches}


class _Rows:
    """The run of a generator over rows that are all there: one call, which yields the predictions in pieces.

    Between two pieces it is not the current call, and its time stands still.
    """

    def __init__(self, watch: Watching, asked: Asked) -> None:
        self._watch = watch
        self._asked = asked
        self._call = watch.begin(asked)
        self._found: list[Any] = []

    def __enter__(self) -> None:
        if self._call is not None:
            self._call.__enter__()
            self._call.suspend()

    def resume(self) -> None:
        if self._call is not None:
            self._call.resume()

    def told(self, result: Any) -> None:
        if self._call is None:
            return
        self._call.suspend()
        if len(self._found) <= (self._call.rows or 0):  # more than one a row are no predictions: not all kept
            several = isinstance(result, (list, tuple)) or getattr(result, "ndim", 0) == 1
            self._found.extend(result if several else (result,))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._call is None:
            return
        if kind is None and len(self._found) == self._call.rows:
            self._watch.tell(self._call, self._asked, self._found)
        _end(self._call, kind, error, traceback)


class _Batches:
    """The run of a generator over an iterator of batches: a call for each that it takes, told by what it yields.

    It may take some before it yields the first: the oldest is told first.
    """

    def __init__(self, watch: Watching, asked: Asked) -> None:
        self._watch = watch
        self._asked = asked
        self._open: deque[tuple[Call, Asked]] = deque()

    def passing(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield what *batches* yields, each after a call began with it."""
        for batch in batches:
            self._take(batch)
            yield batch

    async def passing_async(self, batches: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Yield what *batches* yields, each after a call began with it."""
        async for batch in batches:
            self._take(batch)
            yield batch

    def _take(self, batch: Any) -> None:
        asked = replace(self._asked, args=(batch, *self._asked.args[1:]))
        call = self._watch.begin(asked)
        if call is not None:
            self._suspend()
            self._open.append((call.__enter__(), asked))

    def _suspend(self) -> None:
        if self._open:
            self._open[-1][0].suspend()

    def __enter__(self) -> None:
        pass

    def resume(self) -> None:
        if self._open:
            self._open[-1][0].resume()

    def told(self, result: Any) -> None:
        if self._open:
            call, asked = self._open.popleft()
            self._watch.tell(call, asked, result)
            call.__exit__(None, None, None)
            self._suspend()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for call, _ in reversed(self._open):
            _end(call, kind, error, traceback)


def _end(
    call: Call,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
) -> None:
    """End a call of a generator; that nobody wants the rest of it is no fault of the model's."""
    if kind is GeneratorExit:
        call.__exit__(None, None, None)
    else:
        call.__exit__(kind, error, traceback)
