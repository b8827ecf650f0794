"""``driftline report``: one page about a model for a ticket or an audit, from what a Prometheus holds."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from driftline.baseline import Baseline
from driftline.cli.moments import moment
from driftline.errors import DriftlineError
from driftline.report.asking import Period
from driftline.report.model import report
from driftline.report.page import save
from driftline.report.prometheus import Prometheus

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

UNITS = {"h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--environment", metavar="NAME", help="needed where the model is in several")
    parser.add_argument(
        "--since", default="7d", metavar="7d", help="how far back: hours, days or weeks (default: 7d)"
    )
    parser.add_argument(
        "--until",
        metavar="TIME",
        help="where it ends, such as 2026-03-02T12:00 (UTC unless it says); default: now",
    )
    parser.add_argument(
        "--prometheus",
        default=os.environ.get("PROMETHEUS_URL"),
        metavar="URL",
        help="its root (default: PROMETHEUS_URL); the token is read from PROMETHEUS_TOKEN, unless there is --token-file",
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="a bearer token")
    parser.add_argument(
        "--ca-file", type=Path, metavar="FILE", help="what its certificate is checked against"
    )
    parser.add_argument(
        "--cert-file", type=Path, metavar="FILE", help="a client's certificate, with --key-file"
    )
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="its key")
    parser.add_argument(
        "--baseline",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="write the borders of its bins beside the bars; may be repeated",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: NAME.html")


def run(arguments: argparse.Namespace) -> int:
    """Write the page: 0 as expected, 1 something to look at, 2 it could not be made."""
    if not arguments.prometheus:
        raise DriftlineError("say where Prometheus is: --prometheus or PROMETHEUS_URL")
    prometheus = Prometheus(
        arguments.prometheus,
        token=_token(arguments.token_file),
        ca=arguments.ca_file,
        cert=_cert(arguments),
    )
    page = report(
        prometheus,
        arguments.model,
        _period(arguments.since, arguments.until),
        environment=arguments.environment,
        borders=_borders(arguments.baseline),
    )
    output = arguments.output or Path(re.sub(r"[^\w.-]", "_", arguments.model) + ".html")
    save(page, output)
    print(f"{output}: {page.verdict}")
    return 0 if page.tone == "good" else 1


def _period(since: str, until: str | None) -> Period:
    found = re.fullmatch(r"([1-9]\d{0,3})([hdw])", since)
    if not found:
        raise DriftlineError(f'--since: "{since}" is no time, write for instance 24h, 7d or 4w')
    end = moment("--until", until) if until else time.time()
    return Period(end - int(found[1]) * UNITS[found[2]], end, since)


def _token(path: Path | None) -> str | None:
    if path is None:
        return os.environ.get("PROMETHEUS_TOKEN", "").strip() or None
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DriftlineError(f"--token-file: {path} cannot be read: {error}") from error


def _cert(arguments: argparse.Namespace) -> tuple[Path, Path] | None:
    if (arguments.cert_file is None) != (arguments.key_file is None):
        raise DriftlineError("--cert-file and --key-file go together")
    return (arguments.cert_file, arguments.key_file) if arguments.cert_file else None


def _borders(paths: Sequence[Path]) -> dict[str, dict[str, str]]:
    """Return which values each bin holds, by binning, which is the same wherever the borders are."""
    return {
        feature.binning: dict(zip(feature.bins, feature.layout.spans(), strict=True))
        for path in paths
        for feature in Baseline.load(path).features.values()
    }
