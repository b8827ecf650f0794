"""What ``driftline baseline check --against`` prints: thresholds to paste, and how they were found."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from driftline.baseline.files import Files
from driftline.errors import BaselineError
from driftline.spread import FLOOR, LARGE, MARGIN, QUANTILE, by_rows, by_time, spread

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from driftline.baseline import Baseline


def suggest(baseline: Baseline, arguments: argparse.Namespace, outputs: Mapping[str, str]) -> int:
    """Print what recent rows suggest; 1 where there is something to look at.

    Raises:
        BaselineError: The recent rows cannot be read or cut into windows.
    """
    recent = arguments.against
    if arguments.time is not None and arguments.hours > 0:
        windows = by_time(recent, arguments.time, arguments.hours)
        length = f"{arguments.hours:g} hours"
    elif arguments.window_rows is not None and arguments.window_rows > 0:
        windows = by_rows(Files(recent).rows, arguments.window_rows)
        length = f"{arguments.window_rows} rows"
    else:
        raise BaselineError(
            "--against: say how long a window is: --time COLUMN, or --window-rows N, what is served in 24 hours"
        )
    found = spread(baseline, recent, windows, outputs=outputs)
    looks = [f"{feature.feature}: {feature.look}" for feature in found if feature.look]
    moved = [
        f"{feature.feature}: half of the windows are beyond PSI {np.median(feature.scores):.2f}: another population "
        "than the baseline's, which no threshold mends; build the baseline anew"
        for feature in found
        if feature.moved
    ]
    for line in (*looks, *moved):
        print(f"  {line}")
    raised = [feature for feature in found if feature.thresholds["P3"] > FLOOR and not feature.moved]
    print(
        f"# Windows of {length} of {recent}: P3 is {MARGIN} times the PSI that {QUANTILE:.0%} of them stay below,"
    )
    print(
        f"# at least {FLOOR}; P2 is {LARGE} times P3. Nothing is applied: paste what you want into driftline.yaml."
    )
    if raised:
        print(f"models:\n  {json.dumps(baseline.model)}:\n    features:")
    for feature in raised:
        thresholds = ", ".join(f"{priority}: {score}" for priority, score in feature.thresholds.items())
        print(
            f"      {json.dumps(feature.feature)}: {{thresholds: {{psi: {{{thresholds}}}}}}}"
            f" # {len(feature.scores)} windows, median {np.median(feature.scores):.3f}, most {feature.scores.max():.3f}"
        )
    print(f"# {len(found) - len(raised) - len(moved)} of {len(found)} features keep the default.")
    return 1 if looks or moved else 0
