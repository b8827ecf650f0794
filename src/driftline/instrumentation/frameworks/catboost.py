"""CatBoost: its estimators, and the Pool they may be called with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.instrumentation.frameworks import estimator
from driftline.instrumentation.frameworks.reading import Asked, Method, Outputs, Reading, first, scored, told
from driftline.instrumentation.parts import Opaque

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from driftline.instrumentation.parts import Kept

TRAINS = (*estimator.TRAINS, "eval_metrics")


def read(model: Any) -> Reading:
    """Return how the calls of an estimator are read."""
    ranks = any(kind.__name__ == "CatBoostRanker" for kind in type(model).__mro__)
    columns = getattr(model, "feature_names_", None)
    if columns and columns == [str(at) for at in range(len(columns))]:  # CatBoost's own names for the unnamed
        columns = None
    task = "ranking" if ranks else estimator.task(model)
    return Reading(serves=SERVES, trains=TRAINS, task=task, columns=columns)


def _features(asked: Asked) -> Any:
    data = first(asked)
    if not hasattr(data, "get_features"):
        return data

    def take(kept: Kept) -> NDArray[Any]:
        rows = data if kept is None else data.slice(kept)
        return np.asarray(rows.get_features())  # of numbers only: with categories CatBoost refuses

    names = data.get_feature_names()
    return Opaque(names if all(names) else None, (data.num_row(), data.num_col()), take)


def _predicted(asked: Asked, result: Any) -> Outputs:
    kind = asked.argument(
        1, "prediction_type", "Class" if asked.task == "classification" else "RawFormulaVal"
    )
    if kind == "Class":
        return (result, None)
    if kind in ("Probability", "RawFormulaVal", "Exponent"):
        return told(asked, result)
    return None, None


SERVES = {"predict": Method(_predicted, _features), "predict_proba": Method(scored, _features)}
