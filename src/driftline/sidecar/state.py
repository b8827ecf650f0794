"""Windows that survive a restart: a folder a track, each closed pane written once, the open ones each minute.

    state/
      models.json                       models, streams and the clock
      fraud@2.3.1.0f3ad9c21b7e/         one model and version, counted on one layout of bins
        layout.npz                      which bins lie where; written first
        1h.6000123.npz                  a closed pane; written once, deleted when it leaves its window
        open.npz                        the open panes of all windows; written last

Every file takes its place whole or not at all, so that a death at any byte costs what came after the last
write. Where a closed pane and the open one of its number are both there, the closed one is the later.

A file is a table of named columns. One that is missing is empty and one that is not known is left out, so
that a release may add some; a file that an older release would misread has a higher ``FORMAT``.

Counters are never kept: one restored a minute stale reads as a reset, and Prometheus counted 1,005,800
rows for 2,900. They begin at 0 at every start.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import json
import logging
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from weakref import WeakKeyDictionary
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from driftline import files
from driftline.errors import ConfigurationError, StateError
from driftline.names import FAULTS, MAX_MODEL_BYTES, TASKS
from driftline.window import PANE_COLUMNS, Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

    from driftline.sidecar.models import ModelVersion, Track
    from driftline.sidecar.monitor import Monitor
    from driftline.sidecar.telemetry import Telemetry
    from driftline.window import Window

logger = logging.getLogger(__name__)

FORMAT = 1
MAX_FILE_BYTES = 256 << 20
LATEST = float(1 << 36)
"""Seconds since 1970; a clock beyond the year 4000 is damage."""
MODELS_FILE = "models.json"
LAYOUT_FILE = "layout.npz"
OPEN_FILE = "open.npz"
MODEL_COLUMNS = ("model", "version", "last_prediction", "task", "dataset_version", "schema", "declared")
LONGEST_NAME = 180  # a file system takes 255 bytes, what follows too


@dataclass(slots=True)
class _Written:
    """What the disk has of one track: the newest closed pane of each window, and how full the open ones were."""

    closed: dict[str, int] = field(default_factory=dict)
    open: tuple[Any, ...] = ()


class StateFolder:
    """The folder in which a monitor's windows are kept.

    A file that cannot be read is told in the log and the rest is used; one of a newer release stops
    all writing, so that nothing of it is lost.
    """

    def __init__(self, path: Path, telemetry: Telemetry) -> None:
        self.path = path
        self._telemetry = telemetry
        self._read_only = False
        self._lock: IO[str] | None = None
        self._written: WeakKeyDictionary[Track, _Written] = WeakKeyDictionary()

    def claim(self) -> None:
        """Take the folder for this process; whoever dies lets go of it.

        Raises:
            ConfigurationError: Another sidecar keeps its state there.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.fdopen(
                os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644), "w"
            )
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

    def _folder(self, model: ModelVersion, track: Track) -> Path:
        name = "@".join(quote(part, safe="") for part in (model.name, model.version))
        if len(name) > LONGEST_NAME:
            name = name[:100] + hashlib.sha256(name.encode()).hexdigest()[:16]
        return self.path / f"{name}.{track.layout.id}"

    # --- writing --------------------------------------------------------------------------------

    def save(self, monitor: Monitor) -> None:
        """Write all windows, models and streams as of the last tick; a failure is counted and logged."""
        if self._read_only:
            return
        with monitor.lock:
            named = monitor.config.models
            models = [
                [m.name, m.version, m.last_prediction, m.task, m.dataset_version, m.schema.dump(),
                 # by a baseline alone: who deletes the file has not said that nobody misses the model
                 m.declared and m.name not in named]
                for m in monitor.models.values()
            ]  # fmt: skip
            document = {
                "format": FORMAT,
                "clock": monitor.clock(),
                "wall": monitor.wall(),
                "models": {"columns": MODEL_COLUMNS, "rows": models},
                "streams": monitor.streams.dump(),
            }
            tracks = {self._folder(m, t): (m, t) for m in monitor.models.values() for t in m.tracks.values()}
        failed = None
        for folder, (model, track) in tracks.items():
            try:
                self._write_track(folder, model, track, monitor)
            except OSError as error:  # another may fit or be allowed
                failed = error
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            files.write_text(self.path / MODELS_FILE, json.dumps(document))
            if failed is None:
                self._remove_all_but(tracks.keys())
        except OSError as error:
            failed = error
        if failed is not None:
            self._fail(failed)
            return
        self._telemetry.state_written(monitor.wall())

    def _write_track(self, folder: Path, model: ModelVersion, track: Track, monitor: Monitor) -> None:
        says = {
            "model": model.name,
            "version": model.version,
            "baseline": track.baseline.id,
            "since": track.since,
        }
        if folder.is_symlink():  # what lies there is not ours to write, and even less to delete
            raise OSError(errno.ELOOP, f"{folder.name} is a link")
        if not (folder / LAYOUT_FILE).exists():
            folder.mkdir(parents=True, exist_ok=True)
            self._written.pop(track, None)
            features = {"columns": ["name", "fine", "bins"], "rows": track.layout.table}
            _put(folder / LAYOUT_FILE, says | {"features": features}, {"centres": track.layout.centres})
        written = self._written.setdefault(track, _Written())
        closed = {name: window.numbers() for name, window in track.windows.items()}
        kept = {LAYOUT_FILE, OPEN_FILE} | {
            _pane_file(n, number) for n, held in closed.items() for number in held
        }
        for path in folder.iterdir():
            if path.name not in kept:  # first, so that a full disk gets room again
                path.unlink()
        for name, numbers in closed.items():
            for number in numbers:
                if number > written.closed.get(name, number - 1):
                    _put_panes(folder / _pane_file(name, number), says, {name: (track.windows[name], number)})
                    written.closed[name] = number
        mark = tuple((window.number, int(window.rows.sum())) for window in track.windows.values())
        if written.open == mark and (folder / OPEN_FILE).exists():
            return  # nothing came and no pane closed
        with monitor.lock:
            pieces = {"pieces.values": track.pieces.values.copy(), "pieces.at": track.pieces.at.copy()}
        opened = {name: (window, window.number) for name, window in track.windows.items()}
        _put_panes(folder / OPEN_FILE, says, opened, pieces)
        written.open = mark

    def _remove_all_but(self, folders: Iterable[Path]) -> None:
        for path in {*self.path.iterdir()} - {*folders}:
            if path.match(f"{MODELS_FILE}.*.new"):  # what a death in the middle of writing left
                path.unlink()
            elif (path / LAYOUT_FILE).exists() and not path.is_symlink():  # a link is not ours
                shutil.rmtree(path)

    # --- reading --------------------------------------------------------------------------------

    def moment(self, wall: float) -> float | None:
        """Return what the clock of the last run would show now that it is *wall*; None where none is known.

        Panes are numbered by a clock that never steps back, over restarts neither: that of a machine which
        has forgotten the time of day must not lose a month.
        """
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            document = json.loads(files.read(self.path / MODELS_FILE, MAX_FILE_BYTES))
            found = float(document["clock"]) + max(0.0, wall - float(document["wall"]))
            if 0 < found < LATEST:  # a nan is neither
                return found
        return None

    def restore(self, monitor: Monitor) -> None:
        """Give *monitor* the windows, last predictions and streams that were kept."""
        for path in sorted(self.path.glob(f"*/{LAYOUT_FILE}")):
            with self._reading(path):
                self._read_track(path.parent, monitor)
        path = self.path / MODELS_FILE
        if path.exists():
            with self._reading(path):
                document = json.loads(files.read(path, MAX_FILE_BYTES))
                _known_format(document)
                for kept in _rows(document["models"]):
                    model = monitor.recall(_name(kept["model"]), _name(kept["version"]))
                    if model is not None:
                        last = kept.get("last_prediction")
                        model.last_prediction = None if last is None else float(last)
                        model.declared = model.declared or kept.get("declared") is True
                        model.task = model.task or (kept.get("task") if kept.get("task") in TASKS else None)
                        said = kept.get("dataset_version")
                        model.dataset_version = None if said is None else _name(said)
                        told = kept.get("schema") or ()
                        model.schema.restore(one for one in told if not model.settings.ignores(one[0]))
                monitor.streams.restore(document["streams"])

    @contextlib.contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        try:
            yield
        except StateError as error:
            self._read_only = True
            self._telemetry.state_failed("read")
            logger.error("state: %s: %s", path, error)
        except Exception as error:  # noqa: BLE001 - whatever a file holds, the sidecar starts
            self._telemetry.state_failed("read")
            logger.error("state: %s cannot be read and is left out: %s", path, error)

    def _read_track(self, folder: Path, monitor: Monitor) -> None:
        says, columns = _take(folder / LAYOUT_FILE)
        model = monitor.recall(_name(says["model"]), _name(says["version"]))
        if model is None or not model.tracks:
            return
        track = list(model.tracks.values())[-1]
        own = self._folder(model, track)
        whole = (own / OPEN_FILE).exists()
        asked_for = says["baseline"] != track.baseline.id and monitor.has_baseline(says["baseline"])
        if folder != own and (whole or asked_for):
            return  # left behind, or one that batches asked for by its id: its windows begin anew
        table = [(kept["name"], kept["fine"], kept["bins"]) for kept in _rows(says["features"])]
        carry = track.layout.passage(table, columns["centres"])
        kept = Counts.empty(sum(fine for _, fine, _ in table), len(table), len(FAULTS))
        # The open ones first: a pane that has closed since then has a file of its own.
        for path in sorted(folder.glob("*.npz"), key=lambda path: path.name != OPEN_FILE):
            if path.name != LAYOUT_FILE:
                with self._reading(path):
                    self._read_panes(path, track, kept, carry, own=folder == own)
        if folder == own and whole:
            # What was open when it was written may be closed by now, and has no file of its own yet.
            there = {
                name: [number for number in window.numbers() if (folder / _pane_file(name, number)).exists()]
                for name, window in track.windows.items()
            }
            self._written[track] = _Written({name: max(found) for name, found in there.items() if found})
        for window in track.windows.values():
            window.roll(monitor.clock())

    def _read_panes(
        self, path: Path, track: Track, kept: Counts, carry: Callable[[Counts], Counts], *, own: bool
    ) -> None:
        says, columns = _take(path)
        track.since = min(track.since, float(says["since"]))
        for pane in _rows(says["panes"]):
            window = track.windows.get(pane["window"])
            if window is None or window.pane != pane["pane"]:
                logger.warning(
                    "state: %s: window %s has other panes now, this one is left out", path, pane["window"]
                )
                continue
            kept.clear()
            for name in PANE_COLUMNS:
                found = columns.get(f"{pane['window']}.{name}")
                if found is not None:
                    getattr(kept, name)[tuple(map(slice, found.shape))] = found
            kept.rows = int(pane["rows"])
            window.put(int(pane["number"]), carry(kept))
        if own and "pieces.values" in columns:
            track.pieces.restore(columns["pieces.values"], columns["pieces.at"])


