"""The rows of the demo: PCs of 1993, which the model knows, and of late 1994, which it does not."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

FEATURES = ("speed", "hd", "ram", "screen", "cd", "multi", "premium")
PREDICTION = "predicted_price"
KNOWN = "PCs of 1993"
LATER = "PCs of late 1994"
SOURCE = "PCs advertised in 1993, and from July to December 1994 (Stengos and Zacharias, 2006)"

_KNOWN_MONTHS = (1, 12)
_LATER_MONTHS = (19, 24)
_TRAINING_SHARE = 0.7
_SEED = 1993


@dataclass(frozen=True)
class Population:
    """Advertised PCs with their prices, in three parts.

    Attributes:
        training: What the model learns from and the baseline is built from.
        held_out: Others of the same months, at random: no drift.
        later: Those of a later time: drift.
    """

    training: pd.DataFrame
    held_out: pd.DataFrame
    later: pd.DataFrame


def load() -> Population:
    """Read the PCs that come with driftline; always the same ones in each part."""
    import pandas as pd

    with (resources.files("driftline.cli.demo") / "data" / "computers.csv").open() as file:
        computers = pd.read_csv(file)
    known = computers[computers["trend"].between(*_KNOWN_MONTHS)]
    learned = np.random.default_rng(_SEED).random(len(known)) < _TRAINING_SHARE
    later = computers[computers["trend"].between(*_LATER_MONTHS)]
    return Population(known[learned], known[~learned], later)


def train(training: pd.DataFrame) -> Any:
    """Return a model of the price: gradient-boosted trees, the yes-or-no columns as numbers."""
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    numbers = make_column_transformer((OrdinalEncoder(), ["cd", "multi", "premium"]), remainder="passthrough")
    trees = HistGradientBoostingRegressor(max_iter=60, max_leaf_nodes=12, random_state=_SEED)
    return make_pipeline(numbers, trees).fit(training[list(FEATURES)], training["price"])


def mean_error(model: Any, rows: pd.DataFrame) -> float:
    """Return by how many dollars *model* is off on average; the prices are known, as they are not in production."""
    return float(np.abs(model.predict(rows[list(FEATURES)]) - rows["price"]).mean())
