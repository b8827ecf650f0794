"""driftline without a line of code: what ``opentelemetry-instrument`` loads.

The models of every framework in the table are recorded at their classes, under the names that
``DRIFTLINE_MODEL_NAME`` or ``DRIFTLINE_MODELS`` gives, from when their framework is imported. One that never
is costs nothing.
"""

from __future__ import annotations

import atexit
import functools
import inspect
import os
import threading
import weakref
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from driftline.errors import ConfigurationError
from driftline.instrumentation.calls import recorded
from driftline.instrumentation.frameworks import FRAMEWORKS, frameworks_of
from driftline.instrumentation.frameworks.reading import Asked
from driftline.instrumentation.models import Conditional, reading_of, watches_of
from driftline.instrumentation.policy import Policy
from driftline.instrumentation.problems import problem, remark
from driftline.instrumentation.recorder import Recorder, Silence, current_call, recorder_for
from driftline.instrumentation.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from driftline.instrumentation.calls import Watch
    from driftline.instrumentation.frameworks import Framework
    from driftline.instrumentation.recorder import Call

NO_VERSION = "unversioned"
ANY = "*"
MOST_LOOKED_AT = 100_000  # when a model's parts are looked for: it may hold its training data, too
_OURS = "__driftline_auto__"  # said by what stands in the place of a method


class DriftlineInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # it is not typed
    """Records every model that the environment names."""

    _patches: tuple[_Patches, ...] = ()
    _named: _Named | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what must be there: nothing, for each framework is patched when it is imported."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - as without arguments
        try:
            settings = Settings.load(environ=os.environ)
            named = _Named(os.environ, settings)
        except ConfigurationError as error:  # raised, it would keep those after it from being instrumented
            problem("settings", f"no model is watched: {'; '.join(error.faults)}")
            return
        if settings.disabled:
            return
        if not named.models:
            remark(
                "auto", "set DRIFTLINE_MODEL_NAME and DRIFTLINE_MODEL_VERSION; no model is watched until then"
            )
            return
        self._patches = tuple(_Patches(name, framework, named) for name, framework in FRAMEWORKS.items())
        self._named = named
        atexit.register(named.tell_of_unmet)
        for patches in self._patches:
            wrapt.register_post_import_hook(patches.begin, patches.module)

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - the same
        for patches in self._patches:
            patches.end()
        self._patches = ()
        if self._named is not None:
            atexit.unregister(self._named.tell_of_unmet)


