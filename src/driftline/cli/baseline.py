"""``driftline baseline``: build one from training data, show what it holds, check that it is sound."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from driftline import names
from driftline.baseline import Baseline
from driftline.errors import BaselineError

if TYPE_CHECKING:
    import argparse

    from driftline.baseline import FeatureBaseline

HELP = "build a baseline from training data, show it, check it"

FEW_ROWS = 1000
LARGEST_SHARE = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="read training data and write its baseline")
    build.add_argument("data", type=Path, metavar="DATA", help="Parquet or CSV")
    build.add_argument("--model", required=True, help="the model's name, as the service says it")
    build.add_argument(
        "--version", default="*", help="its version; without it the baseline serves every version"
    )
    build.add_argument("--task", choices=names.TASKS, help="else it is told from the prediction")
    build.add_argument("--prediction", metavar="COLUMN", help="what the model predicted for these rows")
    build.add_argument("--score", metavar="COLUMN", help="the score it gave them")
    build.add_argument("--ground-truth", metavar="COLUMN", help="what turned out to be so; no feature")
    for option, text in (
        ("--features", "take this column and no others but those named so"),
        ("--ignore", "leave this column out"),
        ("--categorical", "read this numeric column as categories"),
    ):
        build.add_argument(option, action="append", metavar="COLUMN", help=f"{text}; may be repeated")
    build.add_argument("--edges-from", type=Path, metavar="FILE", help="keep the bins of this older baseline")
    build.add_argument("--dataset-version", metavar="NAME", help="what the training data is called")
    build.add_argument(
        "--fallback", action="store_true", help="count versions without a baseline on this one"
    )
    build.add_argument("--output", type=Path, default=Path(), metavar="PATH", help="a folder or a .json file")
    actions.add_parser("show", help="print what a baseline holds").add_argument(
        "file", type=Path, metavar="FILE"
    )
    check = actions.add_parser("check", help="say whether baselines are sound, and what is odd about them")
    check.add_argument("files", type=Path, nargs="+", metavar="FILE")


def run(arguments: argparse.Namespace) -> int:
    """Return 0 when all is well, 1 when something is odd, 2 when it could not be done."""
    action = {"build": _build, "show": _show, "check": _check}[arguments.action]
    try:
        return action(arguments)
    except BaselineError as error:
        print("\n".join(error.faults), file=sys.stderr)
        return 2


def _build(arguments: argparse.Namespace) -> int:
    baseline = Baseline.build(
        arguments.data,
        model=arguments.model,
        version=arguments.version,
        task=arguments.task,
        prediction=arguments.prediction,
        score=arguments.score,
        features=arguments.features,
        ignore=arguments.ignore or (),
        categorical=arguments.categorical or (),
        ground_truth=arguments.ground_truth,
        edges_from=arguments.edges_from,
        dataset_version=arguments.dataset_version,
        fallback=arguments.fallback,
    )
    try:
        path = baseline.save(arguments.output)
    except OSError as error:
        print(f"{arguments.output}: cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    print(f"{path}: {len(baseline.features)} features from {baseline.rows} rows")
    for name, reason in baseline.skipped.items():
        print(f"  skipped {name}: {reason}")
    for line in odd(baseline):
        print(f"  {line}")
    return 0


def _show(arguments: argparse.Namespace) -> int:
    baseline = Baseline.load(arguments.file)
    print(f"{baseline.model} {baseline.version}, {baseline.task or 'task unknown'}, {baseline.rows} rows")
    print(f"built {baseline.created}, id {baseline.id[:12]}\n")
    rows: list[tuple[str, ...]] = [("feature", "kind", "bins", "missing", "5 %", "median", "95 %", "bins by share")]
    rows += [_row(feature) for feature in baseline.features.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    for name, reason in baseline.skipped.items():
        print(f"skipped {name}: {reason}")
    return 0


def _row(feature: FeatureBaseline) -> tuple[str, ...]:
    quantiles = [
        f"{feature.quantiles[q]:.4g}" if q in feature.quantiles else "" for q in ("0.05", "0.5", "0.95")
    ]
    missing = feature.faults.get(names.MISSING, 0) / feature.rows if feature.rows else 0.0
    if feature.categories:
        shares = ", ".join(
            f"{label} {share:.0%}" for label, share in zip(feature.bins, feature.ratios, strict=True)
        )
    else:
        shares = " ".join(f"{share:.0%}" for share in feature.ratios)
    shares = shares if len(shares) <= 60 else shares[:59] + "…"
    return feature.name, feature.kind, str(len(feature.bins)), f"{missing:.1%}", *quantiles, shares


def _check(arguments: argparse.Namespace) -> int:
    found = 0
    sound: dict[tuple[str, str], Path] = {}
    for path in arguments.files:
        baseline = Baseline.load(path)
        lines = odd(baseline)
        key = (baseline.model, baseline.version)
        if key in sound:
            lines.append(f"{sound[key]} is for the same model and version; the sidecar refuses two")
        sound[key] = path
        print(f"{path}: {'sound' if not lines else f'{len(lines)} to look at'}")
        for line in lines:
            print(f"  {line}")
        found += len(lines)
    return 1 if found else 0


def odd(baseline: Baseline) -> list[str]:
    """Return what makes a baseline's scores less telling than they could be."""
    lines = []
    if baseline.rows < FEW_ROWS:
        lines.append(f"built from {baseline.rows} rows; drift is judged well from {FEW_ROWS} on")
    for feature in baseline.features.values():
        if feature.values == 0:
            lines.append(f"{feature.name}: no value is in a bin, it is never scored")
        elif len(feature.bins) == 1:
            lines.append(f"{feature.name}: constant, only its faults tell anything")
        elif uneven(feature):
            lines.append(
                f"{feature.name}: its bins hold {feature.ratios.min():.1%} to {feature.ratios.max():.1%} of the rows; "
                "build without --edges-from to spread them anew"
            )
    return lines


def uneven(feature: FeatureBaseline) -> bool:
    """Return whether bins that could be cut finer hold much more than their share: old edges, new data."""
    pieces = np.bincount(feature.fold, minlength=len(feature.bins))
    return not feature.categories and bool((feature.ratios[pieces > 1] > LARGEST_SHARE).any())
