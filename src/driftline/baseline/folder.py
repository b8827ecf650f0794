"""Baselines where they are kept: a file of one, a folder of many models' and versions'."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline.baseline.baseline import Baseline
from driftline.errors import BaselineError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PATTERN = "*.json"
ANY_VERSION = "*"


def files(path: Path) -> list[Path]:
    """Return the files at *path*, by name: those of a folder, or the one that it is.

    Raises:
        BaselineError: A folder is there and cannot be read, which is not the same as one without baselines.
    """
    try:
        if path.is_dir():
            return sorted(each for each in path.iterdir() if each.match(PATTERN))
    except OSError as error:
        raise BaselineError(f"{path}: cannot be read: {error.strerror}") from error
    return [path]


def read(paths: Iterable[Path]) -> tuple[list[tuple[Path, Baseline]], list[str]]:
    """Return the baselines in the files *paths*, each with its file, and what is wrong with the files without one."""
    found: list[tuple[Path, Baseline]] = []
    faults: list[str] = []
    for path in paths:
        try:
            found.append((path, Baseline.load(path)))
        except BaselineError as error:
            faults += error.faults
    return found, faults


def twice(baselines: Iterable[tuple[Path, Baseline]]) -> list[str]:
    """Return which files are for one model and version: on which of them to count is not to be guessed."""
    source: dict[tuple[str, str], Path] = {}
    found = []
    for path, baseline in baselines:
        model, version = key = baseline.model, baseline.version
        if key in source:
            found.append(
                f"{source[key]} and {path}: both are for model {model}, version {version}; remove one of them"
            )
        source[key] = path
    return found