def _pane_file(window: str, number: int) -> str:
    return f"{window}.{number}.npz"


def _known_format(says: Mapping[str, Any]) -> None:
    if says["format"] > FORMAT:
        raise StateError(
            f"written by a newer release (format {says['format']}, this one knows {FORMAT}): nothing is "
            "written until it is moved away or the newer release runs again"
        )


def _name(text: Any) -> str:
    """Return *text* if it may become a label: what is damaged must not break the exposition."""
    if not isinstance(text, str) or not text or len(text.encode()) > MAX_MODEL_BYTES:
        raise ValueError(f"{text!r:.80} is no name")
    return text


def _rows(table: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def _put_panes(
    path: Path,
    says: dict[str, Any],
    panes: Mapping[str, tuple[Window, int]],
    more: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    columns = dict(more or {})
    rows = []
    for name, (window, number) in panes.items():
        pane = window.pane_at(number)
        rows.append([name, window.pane, number, pane.rows])
        columns |= {f"{name}.{column}": getattr(pane, column) for column in PANE_COLUMNS}
    _put(path, says | {"panes": {"columns": ["window", "pane", "number", "rows"], "rows": rows}}, columns)


def _put(path: Path, says: Mapping[str, Any], columns: Mapping[str, Any]) -> None:
    encoded = np.frombuffer(json.dumps({"format": FORMAT, **says}).encode(), np.uint8)
    files.write(path, lambda file: np.savez(file, says=encoded, **columns))


def _take(path: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    raw = io.BytesIO(files.read(path, MAX_FILE_BYTES))
    with ZipFile(raw) as packed:
        if any(member.compress_type != ZIP_STORED for member in packed.infolist()):
            raise ValueError("it is compressed, which no state file is")
    with np.load(raw, allow_pickle=False) as archive:
        says = json.loads(archive["says"].tobytes())
        _known_format(says)
        return says, {name: archive[name] for name in archive.files if name != "says"}
