"""Keras: models, called by ``predict``, ``predict_on_batch`` or as ``model(x)``."""

from __future__ import annotations

from typing import Any

from driftline.instrumentation.frameworks.reading import (
    NOBODY,
    Asked,
    Method,
    Outputs,
    Reading,
    Unread,
    first,
    table,
    told,
)

TRAINS = ("fit", "evaluate", "train_on_batch", "test_on_batch")


def read(model: Any) -> Reading:  # noqa: ARG001 - every model is called alike
    """Return how the calls of a model are read."""
    return Reading(serves=SERVES, trains=TRAINS)


def _called(asked: Asked) -> Any:
    inputs = first(asked)
    some = next(iter(inputs.values()), None) if isinstance(inputs, dict) else inputs
    some = some[0] if isinstance(some, (list, tuple)) and some else some
    # a symbol of a tensor has no values: a graph is being made
    symbolic = type(some).__module__.startswith(("keras.", "tensorflow.")) and not hasattr(some, "numpy")
    return NOBODY if symbolic or asked.kwargs.get("training") else _features(asked)


def _features(asked: Asked) -> Any:
    inputs = first(asked)
    if isinstance(inputs, dict):
        return table(inputs)
    if isinstance(inputs, (list, tuple)) and inputs and hasattr(inputs[0], "shape"):
        return inputs[0]
    # a generator or data set of batches is the model's to consume; its length is not its rows
    return inputs if hasattr(inputs, "shape") else Unread()


def _outputs(asked: Asked, result: Any) -> Outputs:
    if isinstance(result, dict):
        result = next(iter(result.values()))
    elif isinstance(result, (list, tuple)):
        result = result[0]
    return told(asked, result)


SERVES = {
    "__call__": Method(_outputs, _called),
    "predict": Method(_outputs, _features),
    "predict_on_batch": Method(_outputs, _features),
}
