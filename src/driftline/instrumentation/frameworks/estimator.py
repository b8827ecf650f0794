"""Estimators in scikit-learn's manner, whoever wrote them."""

from __future__ import annotations

from typing import Any

from driftline.instrumentation.frameworks.reading import Method, Reading, predicted, scored

SERVES = {
    "predict": Method(predicted),
    "predict_proba": Method(scored),
    "decision_function": Method(scored),
    "score_samples": Method(scored),
}
TRAINS = ("fit", "partial_fit", "fit_predict", "score")
_TASK_OF = {"classifier": "classification", "regressor": "regression", "ranker": "ranking"}


def read(model: Any) -> Reading:
    """Return how the calls of *model* are read; its names and classes are asked for at each: it may be fitted anew."""
    return Reading(serves=SERVES, trains=TRAINS, task=task(model))


def task(model: Any) -> str | None:
    """Return the task of an estimator that knows it, else None."""
    try:
        tags = getattr(model, "__sklearn_tags__", None)
        kind = tags().estimator_type if tags else getattr(model, "_estimator_type", "")
        return _TASK_OF.get(kind)
    except Exception:  # noqa: BLE001 - a foreign object; the sidecar's baseline knows the task too
        return None
