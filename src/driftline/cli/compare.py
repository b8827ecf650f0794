"""``driftline compare``: have these rows moved away from those? The rules' verdict, without any stack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from driftline.baseline import Baseline
from driftline.baseline.files import Files
from driftline.compare import Comparison, compare
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    import argparse

    from driftline.compare import Verdict

DEFAULT_THRESHOLD = 0.1
HEADER = ("feature", "verdict", "PSI", "KS", "W1/sd", "by chance", "phi", "faults")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument(
        "expected",
        type=Path,
        metavar="EXPECTED",
        help="a baseline, or the data of one: Parquet, Arrow, CSV, a folder of such",
    )
    parser.add_argument(
        "observed", type=Path, metavar="OBSERVED", help="the rows to judge, in the same forms; of any size"
    )
    parser.add_argument("--prediction", metavar="COLUMN", help="what the model predicted")
    parser.add_argument("--score", metavar="COLUMN", help="the score it gave")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="COLUMN", help="leave it out; may be repeated"
    )
    parser.add_argument(
        "--categorical",
        action="append",
        default=[],
        metavar="COLUMN",
        help="numbers that are categories; may be repeated",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=DEFAULT_THRESHOLD,
        metavar="PSI",
        help="what counts as large; 0.1 unless given",
    )
    parser.add_argument(
        "--html",
        type=Path,
        metavar="FILE",
        help="write it as a page, too, with drawings; needs driftline[report]",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the verdict: 0 nothing moved, 1 something did, 2 it could not be told."""
    if not arguments.threshold > 0:
        raise DriftlineError(f"--threshold: {arguments.threshold} is no PSI, give a number above 0")
    if arguments.html:
        try:  # what is not installed is said now, not in minutes
            import driftline.report.comparison  # noqa: F401
        except ImportError as error:
            raise DriftlineError(f"--html needs {error.name}: pip install 'driftline[report]'") from error
    Files(arguments.observed)  # nor is a path that is wrong
    outputs = {"@prediction": arguments.prediction, "@score": arguments.score}
    expected = _expected(arguments)
    found = compare(
        expected,
        arguments.observed,
        threshold=arguments.threshold,
        outputs={name: column for name, column in outputs.items() if column},
    )
    if arguments.html:
        _write(arguments, expected, found)
    print("\n".join(_lines(expected, arguments, found)))
    return 1 if any(verdict.found for verdict in found.verdicts) else 0


def _write(arguments: argparse.Namespace, expected: Baseline, found: Comparison) -> None:
    from driftline.report.comparison import comparison
    from driftline.report.page import save

    page = comparison(
        found,
        expected=arguments.expected.name,
        expected_rows=expected.rows,
        observed=arguments.observed.name,
        threshold=arguments.threshold,
    )
    save(page, arguments.html)


def _expected(arguments: argparse.Namespace) -> Baseline:
    if arguments.expected.suffix == ".json":
        return Baseline.load(arguments.expected)
    return Baseline.build(
        arguments.expected,
        model=arguments.expected.stem,
        prediction=arguments.prediction,
        score=arguments.score,
        ignore=arguments.ignore,
        categorical=arguments.categorical,
    )


def _lines(expected: Baseline, arguments: argparse.Namespace, found: Comparison) -> list[str]:
    rows: list[tuple[str, ...]] = [HEADER]
    rows += [_row(verdict) for verdict in found.verdicts]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        f"{found.rows:,} rows of {arguments.observed} against {expected.rows:,} of {arguments.expected}",
        "",
        *(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ),
        "",
    ]
    drifted, faulty = ([one.feature for one in those] for those in (found.drifted, found.faulty))
    if drifted:
        lines.append(f"Drifted, {len(drifted)} of {len(found.verdicts)}: {', '.join(drifted)}.")
    if faulty:
        lines.append(f"More faults than before: {', '.join(faulty)}.")
    if not drifted and not faulty:
        lines.append("Nothing has moved more than chance explains and the threshold allows.")
    lines += found.notes
    return lines


def _row(verdict: Verdict) -> tuple[str, ...]:
    def number(name: str) -> str:
        return f"{verdict.scores[name]:.3f}" if name in verdict.scores else ""

    chance = (
        "" if verdict.p_value is None else "<1e-6" if verdict.p_value < 1e-6 else f"{verdict.p_value:.2g}"
    )
    phi = "" if verdict.overdispersion is None else f"{verdict.overdispersion:.1f}"
    return (
        verdict.feature, verdict.says, number("psi"), number("kolmogorov_smirnov"), number("wasserstein"), chance, phi,
        ", ".join(f"{fault} {share:.1%}" for fault, share in verdict.faults.items()),
    )  # fmt: skip
