"""``driftline.instrument``: a model whose calls are recorded, and that is otherwise itself."""

from __future__ import annotations

import copy
import copyreg
import functools
import inspect
import types
from typing import TYPE_CHECKING, Any, TypeVar, cast

from driftline.errors import ConfigurationError
from driftline.instrumentation.recorder import Recorder
from driftline.instrumentation.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    Around = Callable[[Any, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

M = TypeVar("M")

OUTPUT_OF = {"predict": "prediction", "predict_proba": "score", "decision_function": "score"}
UNSERVED = ("fit", "partial_fit", "fit_predict", "score")
_TASK_OF = {"classifier": "classification", "regressor": "regression"}


def instrument(
    model: M,
    *,
    name: str,
    version: str,
    task: str | None = None,
    ignore: Collection[str] = (),
    endpoint: str | None = None,
    token_file: str | None = None,
    ca_file: str | None = None,
) -> M:
    """Return *model* with its calls recorded: a span, a duration, and every row to the sidecar.

    An estimator (``predict``, ``predict_proba``, ``decision_function``) is the same object afterwards,
    of a subclass that looks like its class: ``isinstance``, ``repr``, parameters and ``fit`` are as
    before. What is pickled, copied or cloned from it is the plain model. A function comes back wrapped.
    Instrumented again, it is recorded under the new name only.

    Args:
        model: A scikit-learn-style estimator, fitted or not, or a callable whose first argument is the features.
        name: The model's name, as the baseline has it.
        version: Its version.
        task: classification, regression, ranking, forecasting or generation; an estimator knows its own.
        ignore: Features that must not leave the process.
        endpoint: The sidecar's address, else ``DRIFTLINE_ENDPOINT``, else http://127.0.0.1:4328.
        token_file: A file with a bearer token, else ``DRIFTLINE_TOKEN_FILE``.
        ca_file: A file with the certificates to trust, else ``DRIFTLINE_CA_FILE``.

    Raises:
        ConfigurationError: An argument cannot be used, or the object cannot be watched. Never later:
            once this returned, nothing of driftline reaches the caller of the model.
    """
    settings = Settings.load(endpoint=endpoint, token_file=token_file, ca_file=ca_file)
    if settings.disabled:
        return model
    recorder = Recorder(name, version, task=task or _task(model), ignore=ignore, settings=settings)
    if not inspect.isclass(model):
        if any(hasattr(type(model), method) for method in OUTPUT_OF):
            return cast("M", _watch(model, recorder))
        if callable(model):
            return cast("M", _wrap(model, recorder))
    raise ConfigurationError(
        f"model: {model!r} cannot be watched; pass an object with predict, or a function of the features"
    )


def _watch(model: Any, recorder: Recorder) -> Any:
    """Give *model* a class of its own in which the methods that predict are recorded."""
    plain: type[Any] = getattr(type(model), "__driftline_plain__", type(model))
    advice = f"; watch its method instead: predict = driftline.instrument(model.predict, name={recorder.key[0]!r}, ...)"
    members: dict[str, Any] = {"__slots__": (), "__driftline_plain__": plain, "__doc__": plain.__doc__}
    members |= {"__module__": plain.__module__, "__qualname__": plain.__qualname__}
    members["__reduce_ex__"] = _reduce_ex
    if hasattr(plain, "get_params"):
        members["__sklearn_clone__"] = _clone
    for method in (*OUTPUT_OF, *UNSERVED):
        original = inspect.getattr_static(plain, method, None)
        if original is not None:
            if method in getattr(model, "__dict__", {}):
                raise ConfigurationError(f"model: {method} is an attribute of this one object{advice}")
            output = OUTPUT_OF.get(method)
            members[method] = _method(original, _recorded(recorder, output) if output else _silent(recorder))
    try:
        watched = types.new_class(plain.__name__, (plain,), exec_body=lambda body: body.update(members))
        object.__setattr__(model, "__class__", watched)
    except TypeError as error:  # a class written in C, or one that refuses to be subclassed
        raise ConfigurationError(
            f"model: {plain.__qualname__} cannot be watched ({error}){advice}"
        ) from error
    return model


def _recorded(recorder: Recorder, output: str) -> Around:
    def around(model: Any, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with recorder.call(_features(args, kwargs), model) as call:
            result = method(*args, **kwargs)
            setattr(call, output, result)
        return result

    return around


def _silent(recorder: Recorder) -> Around:
    def around(_: Any, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with recorder.silence():
            return method(*args, **kwargs)

    return around


def _method(original: Any, around: Around) -> Any:
    if not inspect.isfunction(original):
        return _Conditional(original, around)

    @functools.wraps(original)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return around(self, types.MethodType(original, self), args, kwargs)

    return method


class _Conditional:
    """A method that only some objects of a class have, such as scikit-learn's ``available_if``."""

    def __init__(self, original: Any, around: Around) -> None:
        self._original = original
        self._around = around

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        method = self._original.__get__(instance, owner)
        if instance is None:
            return method

        @functools.wraps(method)
        def bound(*args: Any, **kwargs: Any) -> Any:
            return self._around(instance, method, args, kwargs)

        return bound


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
    return (
        plain if function is watched else function,
        tuple(plain if a is watched else a for a in args),
        *rest,
    )


def _clone(self: Any) -> Any:
    from sklearn.base import clone

    return clone(copy.copy(self))


def _wrap(function: Any, recorder: Recorder) -> Any:
    plain = getattr(function, "__driftline_plain__", function)
    updated = ("__dict__",) if inspect.isfunction(plain) else ()
    if inspect.iscoroutinefunction(plain) or inspect.iscoroutinefunction(getattr(plain, "__call__", None)):  # noqa: B004 - whether it is a coroutine, not whether it is there

        @functools.wraps(plain, updated=updated)
        async def wrapped(*args: Any, **kwargs: Any) -> Any:
            with recorder.call(_features(args, kwargs)) as call:
                call.prediction = await plain(*args, **kwargs)
            return call.prediction
    else:

        @functools.wraps(plain, updated=updated)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with recorder.call(_features(args, kwargs)) as call:
                call.prediction = plain(*args, **kwargs)
            return call.prediction

    wrapped.__driftline_plain__ = plain  # type: ignore[attr-defined]
    return wrapped


def _features(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Return the first argument, by place or by name."""
    return args[0] if args else next(iter(kwargs.values()), None)


def _task(model: Any) -> str | None:
    """Return the task of an estimator that knows it, else None."""
    try:
        tags = getattr(model, "__sklearn_tags__", None)
        kind = tags().estimator_type if tags else getattr(model, "_estimator_type", "")
        return _TASK_OF.get(kind)
    except Exception:  # noqa: BLE001 - a foreign object; the sidecar's baseline knows the task too
        return None
