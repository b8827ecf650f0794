"""``driftline baseline``: build one from training data, in parts too; show what it holds, check that it is sound."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from driftline import names
from driftline.baseline import Baseline, folder
from driftline.baseline.baseline import SUFFIX, prefix
from driftline.baseline.build import output_columns
from driftline.errors import BaselineError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from driftline.baseline import FeatureBaseline


DATA = "Parquet, Arrow or CSV: a file, a folder of parts, or a pattern of them in quotes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="read training data and write its baseline")
    build.add_argument("data", type=Path, metavar="DATA", help=DATA)
    build.add_argument("--model", required=True, help="the model's name, as the service says it")
    build.add_argument(
        "--version", default="*", help="its version; without it the baseline serves every version"
    )
    _add_outputs(build)
    build.add_argument("--ground-truth", metavar="COLUMN", help="what turned out to be so; no feature")
    build.add_argument(
        "--features",
        action="append",
        metavar="COLUMN",
        help="take this column and no others but those named so; may be repeated",
    )
    _add_choices(build)
    build.add_argument("--dataset-version", metavar="NAME", help="what the training data is called")
    build.add_argument(
        "--fallback", action="store_true", help="count versions without a baseline on this one"
    )
    part = actions.add_parser(
        "part", help="count a part of the training data on the bins and range of a baseline, to be merged"
    )
    part.add_argument("data", type=Path, metavar="DATA", help=DATA)
    part.add_argument(
        "--of", type=Path, required=True, metavar="FILE", help="the baseline, such as one of a sample"
    )
    _add_outputs(part)
    part.add_argument("--output", type=Path, required=True, metavar="FILE", help="a .json file")
    merge = actions.add_parser("merge", help="add up parts: the baseline of all their rows, counted at once")
    merge.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a part, or a folder of them")
    merge.add_argument("--output", type=Path, default=Path(), metavar="PATH", help="a folder or a .json file")
    captured = actions.add_parser(
        "capture",
        help="build one from what is served: listen over OTLP for a while, write no row anywhere, and refuse a "
        "period in which something moved",
    )
    captured.add_argument("--model", required=True, help="the model's name, as the service says it")
    captured.add_argument("--version", required=True, help="its version, as the service says it")
    captured.add_argument(
        "--for", dest="period", default="24h", metavar="TIME", help="how long to listen; 24h unless given"
    )
    captured.add_argument("--rows", type=int, metavar="N", help="end as soon as so many rows have come")
    for transport, address in (("grpc", "127.0.0.1:4337"), ("http", "127.0.0.1:4338")):
        captured.add_argument(
            f"--{transport}",
            default=address,
            metavar="ADDRESS",
            help=f"where to listen; {address} unless given",
        )
    for option, text in (
        ("--cert", "listen with TLS: a certificate, with --key"),
        ("--key", "its key"),
        ("--client-ca", "the authority that signs the senders' certificates; others are refused"),
        ("--token-file", "a bearer token that senders must know"),
    ):
        captured.add_argument(option, type=Path, metavar="FILE", help=text)
    captured.add_argument(
        "--insecure",
        action="store_true",
        help="listen where others reach it without TLS or a token, for the network is the guard",
    )
    _add_choices(captured)
    actions.add_parser("show", help="print what baselines hold").add_argument(
        "files", type=Path, nargs="+", metavar="FILE", help="a baseline, or a folder of them"
    )
    check = actions.add_parser("check", help="say whether baselines are sound, and what is odd about them")
    check.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a baseline, or a folder of them")
    check.add_argument(
        "--against",
        type=Path,
        metavar="DATA",
        help="recent rows in which nothing was wrong: suggest thresholds from how far each window of them is from "
        "the baseline, to be pasted into driftline.yaml",
    )
    check.add_argument("--time", metavar="COLUMN", help="the time of a row, by which windows are cut")
    check.add_argument(
        "--hours",
        type=float,
        default=24.0,
        metavar="N",
        help="how long one is; 24, as the alerts judge, unless given",
    )
    check.add_argument(
        "--window-rows", type=int, metavar="N", help="without a time: rows that are served in a window"
    )
    _add_outputs(check)


def _add_choices(parser: argparse.ArgumentParser) -> None:
    """Add what is asked for wherever a baseline is built."""
    parser.add_argument("--task", choices=names.TASKS, help="else it is told from the prediction")
    for option, text in (
        ("--ignore", "leave this column out"),
        ("--categorical", "read this numeric column as categories"),
    ):
        parser.add_argument(option, action="append", metavar="COLUMN", help=f"{text}; may be repeated")
    parser.add_argument(
        "--edges-from",
        metavar="FILE",
        help="keep the bins of this older baseline; else of the newest of this model where the new one is "
        "written; none cuts them anew, and last week's rows are no reference any more",
    )
    parser.add_argument(
        "--output", type=Path, default=Path(), metavar="PATH", help="a folder or a .json file"
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--prediction", metavar="COLUMN", help="what the model predicted for these rows")
    parser.add_argument(
        "--score",
        action="append",
        metavar="COLUMN",
        help="the score it gave them, of two classes that of the second; of several CLASS=COLUMN, may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Return 0 when all is well, 1 when something is odd, 2 when it could not be done."""
    action = {
        "build": _build, "part": _part, "merge": _merge, "capture": _capture, "show": _show, "check": _check,
    }[arguments.action]  # fmt: skip
    return action(arguments)