class _Named:
    """The models that the environment names, by the classes they are of.

    Attributes:
        models: Name and version of each, by the name of a class, alone or within its module; ``*`` for all others.

    Raises:
        ConfigurationError: A model cannot be recorded under what it says.
    """

    def __init__(self, environ: Mapping[str, str], settings: Settings) -> None:
        self.models: dict[str, tuple[str, str]] = {}
        self._met: set[str] = set()
        for pair in environ.get("DRIFTLINE_MODELS", "").split(","):
            kind, equals, model = (part.strip() for part in pair.partition("="))
            name, _, version = model.partition("@")
            if equals:
                self.models[kind] = name, version or NO_VERSION
            elif kind:
                fault = f"DRIFTLINE_MODELS: {kind!r} names no model, write {kind}=fraud@2.3.1"
                problem("settings", fault, of=kind)
        if not self.models and (name := environ.get("DRIFTLINE_MODEL_NAME", "")):
            self.models[ANY] = name, environ.get("DRIFTLINE_MODEL_VERSION") or NO_VERSION
        self._task = environ.get("DRIFTLINE_TASK") or None
        self._policy, self._settings = Policy.load(environ=environ), settings
        self._recorders: dict[tuple[str, str, str | None], Recorder | None] = {}
        self._asking: list[tuple[Call, frozenset[int]]] = []
        self._lock = threading.RLock()  # a signal's handler may predict while its thread is in here
        for kind, named in self.models.items():
            self.recorder(named)
            if named[1] == NO_VERSION:
                where = (
                    "DRIFTLINE_MODEL_VERSION" if kind == ANY else f"DRIFTLINE_MODELS: {kind}={named[0]}@2.3.1"
                )
                remark(
                    "auto",
                    f"{named[0]} is called {NO_VERSION}: give the version of its baseline, {where}",
                    of=named[0],
                )

    def model(self, kind: type[Any]) -> tuple[str, str] | None:
        """Return the name and version for models of class *kind*: its own, else those of what it derives from."""
        self._met.add(ANY)
        for one in kind.__mro__:
            module = one.__module__.split(".")
            for depth in range(len(module), -1, -1):
                name = ".".join((*module[:depth], one.__name__))
                if name in self.models:
                    self._met.add(name)
                    return self.models[name]
        return self.models.get(ANY)

    def tell_of_unmet(self) -> None:
        """Say at the end of a process that had models of which classes it had none: a name may be misspelt."""
        for kind in self.models.keys() - self._met if self._met else ():
            text = f"DRIFTLINE_MODELS: there was no class {kind} here, nothing was recorded as {self.models[kind][0]}"
            remark("auto", f"{text}; is the name right?", of=kind)

    def recorder(self, model: tuple[str, str], task: str | None = None) -> Recorder | None:
        """Return the recorder of *model*, of the task that the environment says, else of *task*."""
        key = *model, self._task or task
        if key not in self._recorders:
            self._recorders[key] = recorder_for(
                model[0], model[1], task=key[2], policy=self._policy, settings=self._settings
            )
        return self._recorders[key]

    def asks(self, call: Call, parts: frozenset[int]) -> None:
        """Remember until it is over that *call* is of a model with these *parts*."""
        with self._lock:
            going_on = (
                one for one in self._asking if one[0].owner is not None
            )  # which a call forgets at its end
            self._asking = [*going_on, (call, parts)]

    def asking(self, model: Any) -> Call | None:
        """Return the call that *model* is a part of in another thread, where a forest asks its trees; None for none."""
        key = id(model)
        return next((call for call, parts in self._asking if key in parts and _goes_on(call)), None)


class _Known(NamedTuple):
    """What is known of one model that was called.

    Attributes:
        model: It, as long as it lives.
        kind: Its class when it was read.
        watches: How the calls of its methods are recorded.
        trained: Tells whether a call trains it.
        parts: The ``id`` of each model that it is made of.
    """

    model: weakref.ref[Any]
    kind: type[Any]
    watches: dict[str, Watch]
    trained: Callable[[Asked], bool] | None
    parts: frozenset[int]


