"""Windows that survive a restart: one file a track, one for the models and streams, written atomically.

Counters are never kept: one restored a minute stale reads as a reset, and Prometheus counted 1,005,800
rows for 2,900. They begin at 0 at every start.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from zipfile import BadZipFile

import numpy as np

from driftline.errors import ConfigurationError, StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import IO, BinaryIO

    from driftline.baseline import FeatureBaseline
    from driftline.sidecar.monitor import ModelVersion, Monitor, Track
    from driftline.sidecar.telemetry import Telemetry

logger = logging.getLogger(__name__)

FORMAT = 1
MODELS_FILE = "models.json"
TRACK_SUFFIX = ".track.npz"
SHORT_ID = 12
LONGEST_NAME = 180  # a file system takes 255 bytes, the suffixes too
COLUMNS = ("values", "sums", "faults", "rows")


class StateFolder:
    """The folder in which a monitor's windows are kept.

    A file that cannot be read is set aside in the log and the rest is used; one of a newer release stops
    all writing, so that nothing of it is lost.
    """

    def __init__(self, path: Path, telemetry: Telemetry) -> None:
        self.path = path
        self._telemetry = telemetry
        self._read_only = False
        self._lock: IO[str] | None = None
        self._written: dict[Path, tuple[Any, ...]] = {}

    def claim(self) -> None:
        """Take the folder for this process; whoever dies lets go of it.

        Raises:
            ConfigurationError: Another sidecar keeps its state there.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = (self.path / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(
                f"state.path: {self.path} is in use by another sidecar; give each a folder of its own"
            ) from error
        except OSError as error:
            self._fail(error)

    def release(self) -> None:
        """Let go of the folder."""
        if self._lock is not None:
            self._lock.close()

    def _fail(self, error: OSError) -> None:
        self._telemetry.state_failed("write")
        reason = error.strerror or error
        logger.error(
            "state: %s cannot be written: %s; windows since the last write are lost at a restart",
            self.path,
            reason,
        )

    # --- writing --------------------------------------------------------------------------------

    def save(self, monitor: Monitor) -> None:
        """Write all windows, models and streams as of the last tick; a failure is counted and logged."""
        with monitor.lock:
            models = [
                [m.name, m.version, m.last_prediction, m.task, m.dataset_version]
                for m in monitor.models.values()
            ]
            streams = monitor.streams.dump()
            tracks = [(m, t) for m in monitor.models.values() for t in m.tracks.values()]
        if self._read_only:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            files = {self._file(model, track): (model, track) for model, track in tracks}
            failed = self._write_tracks(files)
            document = json.dumps({"format": FORMAT, "models": models, "streams": streams})
            _write(self.path / MODELS_FILE, lambda file: file.write(document.encode()))
            for path in set(self.path.glob(f"*{TRACK_SUFFIX}")) - files.keys():
                path.unlink()
        except OSError as error:
            failed = error
        if failed is not None:
            self._fail(failed)
            return
        self._telemetry.state_written(monitor.clock())

    def _write_tracks(self, files: dict[Path, tuple[ModelVersion, Track]]) -> OSError | None:
        """Write every track that can be; return why another could not."""
        failed = None
        for path, (model, track) in files.items():
            try:
                self._write_track(path, model, track)
            except OSError as error:
                failed = error
        return failed

    def _file(self, model: ModelVersion, track: Track) -> Path:
        name = "@".join(quote(part, safe="") for part in (model.name, model.version))
        if len(name) > LONGEST_NAME:
            name = name[:100] + hashlib.sha256(name.encode()).hexdigest()[:16]
        return self.path / f"{name}.{track.baseline.id[:SHORT_ID]}{TRACK_SUFFIX}"

    def _write_track(self, path: Path, model: ModelVersion, track: Track) -> None:
        mark = tuple((window.number, int(window.rows.sum())) for window in track.windows.values())
        if self._written.get(path) == mark and path.exists():
            return  # nothing came and no pane closed
        header = {
            "format": FORMAT,
            "model": model.name,
            "version": model.version,
            "baseline": track.baseline.id,
            "since": track.since,
            "features": [[f.name, f.fine, _digest(f)] for f in track.layout.features],
            "windows": [[name, w.pane, w.number] for name, w in track.windows.items()],
        }
        arrays = {
            f"{number}.{column}": getattr(window, column)
            for number, window in enumerate(track.windows.values())
            for column in COLUMNS
        }
        arrays |= {"pieces.values": track.pieces.values, "pieces.at": track.pieces.at}
        arrays["centres"] = track.layout.centres
        encoded = np.frombuffer(json.dumps(header).encode(), np.uint8)
        _write(path, lambda file: np.savez(file, header=encoded, **arrays))
        self._written[path] = mark

    # --- reading --------------------------------------------------------------------------------

    def restore(self, monitor: Monitor) -> None:
        """Give *monitor* the windows, last predictions and streams that were kept."""
        # Those of a baseline that is gone come first: the present one's own file wins.
        paths = [(_is_of(path, monitor), path) for path in self.path.glob(f"*{TRACK_SUFFIX}")]
        for own, path in sorted(paths):
            with self._reading(path):
                self._read_track(path, monitor, own=own)
        path = self.path / MODELS_FILE
        if path.exists():
            with self._reading(path):
                document = json.loads(path.read_bytes())
                self._known_format(document)
                for name, version, last, task, dataset_version in document["models"]:
                    model = monitor.recall(name, version)
                    if model is not None:
                        model.last_prediction = None if last is None else float(last)
                        model.task = model.task or task
                        model.dataset_version = dataset_version
                monitor.streams.restore(document["streams"])

    @contextlib.contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        try:
            yield
        except StateError as error:
            self._read_only = True
            self._telemetry.state_failed("read")
            logger.error("state: %s: %s", path, error)
        except (OSError, EOFError, ValueError, LookupError, TypeError, RuntimeError, BadZipFile) as error:
            self._telemetry.state_failed("read")
            logger.error("state: %s cannot be read and is left out: %s", path, error)

    @staticmethod
    def _known_format(header: Any) -> None:
        if header["format"] > FORMAT:
            raise StateError(
                f"written by a newer release (format {header['format']}, this one knows {FORMAT}): nothing is "
                "written until it is moved away or the newer release runs again"
            )

    def _read_track(self, path: Path, monitor: Monitor, *, own: bool) -> None:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            header = json.loads(archive["header"].tobytes())
            self._known_format(header)
            model = monitor.recall(header["model"], header["version"])
            if model is None or not model.tracks:
                return
            track = list(model.tracks.values())[-1]
            if own and track.baseline.id != header["baseline"]:
                return  # one that batches asked for by its id: its windows begin anew
            places = _places(header["features"], track)
            centres = archive["centres"]
            track.since = min(track.since, float(header["since"]))
            for number, (name, pane, last) in enumerate(header["windows"]):
                window = track.windows.get(name)
                arrays = {column: archive[f"{number}.{column}"] for column in COLUMNS}
                if window is None or window.pane != pane or len(arrays["rows"]) != window.slots:
                    logger.warning("state: %s: window %s has changed its panes and starts anew", path, name)
                    continue
                now = window.number
                window.number = min(int(last), now)
                for old, feature, place in places:
                    window.values[:, place] = arrays["values"][:, old]
                    moved = centres[old] - track.layout.centres[place]
                    window.sums[:, place] = arrays["sums"][:, old] + arrays["values"][:, old] * moved
                    window.faults[:, feature[1]] = arrays["faults"][:, feature[0]]
                window.rows[:] = arrays["rows"]
                window.roll(monitor.clock())
            if [place for _, _, place in places] == [*track.layout.slices]:  # else bins lie elsewhere
                track.pieces.restore(archive["pieces.values"], archive["pieces.at"])


def _is_of(path: Path, monitor: Monitor) -> bool:
    """Return whether a track's file is of a baseline that is known."""
    return monitor.has_baseline(path.name.removesuffix(TRACK_SUFFIX)[-SHORT_ID:])


def _places(kept: list[list[Any]], track: Track) -> list[tuple[slice, tuple[int, int], slice]]:
    """Match kept features to those of *track*: (columns there, (row there, row here), columns here)."""
    here = {(f.name, _digest(f)): number for number, f in enumerate(track.layout.features)}
    found = []
    start = 0
    for row, (name, fine, digest) in enumerate(kept):
        number = here.get((name, digest))
        if number is not None:
            found.append((slice(start, start + fine), (row, number), track.layout.slices[number]))
        start += fine
    return found


def _digest(feature: FeatureBaseline) -> str:
    """Return what is equal for features whose fine bins are the same."""
    content = feature.edges.tobytes() + json.dumps([feature.kind, feature.categories]).encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _write(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write *path* whole or not at all: aside, to the disk, then into its place."""
    aside = path.with_name(path.name + ".new")
    try:
        with aside.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
