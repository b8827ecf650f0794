"""PyTorch: modules, scripted and compiled ones too, called as ``model(tensor)``."""

from __future__ import annotations

import sys
from typing import Any

from driftline.instrumentation.frameworks import estimator
from driftline.instrumentation.frameworks.reading import (
    NOBODY,
    Asked,
    Method,
    Outputs,
    Reading,
    first,
    table,
    told,
)
from driftline.instrumentation.problems import problem


def read(model: Any) -> Reading:  # noqa: ARG001 - every module is called alike
    """Return how the calls of a module are read, and those of methods such as ``predict`` it may have."""
    return Reading(serves=SERVES, trains=estimator.TRAINS, trained=_trained)


def _trained(asked: Asked) -> bool:
    torch: Any = sys.modules["torch"]
    return bool(asked.model.training and torch.is_grad_enabled())


def drawing() -> bool:
    """Tell whether a module is being compiled, exported or traced."""
    torch: Any = sys.modules["torch"]
    return bool(torch.compiler.is_compiling() or torch.jit.is_tracing())


def _features(asked: Asked) -> Any:
    if drawing():
        return NOBODY
    if _trained(asked):
        problem(
            "training", "a torch model in training mode serves nobody; call its eval() or use torch.no_grad()"
        )
        return NOBODY
    if not asked.args:
        return table(asked.kwargs)
    return table(first(asked)) if isinstance(first(asked), dict) else first(asked)


def _outputs(asked: Asked, result: Any) -> Outputs:
    if isinstance(result, dict) or hasattr(result, "logits"):  # as transformers return it
        result = result["logits"]
    elif isinstance(result, (tuple, list)):
        result = result[0]
    return told(asked, result)


SERVES = {"__call__": Method(_outputs, _features), **estimator.SERVES}
