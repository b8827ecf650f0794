"""``driftline.instrument``: a model whose calls are recorded, and that is otherwise itself."""

from __future__ import annotations

import copy
import copyreg
import functools
import inspect
import types
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from driftline.errors import ConfigurationError
from driftline.instrumentation.calls import Watch, recorded, silent
from driftline.instrumentation.frameworks import FRAMEWORKS, estimator, frameworks_of
from driftline.instrumentation.frameworks.reading import CALLED, Reading
from driftline.instrumentation.policy import Policy
from driftline.instrumentation.proxy import Proxy, plain, proxy
from driftline.instrumentation.recorder import Known, Recorder, recorder_for
from driftline.instrumentation.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from driftline.embedding import Embedding

M = TypeVar("M")

_CALLED = Reading(serves={"__call__": CALLED})


def instrument(
    model: M,
    *,
    name: str,
    version: str,
    task: str | None = None,
    feature_names: Sequence[str] | None = None,
    classes: Sequence[Any] | None = None,
    embedding: Embedding | Iterable[Embedding] | None = None,
    allow: Collection[str] | None = None,
    ignore: Collection[str] = (),
    hashed: Collection[str] = (),
    sample_rate: float | None = None,
    baseline: str | None = None,
    endpoint: str | None = None,
    token_file: str | None = None,
    ca_file: str | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
) -> M:
    """Return *model* with its calls recorded: a span, a duration, and every row to the sidecar.

    An estimator, booster, module, session or other object of a Python class is the same object afterwards,
    of a subclass that looks like its class: ``isinstance``, ``repr``, parameters and ``fit`` are as before.
    A function, a bound method or an object of a class written in C comes back as a proxy that passes
    for it. What is pickled, copied or cloned is the plain model. Instrumented again, it is recorded
    under the new name only; :func:`uninstrument` gives the plain model back.

    Args:
        model: An object with ``predict``, a model of one of the frameworks, or a callable whose first argument
            is the features: a function, a coroutine function, a generator of batches.
        name: The model's name, as the baseline has it.
        version: Its version.
        task: classification, regression, ranking, forecasting or generation; many models know their own.
        feature_names: Names for the columns of arrays and tensors, which have none.
        classes: Names for scores, in their order, where the model does not know its classes.
        embedding: What is watched of features that are vectors, in the place of a feature a dimension: of a column of
            the embedding's name, or of all of them. The embeddings of ``baseline`` need not be given.
        allow: Features that may leave the process, as names or patterns such as ``"amount_*"``; None for all.
        ignore: Features that may not.
        hashed: Features that may as a hash only.
        sample_rate: The share of rows to send, else ``DRIFTLINE_SAMPLE_RATE``, else all; all are counted.
        baseline: A baseline's file or a folder of them, else ``DRIFTLINE_BASELINE``: rows are counted on its
            bins here, and only counts leave.
        endpoint: The sidecar's address, else ``DRIFTLINE_ENDPOINT``, else http://127.0.0.1:4328.
        token_file: A file with a bearer token, else ``DRIFTLINE_TOKEN_FILE``.
        ca_file: A file with the certificates to trust, else ``DRIFTLINE_CA_FILE``.
        cert_file: A file with this service's own certificate, else ``DRIFTLINE_CERT_FILE``.
        key_file: A file with its key, else ``DRIFTLINE_KEY_FILE``; none where the key is in the same file.

    Raises:
        ConfigurationError: An argument cannot be used, or the object cannot be watched. Never later:
            once this returned, nothing of driftline reaches the caller of the model.
    """
    settings = Settings.load(sample_rate, baseline, endpoint, token_file, ca_file, cert_file, key_file)
    if settings.disabled:
        return model
    for argument, given in (("feature_names", feature_names), ("classes", classes)):
        if isinstance(given, str):
            raise ConfigurationError(f"{argument}: {given!r} is one text; pass a list of names")
    reading = _reading(plain(cast("Proxy", model)) if issubclass(type(model), Proxy) else model)
    policy = Policy.load(allow=allow, deny=ignore, hashed=hashed)
    recorder = recorder_for(
        name, version, task=task or reading.task, policy=policy, embedding=embedding, settings=settings
    )
    if recorder is None:
        return model
    model = uninstrument(model)
    watches = watches_of(model, reading, recorder, feature_names=feature_names, classes=classes)
    return cast("M", _watched(model, recorder, watches, reading.trains))


def uninstrument(model: M) -> M:
    """Return the plain *model*, whose calls nobody records; what is not instrumented comes back as it is."""
    if issubclass(type(model), Proxy):
        return cast("M", plain(cast("Proxy", model)))
    exchanged = vars(type(model)).get("__driftline_plain__")
    if exchanged is not None:
        object.__setattr__(model, "__class__", exchanged)
    return model


def watches_of(
    model: Any,
    reading: Reading,
    recorder: Recorder,
    *,
    feature_names: Sequence[str] | None = None,
    classes: Sequence[Any] | None = None,
) -> dict[str, Watch]:
    """Return how the calls of each method that serves are recorded."""
    owner = None
    if any(given is not None for given in (feature_names, classes, reading.columns, reading.classes)):
        owner = Known(
            _first(feature_names, reading.columns, getattr(model, "feature_names_in_", None)),
            _first(classes, reading.classes, getattr(model, "classes_", None)),
        )
    return {method: Watch(recorder, read, owner) for method, read in reading.serves.items()}


def _first(*names: Sequence[Any] | None) -> Sequence[Any] | None:
    """Return the first *names* that are there, as text or classes that can be kept."""
    return next((tuple(given) for given in names if given is not None), None)


