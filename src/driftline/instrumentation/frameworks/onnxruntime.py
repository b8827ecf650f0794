"""ONNX Runtime: sessions, called by ``run(outputs, inputs)``."""

from __future__ import annotations

from typing import Any

import numpy as np

from driftline.instrumentation.frameworks.reading import Asked, Method, Outputs, Reading, table, told


def read(model: Any) -> Reading:
    """Return how the calls of a session are read."""
    outputs = model.get_outputs()
    decides = len(outputs) > 1 and outputs[0].type in ("tensor(int64)", "tensor(string)")
    return Reading(serves=SERVES, task="classification" if decides else None)


def _features(asked: Asked) -> Any:
    return table(asked.argument(1, "input_feed"))


def _outputs(asked: Asked, result: Any) -> Outputs:
    """Return labels as the prediction, and probabilities by class, as converters of classifiers write them."""
    prediction = score = None
    for values in result:
        if (
            isinstance(values, list) and values and isinstance(values[0], dict)
        ):  # a ZipMap: one dictionary a row
            by_class = {name: [row[name] for row in values] for name in values[0]}
            score = [*by_class.values()][1] if len(by_class) == 2 else by_class
        elif isinstance(values, np.ndarray):
            predicted, scored = told(asked, values)
            prediction = predicted if prediction is None else prediction
            score = scored if score is None else score
    return (prediction, score)


SERVES = {"run": Method(_outputs, _features)}