def _build(arguments: argparse.Namespace) -> int:
    older = _older(arguments.edges_from, arguments.model, arguments.output)
    with _said():
        baseline = Baseline.build(
            arguments.data,
            model=arguments.model,
            version=arguments.version,
            task=arguments.task,
            prediction=arguments.prediction,
            score=_scores(arguments.score),
            features=arguments.features,
            ignore=arguments.ignore or (),
            categorical=arguments.categorical or (),
            ground_truth=arguments.ground_truth,
            edges_from=older,
            dataset_version=arguments.dataset_version,
            fallback=arguments.fallback,
        )
    inputs = [name for name in baseline.features if not name.startswith("@")]
    if arguments.features is None and inputs:  # a label or a score that was left in would be missing for ever
        shown = ", ".join(inputs[:20]) + (f" and {len(inputs) - 20} more" if len(inputs) > 20 else "")
        print(
            f"  watches {_printable(shown)}: what the service never sends of these, leave out with --ignore"
        )
    return _save(baseline, arguments.output)


def _part(arguments: argparse.Namespace) -> int:
    outputs = output_columns(arguments.prediction, _scores(arguments.score))
    return _save(Baseline.load(arguments.of).part(arguments.data, outputs=outputs), arguments.output)


def _merge(arguments: argparse.Namespace) -> int:
    baselines, faults = _read(arguments.files)
    if faults:
        raise BaselineError(faults)
    return _save(Baseline.merge(baselines), arguments.output)


def _capture(arguments: argparse.Namespace) -> int:
    try:
        from driftline.cli.capture import capture
    except ImportError as error:
        raise BaselineError(
            f"driftline baseline capture needs {error.name}: pip install 'driftline[baseline,sidecar]'"
        ) from error
    older = _older(arguments.edges_from, arguments.model, arguments.output)
    folder = arguments.output if arguments.output.is_dir() else arguments.output.absolute().parent
    if not os.access(folder, os.W_OK):  # said now, and not in a day
        raise BaselineError(f"--output: {folder} is no folder that can be written to")
    with _said():
        baseline = capture(arguments, older)
    return _save(baseline, arguments.output)


def _save(baseline: Baseline, output: Path) -> int:
    path = baseline.save(output)
    print(f"{path}: {len(baseline.features)} features from {baseline.rows} rows")
    return 0


def _older(said: str | None, model: str, output: Path) -> Baseline | None:
    """Return the baseline whose bins are kept, and print which: without them a retrain erases last week."""
    if said == "none":
        return None
    if said is not None:
        paths = [Path(said)]
    elif output.suffix == ".json" and not output.is_dir():
        paths = [output] if output.is_file() else []
    else:
        paths = [path for path in output.glob(f"*{SUFFIX}") if path.name.startswith(prefix(model))]
    try:
        found = [(path, Baseline.load(path)) for path in paths]
    except BaselineError as error:
        remedy = "its bins cannot be kept; give another --edges-from FILE, or --edges-from none"
        raise BaselineError([*error.faults, remedy]) from error
    if said is None:
        found = [(path, baseline) for path, baseline in found if baseline.model == model]
    if not found:
        return None
    path, older = max(found, key=lambda pair: (pair[1].created, pair[1].version))
    print(f"  keeps the bins of {path}")
    return older