def _reading(model: Any) -> Reading:
    """Return how the calls of *model* are read.

    Raises:
        ConfigurationError: They cannot be.
    """
    owner = getattr(model, "__self__", None)
    if owner is not None and callable(model):  # a method of a model is read as the model's
        reading = reading_of(owner)
        method = None if reading is None else reading.serves.get(getattr(model, "__name__", ""))
        return replace(reading, serves={"__call__": method}) if reading and method else _CALLED
    reading = None if inspect.isclass(model) else reading_of(model)
    if reading is not None:
        return reading
    if callable(model) and not inspect.isclass(model):
        return _CALLED
    raise ConfigurationError(
        f"model: {model!r} cannot be watched; pass an object with predict, or a function of the features"
    )


def reading_of(model: Any) -> Reading | None:
    """Return how the calls of a framework's model or of an estimator are read; None where it is neither.

    Raises:
        ConfigurationError: It is one, and cannot be read.
    """
    kind = type(model)
    for read in (*(FRAMEWORKS[name].read for name in frameworks_of(kind)), estimator.read):
        try:
            reading = read(model)
        except Exception as error:
            raise ConfigurationError(f"model: this {kind.__qualname__} cannot be read: {error!r}") from error
        if any(hasattr(kind, method) for method in reading.serves):
            return reading
    return None


def _watched(model: Any, recorder: Recorder, watches: Mapping[str, Watch], trains: Collection[str]) -> Any:
    """Give *model* a class of its own in which the methods that serve are recorded, or else a proxy."""
    methods = {*watches, *trains}
    if methods.isdisjoint(getattr(model, "__dict__", ())):  # else they are attributes of this one object
        try:
            exchanged = _watched_class(type(model), recorder, watches, trains)
            object.__setattr__(model, "__class__", exchanged)
        except TypeError:  # a class written in C, or one that refuses to be subclassed
            pass
        else:
            return model
    calls = {}
    for name in methods:
        # a function's __call__ does not say that it is a coroutine function; the function does
        original = model if name == "__call__" else getattr(model, name, None)
        if name in watches and original is not None:
            watch = replace(watches[name], model=getattr(model, "__self__", model))
            calls[name] = recorded(original, watch)
        elif original is not None:
            calls[name] = silent(original, recorder)
    return proxy(model, calls)


def _watched_class(
    kind: type[Any], recorder: Recorder, watches: Mapping[str, Watch], trains: Collection[str]
) -> type[Any]:
    members: dict[str, Any] = {"__slots__": (), "__driftline_plain__": kind, "__doc__": kind.__doc__}
    members |= {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    members["__reduce_ex__"] = _reduce_ex
    members |= {name: _plain_duplicate(name) for name in ("__copy__", "__deepcopy__") if hasattr(kind, name)}
    if hasattr(kind, "get_params"):
        members["__sklearn_clone__"] = _clone
    for name in (*watches, *trains):
        original = inspect.getattr_static(kind, name, None)
        watch = watches.get(name)
        if inspect.isfunction(original):
            members[name] = recorded(original, watch) if watch else silent(original, recorder)
        elif original is not None:
            members[name] = Conditional(original, _bound(watch, recorder))
    return types.new_class(kind.__name__, (kind,), exec_body=lambda body: body.update(members))


class Conditional:
    """What is a method of some objects of a class only, such as scikit-learn's ``available_if``.

    Args:
        original: It, as the class has it.
        watched: Returns what stands in its place, given the method of an object, and the object.
    """

    def __init__(self, original: Any, watched: Callable[[Any, Any], Any]) -> None:
        self._original = original
        self._watched = watched

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        found = self._original
        if hasattr(type(found), "__get__"):
            found = found.__get__(instance, owner)
        return found if instance is None or not callable(found) else self._watched(found, instance)


def _bound(watch: Watch | None, recorder: Recorder) -> Callable[[Any, Any], Any]:
    """Return what makes a bound method of a model one that is recorded, or else one in which nothing is."""
    if watch is None:
        return lambda method, _: silent(method, recorder)
    return lambda method, model: recorded(method, replace(watch, model=model))


def _reduce_ex(self: Any, protocol: Any) -> Any:
    """Pickle and copy as the plain class, which can be loaded where there is no driftline."""
    watched, plain = type(self), type(self).__driftline_plain__
    reduced = plain.__reduce_ex__(self, protocol)
    if not isinstance(reduced, tuple):
        return reduced
    function, args, *rest = reduced
    # pickle wants the object's own class after __newobj__, so the plain one's __new__ is called by itself
    if function is copyreg.__newobj__:  # type: ignore[attr-defined]
        function = plain.__new__
    elif function is copyreg.__newobj_ex__:  # type: ignore[attr-defined]
        function = functools.partial(plain.__new__, plain, *args[1], **args[2])
        args = ()
    elif getattr(function, "__self__", None) is watched:  # a class method
        function = getattr(plain, function.__name__)
    return (
        plain if function is watched else function,
        tuple(plain if a is watched else a for a in args),
        *rest,
    )


def _plain_duplicate(name: str) -> Callable[..., Any]:
    """Return a method that copies as the plain class says, and gives a plain copy."""

    def duplicate(self: Any, *memo: Any) -> Any:
        copied = getattr(type(self).__driftline_plain__, name)(self, *memo)
        return copied if copied is self else uninstrument(copied)

    return duplicate


def _clone(self: Any) -> Any:
    from sklearn.base import clone

    return clone(copy.copy(self))