class _Patches:
    """The methods that stand in the place of others, in the classes of a framework and in those still to come.

    Attributes:
        module: The module with whose import they begin.
    """

    def __init__(self, name: str, framework: Framework, named: _Named) -> None:
        self.module, _, self._root = framework.root.partition(":")
        self._name = name
        self._framework = framework
        self._named = named
        self._base: type[Any] = object
        self._originals: list[tuple[type[Any], str, Any]] = []
        self._known: dict[int, _Known] = {}
        self._ended = False

    def begin(self, module: Any) -> None:
        """Patch the classes that there are, and let each new one be patched when it is made."""
        if self._ended:
            return
        if self._framework.by_name and ANY in self._named.models:
            remark(
                "auto",
                f"models of {self._name} are recorded by the names of their classes only: set DRIFTLINE_MODELS, "
                "such as Net=fraud@2.3.1, in the place of DRIFTLINE_MODEL_NAME",
                of=self._name,
            )
            return
        try:
            self._base = base = getattr(module, self._root)
            self._replace(base, "__init_subclass__", classmethod(self._init_subclass(base)))
            for kind in (base, *_descendants(base)):
                self._patch(kind)
        except Exception as error:  # noqa: BLE001 - raised, it would end the import of the framework
            self.end()
            problem(
                "auto", f"{self._name} is left as it is: its models are not recorded", error, of=self._name
            )

    def end(self) -> None:
        """Put back what was there."""
        self._ended = True
        self._put_back(0)
        self._known.clear()

    def _init_subclass(self, base: type[Any]) -> Callable[..., None]:
        own = vars(base).get("__init_subclass__")

        def __init_subclass__(cls: type[Any], /, **kwargs: Any) -> None:  # noqa: N807 - it stands in its place
            if own is None:
                super(base, cls).__init_subclass__(**kwargs)
            else:
                own.__get__(None, cls)(**kwargs)
            self._patch(cls)

        return __init_subclass__

    def _patch(self, kind: type[Any]) -> None:
        before = len(self._originals)
        try:
            if self._recorder(kind) is None or "__driftline_plain__" in vars(kind):
                return
            for name in (*self._framework.serves, *self._framework.trains):
                original = inspect.getattr_static(kind, name, None)
                if original is not None and not hasattr(original, _OURS):  # nor inherited from such
                    self._replace(kind, name, self._stand_in(original, name))
        except Exception as error:  # noqa: BLE001 - such as of a metaclass that lets nobody set anything
            self._put_back(before)
            name = kind.__qualname__
            problem("auto", f"{name} is left as it is: its models are not recorded", error, of=name)

    def _replace(self, kind: type[Any], name: str, replacement: Any) -> None:
        original = vars(kind).get(name)
        setattr(kind, name, replacement)
        self._originals.append((kind, name, original))

    def _put_back(self, first: int) -> None:
        """Put back what was there before the *first* replacement that goes, and those after it."""
        while len(self._originals) > first:
            kind, name, original = self._originals.pop()
            with suppress(Exception):  # what refuses keeps nobody else from being put back
                if original is None:
                    delattr(kind, name)
                else:
                    setattr(kind, name, original)

    def _stand_in(self, original: Any, name: str) -> Any:
        def watched(method: Callable[..., Any], model: Any = None) -> Callable[..., Any]:
            if name in self._framework.trains:
                return self._silent(method, model)
            return recorded(method, _Serving(self, name, self._framework.drawing, model))

        found: Any = watched(original) if inspect.isfunction(original) else Conditional(original, watched)
        setattr(found, _OURS, True)
        return found

    def _silent(self, method: Callable[..., Any], model: Any) -> Callable[..., Any]:
        """Return *method* so that nothing of its model is recorded inside, which is another one afterwards."""

        @functools.wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            trained = args[0] if model is None and args else model
            recorder = self._recorder(type(trained))
            try:
                with nullcontext() if recorder is None else recorder.silence():
                    return method(*args, **kwargs)
            finally:
                self._known.pop(id(trained), None)

        return call

    def _recorder(self, kind: type[Any], task: str | None = None) -> Recorder | None:
        model = self._named.model(kind)
        return None if model is None else self._named.recorder(model, task)

    def is_part(self, model: Any) -> bool:
        """Tell whether a call of *model* that begins now is a part of another.

        Where no class is named it is one of any other; else of one that trains, or of a model of its framework that is of
        another kind, as an estimator that asks its Booster. In another thread it is one of a model of its name that is
        made of it.
        """
        outer, unnamed = current_call(), ANY in self._named.models
        holder = self._named.asking(model)
        if outer is None:
            return holder is not None and (unnamed or holder.recorder.key == self._named.model(type(model)))
        if unnamed or isinstance(outer, Silence):
            # Of a block, a training or a call that is instrumented by hand it is not known yet. What is no estimator, such
            # as a Booster that its own training asks at each round, has no parts in threads, and may be slow to read.
            if holder is None and hasattr(model, "get_params"):
                self.asks(outer, model)
            return True
        return not isinstance(outer.owner, self._base) and self._name in frameworks_of(type(outer.owner))

    def asks(self, call: Call, model: Any) -> None:
        """Let no call of what *model* is made of count beside *call*, which is one of its own."""
        if parts := self.known(model).parts:
            self._named.asks(call, parts)

    def known(self, model: Any) -> _Known:
        """Return what is known of *model*."""
        known = self._known.get(id(model))
        if known is None or known.model() is not model or known.kind is not type(model):
            known = self._read(model)
        return known

    def _read(self, model: Any) -> _Known:
        kind, reading = type(model), None
        if not hasattr(kind, "__driftline_plain__"):  # else the service instrumented this one itself
            try:
                reading = reading_of(model)
            except ConfigurationError as error:
                problem(
                    "auto", f"calls of a {kind.__qualname__} are not recorded: {error}", of=kind.__qualname__
                )
        recorder = None if reading is None else self._recorder(kind, reading.task)
        watches = {} if reading is None or recorder is None else watches_of(model, reading, recorder)
        key = id(model)
        alive = weakref.ref(model, lambda _: self._known.pop(key, None))
        trained = None if reading is None else reading.trained
        known = self._known[key] = _Known(alive, kind, watches, trained, _parts(model))
        return known


