"""``driftline check-config``: say whether a sidecar would start with this file, and on what."""

from __future__ import annotations

import http.client
from pathlib import Path
from typing import TYPE_CHECKING

from driftline import config
from driftline.baseline.scores import attributed
from driftline.sidecar.attribution import NOTHING
from driftline.sidecar.baselines import Baselines
from driftline.sidecar.web import Security

if TYPE_CHECKING:
    import argparse

    from driftline.config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.add_argument("config", type=Path, metavar="FILE", help="driftline.yaml")


def run(arguments: argparse.Namespace) -> int:
    """Print what was found: 0 good, 1 something to look at, 2 the sidecar would not start."""
    read = config.load(arguments.config)
    Security.of(read.listen).check()
    baselines = Baselines.load(read.baselines)
    odd = _odd(read, baselines)
    print(
        f"{arguments.config}: {f'{len(odd)} to look at' if odd else 'good'}, environment {read.environment}"
    )
    for line in odd:
        print(f"  {line}")
    for baseline in baselines.all:
        of = f"{baseline.model} {baseline.version}"
        if settings := read.models.get(baseline.model):
            print(f"  {of}: {len(baseline.features)} features, owner {settings.owner}")
            for name in sorted(settings.segments.keys() - baseline.features.keys()):
                print(
                    f"  {of}: segments of {name}, which is no feature of it: rows have to say theirs as @segment"
                )
    for name, model in read.models.items():
        if model.retired:
            print(f"  {name}: retired, its silence is no news and it is forgotten when no rows come")
    if read.listen.tls is None:
        print(f"  sidecar on {read.listen.metrics}: {_answer(read)}")
    return 1 if odd else 0


def _odd(read: Config, baselines: Baselines) -> list[str]:
    """Return a line for each thing that a sidecar would start with, and that is hardly meant."""
    odd = [*([read.unjudged] if read.unjudged else []), *read.untold]
    for baseline in baselines.all:
        of = f"{baseline.model} {baseline.version}"
        settings = read.models.get(baseline.model)
        if settings is None:
            odd.append(f"{of}: {len(baseline.features)} features, no owner: name it under models:")
            continue
        odd += [
            f"{of}: feature {name} is in no baseline of it; is the name right?"
            for name in sorted(settings.features.keys() - baseline.features.keys())
        ]
        if settings.attribution and attributed(baseline.features.values()) is None:
            odd.append(f"{of}: {NOTHING}")
    odd += [
        f"{path}: there is no such folder yet; it is watched" for path in read.baselines if not path.exists()
    ]
    if read.state.path.exists() and not read.state.path.is_dir():
        odd.append(f"{read.state.path}: is no folder, so windows will not survive a restart")
    odd += [
        f"{name}: no baseline, it will be learning: rows and faults are counted, drift is not scored"
        for name in sorted(read.models.keys() - {baseline.model for baseline in baselines.all})
        if not read.models[name].retired
    ]
    return odd


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
