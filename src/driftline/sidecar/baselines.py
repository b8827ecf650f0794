"""The baselines a sidecar knows: read from files and folders, watched, and found for a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline.baseline import folder
from driftline.baseline.folder import ANY_VERSION
from driftline.errors import BaselineError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from driftline.baseline import Baseline


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
        if faults := folder.twice(baselines):
            raise BaselineError(faults)
        for _, baseline in baselines:
            self._by_name[baseline.model, baseline.version] = baseline
            newest = self._fallbacks.get(baseline.model)
            if baseline.fallback and (newest is None or baseline.created > newest.created):
                self._fallbacks[baseline.model] = baseline

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Baselines:
        """Read every baseline in *paths*, files or folders; a folder need not exist yet."""
        found, faults = folder.read(files(paths))
        if faults:
            raise BaselineError(faults)
        return cls(found)

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
    """Return the baseline files in *paths*, each a file or a folder; what has no suffix may come to be a folder.

    Raises:
        BaselineError: A folder cannot be read.
    """
    return [file for path in paths for file in folder.files(path) if file.suffix or file.exists()]


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
