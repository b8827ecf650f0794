"""The baselines a sidecar knows: read from files and folders, watched, and found for a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline.baseline import Baseline
from driftline.errors import BaselineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PATTERN = "*.json"
ANY_VERSION = "*"


class Baselines:
    """All baselines by model, version and id; immutable, a reload makes another.

    Raises:
        BaselineError: A file cannot be read, or two are for one model and version; all faults are named.
    """

    def __init__(self, baselines: Sequence[tuple[Path, Baseline]]) -> None:
        self.all = tuple(baseline for _, baseline in baselines)
        self._by_id = {baseline.id: baseline for baseline in self.all}
        self._by_name: dict[tuple[str, str], Baseline] = {}
        self._fallbacks: dict[str, Baseline] = {}
        source: dict[tuple[str, str], Path] = {}
        faults = []
        for path, baseline in baselines:
            key = (baseline.model, baseline.version)
            if key in source:
                faults.append(
                    f"{source[key]} and {path}: both are for model {key[0]}, version {key[1]}; remove one of them"
                )
            source[key] = path
            self._by_name[key] = baseline
            newest = self._fallbacks.get(baseline.model)
            if baseline.fallback and (newest is None or baseline.created > newest.created):
                self._fallbacks[baseline.model] = baseline
        if faults:
            raise BaselineError(faults)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Baselines:
        """Read every baseline in *paths*, files or folders; a folder need not exist yet."""
        loaded = []
        faults: list[str] = []
        for path in files(paths):
            try:
                loaded.append((path, Baseline.load(path)))
            except BaselineError as error:
                faults.extend(error.faults)
        if faults:
            raise BaselineError(faults)
        return cls(loaded)

    def find(self, model: str, version: str, baseline_id: str | None = None) -> Baseline | None:
        """Return the baseline that rows of *model* and *version* are counted on; None while it is learning.

        The batch's own id comes first, then the version's, then the model's for any version, then the
        newest that is marked as a fallback.
        """
        named = self._by_id.get(baseline_id) if baseline_id else None
        if named is not None and named.model == model:
            return named
        for key in ((model, version), (model, ANY_VERSION)):
            if key in self._by_name:
                return self._by_name[key]
        return self._fallbacks.get(model)


def files(paths: Sequence[Path]) -> list[Path]:
    """Return the baseline files in *paths*, each a file or a folder, by name.

    Raises:
        BaselineError: A folder is there and cannot be read, which is not the same as one without baselines.
    """
    found: list[Path] = []
    for path in paths:
        try:
            if path.is_dir():
                found.extend(sorted(each for each in path.iterdir() if each.match(PATTERN)))
            elif path.suffix:
                found.append(path)
        except OSError as error:
            raise BaselineError(f"{path}: cannot be read: {error.strerror}") from error
    return found


def fingerprint(paths: Sequence[Path]) -> frozenset[tuple[str, int, int]]:
    """Return what changes when one of the files changes: names, times and sizes."""
    marks = set()
    try:
        found = files(paths)
    except BaselineError as error:  # once; who then reads the files says it
        return frozenset({(str(error), 0, 0)})
    for path in found:
        try:
            status = path.stat()
        except OSError:  # a link that leads nowhere is a change, too
            marks.add((str(path), 0, -1))
        else:
            marks.add((str(path), status.st_mtime_ns, status.st_size))
    return frozenset(marks)
