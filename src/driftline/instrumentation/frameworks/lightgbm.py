"""LightGBM: its estimators, and the Booster."""

from __future__ import annotations

import os
import re
from typing import Any

from driftline.instrumentation.frameworks import estimator
from driftline.instrumentation.frameworks.reading import Asked, Method, Outputs, Reading, Unread, first, told

_TASK_OF = {
    "binary": "classification",
    "multiclass": "classification",
    "multiclassova": "classification",
    "lambdarank": "ranking",
    "rank_xendcg": "ranking",
}
_CUSTOM = {"cross_entropy", "cross_entropy_lambda", "custom", "none"}


def read(model: Any) -> Reading:
    """Return how the calls of an estimator or a Booster are read."""
    if hasattr(model, "get_params"):
        ranks = any(kind.__name__ == "LGBMRanker" for kind in type(model).__mro__)
        task = "ranking" if ranks else estimator.task(model)
        return Reading(serves=estimator.SERVES, trains=estimator.TRAINS, task=task)
    columns = model.feature_name()
    if columns == [f"Column_{at}" for at in range(len(columns))]:  # LightGBM's own names for the unnamed
        columns = None
    return Reading(serves=SERVES, task=_task(model), columns=columns)


def _task(model: Any) -> str | None:
    """Return the task of the objective that a Booster is written with; a custom one is not."""
    written = re.search(r"^objective=(\w+)", model.model_to_string(num_iteration=1), re.MULTILINE)
    if written is None or written[1] in _CUSTOM:
        return None
    return _TASK_OF.get(written[1], "regression")


def _features(asked: Asked) -> Any:
    return Unread() if isinstance(first(asked), (str, os.PathLike)) else first(asked)  # a file's rows


def _outputs(asked: Asked, result: Any) -> Outputs:
    if asked.argument(4, "pred_leaf") or asked.argument(5, "pred_contrib"):
        return None, None
    return told(asked, result)


SERVES = {"predict": Method(_outputs, _features)}
