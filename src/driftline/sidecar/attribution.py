"""What drives the score now: the sums of a baseline's score by bin, of all its features at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from driftline.baseline.attribution import ScoreSums
from driftline.baseline.scores import Scores, attributed
from driftline.columns import take

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from driftline.baseline import Baseline, FeatureBaseline
    from driftline.columns import Column


NOTHING = "nothing to attribute, its baseline has no score and no number as prediction; build it with --score or --prediction"
"""What is said where attribution is asked for in vain."""


class Attribution:
    """Which score is attributed to which features; to none where it was not asked for, or has no range.

    Attributes:
        score: The output that is attributed.
        features: The inputs.
        in_training: The share of its variance that each of them explained in training, where that is known.
    """

    def __init__(self, baseline: Baseline, features: Sequence[FeatureBaseline], *, wanted: bool) -> None:
        self.score = attributed(features) if wanted else None
        inputs = [feature for feature in features if not feature.name.startswith("@")]
        self.features = tuple(inputs) if self.score is not None else ()
        same = self.score is attributed(
            baseline.features.values()
        )  # the sidecar may be told to ignore that one
        shares = {f.name: f.scores.explained() for f in self.features if same and f.scores is not None}
        self.in_training = {name: share for name, share in shares.items() if share is not None}
        self._cuts = tuple(feature.layout.cuts for feature in self.features)
        self._starts = np.cumsum([0, *(len(feature.bins) for feature in self.features)])

    def empty(self) -> ScoreSums:
        """Return sums of nothing."""
        return ScoreSums.empty(int(self._starts[-1]), len(self.features))

    def count(
        self, inputs: Mapping[str, Column], outputs: Mapping[str, Column], answered: NDArray[np.bool_]
    ) -> ScoreSums:
        """Sum the scores of *outputs*, those of the rows that were *answered*, by the bins of *inputs*."""
        found = self.empty()
        if self.score is None or self.score.name not in outputs:
            return found
        scores = Scores.of(self.score, outputs[self.score.name])
        every = bool(answered.all())
        for number, feature in enumerate(self.features):
            if feature.name not in inputs:
                continue
            column = inputs[feature.name] if every else take(inputs[feature.name], answered)
            sums = scores.by_bin(feature, column, self._cuts[number])
            here = slice(self._starts[number], self._starts[number + 1])
            found.values[here] = sums.values
            found.sums[here] = sums.sums
            found.squares[number] = sums.squares[0]
        return found
