"""XGBoost: its estimators, and the Booster with its DMatrix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.instrumentation.frameworks import estimator
from driftline.instrumentation.frameworks.reading import (
    NOBODY,
    Asked,
    Method,
    Outputs,
    Reading,
    first,
    told,
)
from driftline.instrumentation.parts import Opaque

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from driftline.instrumentation.parts import Kept

SERVES = ("predict", "inplace_predict")
TRAINS = ("eval", "eval_set")
_NO_OUTPUT = ("pred_leaf", "pred_contribs", "pred_interactions")


def read(model: Any) -> Reading:
    """Return how the calls of an estimator or a Booster are read."""
    if not hasattr(model, "inplace_predict"):
        task = estimator.task(model) or _task(str(getattr(model, "objective", "")))
        return Reading(serves=estimator.SERVES, trains=estimator.TRAINS, task=task)
    objective = json.loads(model.save_config())["learner"]["objective"]["name"]
    decided = objective in ("multi:softmax", "binary:hinge")

    def outputs(asked: Asked, result: Any) -> Outputs:
        if any(asked.kwargs.get(name) for name in _NO_OUTPUT):
            return None, None
        return (result, None) if decided else told(asked, result)

    serves = {"predict": Method(outputs, _features), "inplace_predict": Method(outputs)}
    return Reading(serves=serves, trains=TRAINS, task=_task(objective), columns=model.feature_names)


def _task(objective: str) -> str | None:
    kind = objective.partition(":")[0]
    tasks = {"binary": "classification", "multi": "classification", "rank": "ranking"}
    return tasks.get(kind, "regression" if kind in ("reg", "count") else None)


def _features(asked: Asked) -> Any:
    data = first(asked)

    def take(kept: Kept) -> NDArray[Any]:
        rows = (data if kept is None else data.slice(kept)).get_data()  # sparse; what is absent is missing
        values = np.full(rows.shape, np.nan, np.float32)
        values[np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr)), rows.indices] = rows.data
        return values

    if asked.kwargs.get("training"):
        return NOBODY
    return Opaque(data.feature_names or asked.model.feature_names, (data.num_row(), data.num_col()), take)