@dataclass(frozen=True, slots=True, eq=False)
class _Serving:
    """Records the calls of one method, whichever model it is of."""

    patches: _Patches
    name: str
    drawing: Callable[[], bool] | None
    model: Any = None

    def asked(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Asked:
        """Return the call with *args* and *kwargs*."""
        if self.model is None:
            return Asked(args[0] if args else None, args[1:], kwargs, None, None)
        return Asked(self.model, args, kwargs, None, None)

    def begin(self, asked: Asked) -> Call | None:
        """Return the call to record; None where it serves nobody."""
        try:
            if (self.drawing is not None and self.drawing()) or self.patches.is_part(asked.model):
                return None
            known = self.patches.known(asked.model)
            watch = known.watches.get(self.name)
            if watch is None:
                return None
            asked.task, asked.classes = watch.task, watch.classes
            call = watch.begin(asked)
            if call is not None and current_call() is None:
                self.patches.asks(call, asked.model)
            if call is None and known.trained is not None and known.trained(asked):
                known.watches.clear()
                remark(
                    "trained",
                    "a model that is trained in this process is not recorded: its validation serves "
                    "nobody, either; where it does serve, pass it to driftline.instrument",
                )
        except Exception as error:  # noqa: BLE001 - foreign objects do as they like
            problem("auto", f"a call of {self.name} is not recorded", error)
            return None
        return call

    def tell(self, call: Call, asked: Asked, result: Any) -> None:
        """Say what *call* returned."""
        try:
            watch = self.patches.known(asked.model).watches.get(self.name)
            if watch is not None:
                watch.tell(call, asked, result)
        except Exception as error:  # noqa: BLE001 - the same
            problem("auto", f"an output of {self.name} is not sent", error)


def _goes_on(call: Call) -> bool:
    """Tell whether *call* is not over: then it has forgotten whose it was."""
    return call.began is not None or call.owner is not None


def _parts(model: Any) -> frozenset[int]:
    """Return the ``id`` of each model that *model* is made of, such as the trees of its forest."""
    found = {id(model)}  # a part may know what it is of
    waiting = [iter(getattr(model, "__dict__", {}).values())]
    for _ in range(MOST_LOOKED_AT):
        while waiting and (value := next(waiting[-1], waiting)) is waiting:
            waiting.pop()
        if not waiting:
            break
        if isinstance(value, dict):
            waiting.append(iter(value.values()))
        elif isinstance(value, list | tuple):
            waiting.append(iter(value))
        elif isinstance(value, np.ndarray):
            waiting += [iter(value.flat)] if value.dtype.hasobject else []
        elif id(value) not in found and hasattr(value, "__dict__") and frameworks_of(type(value)):
            found.add(id(value))
            waiting.append(iter(vars(value).values()))
    return frozenset(found - {id(model)})


def _descendants(kind: type[Any]) -> Iterator[type[Any]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)