def _scores(given: Sequence[str] | None) -> str | dict[str, str] | None:
    if given is None or (len(given) == 1 and "=" not in given[0]):
        return given[0] if given else None
    pairs = [score.partition("=") for score in given]
    return {name: column or name for name, _, column in pairs}


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """Print what building warns of."""
    logger = logging.getLogger("driftline.baseline")
    lines = logging.StreamHandler(sys.stdout)
    lines.setFormatter(logging.Formatter("  %(message)s"))
    logger.addHandler(lines)
    try:
        yield
    finally:
        logger.removeHandler(lines)


def _show(arguments: argparse.Namespace) -> int:
    baselines, faults = _read(arguments.files)
    for place, baseline in enumerate(baselines):
        if place:
            print()
        _show_one(baseline)
    if faults:
        raise BaselineError(faults)
    return 0


def _show_one(baseline: Baseline) -> None:
    print(f"{baseline.model} {baseline.version}, {baseline.task or 'task unknown'}, {baseline.rows} rows")
    print(f"built {baseline.created}, id {baseline.id[:12]}\n")
    rows: list[tuple[str, ...]] = [
        ("feature", "kind", "bins", "missing", "5 %", "median", "95 %", "bins by share")
    ]
    rows += [_row(feature) for feature in baseline.features.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(_printable("  ".join(map(str.ljust, row, widths)).rstrip()))
    for name, embedding in baseline.embeddings.items():
        print(_printable(f"{name}: vectors of {embedding.dimensions} dimensions, measured from their mean"))
    for name, reason in baseline.skipped.items():
        print(_printable(f"skipped {name}: {reason}"))


def _printable(line: str) -> str:
    """Return *line* without what a terminal would obey: a category may be anything a stranger typed."""
    return "".join(character if character.isprintable() else "?" for character in line)


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
    if arguments.against is None and (arguments.time or arguments.window_rows):
        raise BaselineError("--time and --window-rows say how recent rows are cut; give them: --against DATA")
    paths, faults = _in_folders(arguments.files)
    for fault in faults:
        print(fault, file=sys.stderr)
    code = 2 if faults else 0
    sound: dict[tuple[str, str], Path] = {}
    for path in paths:
        try:
            baseline = Baseline.load(path)
        except BaselineError as error:
            print("\n".join(error.faults))
            code = max(code, 1)
            continue
        lines = baseline.oddities()
        key = (baseline.model, baseline.version)
        if key in sound:
            lines.append(f"{sound[key]} is for the same model and version; the sidecar refuses two")
        sound[key] = path
        print(f"{path}: {f'{len(lines)} to look at' if lines else 'sound'}")
        for line in lines:
            print(f"  {line}")
        code = max(code, 1 if lines else 0)
        if arguments.against is not None:
            from driftline.cli.thresholds import suggest

            outputs = output_columns(arguments.prediction, _scores(arguments.score))
            code = max(code, suggest(baseline, arguments, outputs))
    return code


def _read(paths: Sequence[Path]) -> tuple[list[Baseline], list[str]]:
    """Return the baselines at *paths*, and what is wrong where there is none."""
    files, faults = _in_folders(paths)
    found, unsound = folder.read(files)
    return [baseline for _, baseline in found], faults + unsound


def _in_folders(paths: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the baselines' files at *paths*, and where there is none."""
    found: list[Path] = []
    faults = []
    for path in paths:
        try:
            path.stat()
            files = folder.files(path)
        except FileNotFoundError:
            faults.append(f"{path}: there is no such file")
        except OSError as error:
            faults.append(f"{path}: cannot be read: {error.strerror}")
        except BaselineError as error:
            faults += error.faults
        else:
            found += files
            if not files:
                faults.append(f"{path}: no baseline in this folder")
    return found, faults
