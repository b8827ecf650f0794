"""What driftline knows of a model: which of its methods serve, what goes in there and what comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from driftline.instrumentation.inputs import as_array

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence


@dataclass(slots=True, eq=False)
class Asked:
    """One call of a model.

    Attributes:
        model: The model, or the function.
        args: What it was called with, by place.
        kwargs: And by name.
        task: One of ``names.TASKS``, or None where neither the developer nor the model said.
        classes: The names of its scores, where the developer or the framework said.
    """

    model: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    task: str | None
    classes: Sequence[Any] | None

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """Return the argument that is given at *place* or by *name*."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name, default)


Outputs = tuple[Any, Any]
"""What a call says of its rows, prediction and score; None for what it does not say."""


class Unread:
    """Stands for features that are not looked at; how many rows there are, the outputs say."""


NOBODY = object()
"""Stands for the features of a call that serves nobody: training, tracing."""


def first(asked: Asked) -> Any:
    """Return the features of most calls: the first argument, by place or by name."""
    return asked.args[0] if asked.args else next(iter(asked.kwargs.values()), None)


class Method(NamedTuple):
    """How the calls of one method are read; what fails in it is counted, and the model goes on.

    Attributes:
        outputs: What a call said of its rows, given what it returned.
        features: What goes in, or ``NOBODY``. Neither copied nor consumed: the recorder copies.
    """

    outputs: Callable[[Asked, Any], Outputs]
    features: Callable[[Asked], Any] = first


def returned(asked: Asked, result: Any) -> Outputs:  # noqa: ARG001 - the form of every reader of outputs
    """Return what a function returned as its prediction."""
    return result, None


CALLED = Method(returned)
"""How a function of the features is read: nothing is asked of a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the calls of one model are read.

    Attributes:
        serves: The methods that predict, by name; those the model has not are passed over.
        trains: The methods in which no call serves anybody.
        task: One of ``names.TASKS``, or None where the model does not know.
        columns: The features' names, where the model knows them and its input does not.
        classes: The classes' names, in the order of the scores.
        trained: Tells whether a call trains the model, where no method says so.
    """

    serves: Mapping[str, Method]
    trains: Collection[str] = ()
    task: str | None = None
    columns: Sequence[str] | None = None
    classes: Sequence[Any] | None = None
    trained: Callable[[Asked], bool] | None = None


def predicted(asked: Asked, result: Any) -> Outputs:
    """Return one prediction a row; the first of several things returned, such as mean and deviation.

    Several numbers a row that are no classes, such as the steps of a forecast, are scores by name.
    """
    prediction = result[0] if isinstance(result, tuple) and result else result
    several = getattr(prediction, "ndim", 1) == 2 and asked.task in ("regression", "forecasting", "ranking")
    return told(asked, prediction) if several else (prediction, None)


def scored(asked: Asked, result: Any) -> Outputs:  # noqa: ARG001 - the form of every reader of outputs
    """Return scores, one a row or one a class and row."""
    return (None, result)


def told(asked: Asked, result: Any) -> Outputs:
    """Return what an array or tensor of numbers says, of a model that does not say what its outputs are.

    One number a row is the prediction, or the score where the task is classification. Several a row are
    scores by class, or by name where the task says that they are no classes: quantiles, or the steps of a
    forecast.
    """
    values = as_array(result)
    if values.ndim < 2 or values.shape[1:] == (1,):
        is_score = asked.task == "classification" and values.dtype.kind == "f"
        return (None, values) if is_score else (values, None)
    if asked.task in (None, "classification") or values.ndim > 2:
        return (None, values)
    width = values.shape[1]
    names = asked.classes if asked.classes is not None and len(asked.classes) == width else range(width)
    return (None, dict(zip(names, values.T, strict=True)))


def table(columns: Mapping[str, Any]) -> Any:
    """Return several named inputs as one table, or the only one as it is; each may be of one column."""
    if len(columns) == 1:
        return next(iter(columns.values()))
    values = {name: as_array(value) for name, value in columns.items()}
    return {name: value.reshape(-1) if value.size == len(value) else value for name, value in values.items()}
