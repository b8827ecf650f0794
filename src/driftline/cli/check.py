"""``driftline check-config``: say whether a sidecar would start with this file, and on what."""

from __future__ import annotations

import http.client
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from driftline import config
from driftline.errors import BaselineError, ConfigurationError
from driftline.sidecar.baselines import Baselines

if TYPE_CHECKING:
    import argparse

    from driftline.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument("config", type=Path, metavar="FILE", help="driftline.yaml")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found: 0 good, 1 something to look at, 2 the sidecar would not start."""
    try:
        read = config.load(arguments.config)
        baselines = Baselines.load(read.baselines)
    except (ConfigurationError, BaselineError) as error:
        print("\n".join(error.faults), file=sys.stderr)
        return 2
    print(f"{arguments.config}: good, environment {read.environment}")
    odd = 0
    if read.unjudged:
        print(f"  {read.unjudged}")
        odd += 1
    for line in read.untold:
        print(f"  {line}")
        odd += 1
    for baseline in baselines.all:
        settings = read.models.get(baseline.model)
        owner = f"owner {settings.owner}" if settings else "no owner: name it under models:"
        print(f"  {baseline.model} {baseline.version}: {len(baseline.features)} features, {owner}")
        odd += settings is None
        for name in sorted((settings.features.keys() if settings else set()) - baseline.features.keys()):
            print(f"    feature {name} is in no baseline of it; is the name right?")
            odd += 1
    for path in read.baselines:
        if not path.exists():
            print(f"  {path}: there is no such folder yet; it is watched")
            odd += 1
    if read.state.path.exists() and not read.state.path.is_dir():
        print(f"  {read.state.path}: is no folder, so windows will not survive a restart")
        odd += 1
    for name in read.models.keys() - {baseline.model for baseline in baselines.all}:
        print(f"  {name}: no baseline, it will be learning: rows and faults are counted, drift is not scored")
        odd += 1
    if read.listen.tls is None:
        print(f"  sidecar on {read.listen.metrics}: {_answer(read)}")
    return 1 if odd else 0


def _answer(read: Config) -> str:
    connection = http.client.HTTPConnection(read.listen.metrics.replace("0.0.0.0", "127.0.0.1"), timeout=2)  # noqa: S104 - read, not bound
    try:
        connection.request("GET", "/-/ready")
        return {200: "ready", 503: "starting or stopping", 401: "runs, and asks for the token"}.get(
            connection.getresponse().status, "something else listens there"
        )
    except (OSError, http.client.HTTPException):
        return "does not run"
    finally:
        connection.close()
