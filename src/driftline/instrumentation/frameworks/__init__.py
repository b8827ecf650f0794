"""How the calls of each framework's models are read: one file each, one line here.

A framework is known by the module of its classes and never imported: who has a model has imported it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftline.instrumentation.frameworks import (
    catboost,
    estimator,
    keras,
    lightgbm,
    onnxruntime,
    torch,
    xgboost,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftline.instrumentation.frameworks.reading import Reading

FRAMEWORKS: dict[str, Callable[[Any], Reading]] = {
    "catboost": catboost.read,
    "keras": keras.read,
    "lightgbm": lightgbm.read,
    "onnxruntime": onnxruntime.read,
    "sklearn": estimator.read,
    "torch": torch.read,
    "xgboost": xgboost.read,
}
