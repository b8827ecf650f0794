"""What stands in the place of an object whose class cannot be exchanged: functions, objects of classes in C."""

from __future__ import annotations

import copy
import types
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping


class Proxy:
    """Passes everything on to the plain object but the calls that are recorded.

    It says it is of the plain object's class, and what is pickled or copied from it is the plain object.
    """

    __slots__ = ("__weakref__", "_calls", "_plain")

    def __init__(self, plain: Any, calls: Mapping[str, Callable[..., Any]]) -> None:
        object.__setattr__(self, "_plain", plain)
        object.__setattr__(self, "_calls", calls)

    def __getattribute__(self, name: str) -> Any:
        if name == "__reduce_ex__":
            return object.__getattribute__(self, name)
        calls = object.__getattribute__(self, "_calls")
        return calls[name] if name in calls else getattr(plain(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(plain(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(plain(self), name)

    def __dir__(self) -> list[str]:
        return dir(plain(self))

    def __copy__(self) -> Any:
        return copy.copy(plain(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copy.deepcopy(plain(self), memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        reduced = None if isinstance(plain(self), types.FunctionType) else plain(self).__reduce_ex__(protocol)
        # what is pickled by its name alone is so within the call of a function that gives it back
        return reduced if isinstance(reduced, tuple) else (copy.copy, (plain(self),))


_OWN = {
    *vars(Proxy),
    *("__class__", "__class_getitem__", "__del__", "__delete__", "__get__", "__getattr__", "__getstate__"),
    *(
        "__init_subclass__",
        "__new__",
        "__reduce__",
        "__set__",
        "__set_name__",
        "__sizeof__",
        "__subclasshook__",
    ),
}
"""Special methods that a proxy's class does not pass on: its own, or those that are found on the object."""


def proxy(model: Any, calls: Mapping[str, Callable[..., Any]]) -> Any:
    """Return what stands for *model* and has *calls* in the place of its methods of that name."""
    kind = _kind(cast("Hashable", type(model)))
    if "__call__" in calls:  # found on the class: the detour by the object's own costs as much as a span
        body = {"__slots__": (), "__call__": staticmethod(calls["__call__"])}
        kind = types.new_class(kind.__name__, (kind,), exec_body=lambda namespace: namespace.update(body))
    return kind(model, calls)


def plain(proxied: Proxy) -> Any:
    """Return the object that *proxied* stands for."""
    return object.__getattribute__(proxied, "_plain")


@lru_cache(maxsize=256)
def _kind(kind: type[Any]) -> type[Proxy]:
    """Return the class of proxies for objects of *kind*: Python looks special methods up on the class."""
    names = [name for name in dir(kind) if name[:2] == name[-2:] == "__" and name not in _OWN]
    body: dict[str, Any] = {name: _passed_on(name) for name in names if callable(getattr(kind, name, None))}
    body.setdefault("__hash__", None)
    body["__slots__"] = ()
    if kind is types.FunctionType:
        body["__get__"] = _bind
    return types.new_class(kind.__name__, (Proxy,), exec_body=lambda namespace: namespace.update(body))


def _passed_on(name: str) -> Callable[..., Any]:
    def method(self: Proxy, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, name)(*args, **kwargs)

    method.__name__ = name
    return method


def _bind(self: Any, instance: Any, _: type[Any] | None = None) -> Any:
    return self if instance is None else types.MethodType(self, instance)
