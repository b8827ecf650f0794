"""How the calls of each framework's models are read: one file each, one line here.

A framework is known by the module of its classes and never imported: who has a model has imported it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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
    from collections.abc import Callable, Collection

    from driftline.instrumentation.frameworks.reading import Reading


class Framework(NamedTuple):
    """What driftline knows of a framework.

    Attributes:
        read: Returns how the calls of one of its models are read.
        root: The class that its models derive from, as ``module:class``.
        serves: The methods that predict, of which a model may have some.
        trains: The methods in which no call serves anybody.
        by_name: Whether ``opentelemetry-instrument`` records only models whose class is named: of modules a
            process holds hundreds, and a loss or an image's transformation is one too.
        drawing: Tells whether a graph is being made, into which whatever else a stand-in does would be drawn.
    """

    read: Callable[[Any], Reading]
    root: str
    serves: Collection[str]
    trains: Collection[str] = ()
    by_name: bool = False
    drawing: Callable[[], bool] | None = None


FRAMEWORKS = {
    "catboost": Framework(catboost.read, "catboost:CatBoost", catboost.SERVES, catboost.TRAINS),
    "keras": Framework(keras.read, "keras:Model", keras.SERVES, keras.TRAINS),
    "lightgbm": Framework(lightgbm.read, "lightgbm:Booster", lightgbm.SERVES),
    "onnxruntime": Framework(onnxruntime.read, "onnxruntime:InferenceSession", onnxruntime.SERVES),
    "sklearn": Framework(estimator.read, "sklearn.base:BaseEstimator", estimator.SERVES, estimator.TRAINS),
    "torch": Framework(
        torch.read, "torch.nn:Module", torch.SERVES, estimator.TRAINS, by_name=True, drawing=torch.drawing
    ),
    "xgboost": Framework(xgboost.read, "xgboost:Booster", xgboost.SERVES, xgboost.TRAINS),
}


def frameworks_of(kind: type[Any]) -> list[str]:
    """Return the frameworks that *kind* is of or derives from, the nearest first."""
    packages = (one.__module__.partition(".")[0] for one in kind.__mro__)
    return [package for package in packages if package in FRAMEWORKS]
