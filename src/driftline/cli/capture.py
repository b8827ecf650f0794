"""``driftline baseline capture``: a baseline of what is served, for a model whose training data nobody has."""

from __future__ import annotations

import datetime as dt
import signal
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pydantic import ValidationError

from driftline import names
from driftline.baseline import Baseline
from driftline.columns import Coded, categories, clip, join, take
from driftline.compare import compare
from driftline.config import GUARDS, Listen, parse_duration
from driftline.errors import BaselineError, ConfigurationError
from driftline.sidecar.receiver import Receiver, Security
from driftline.sidecar.streams import Streams

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from driftline.columns import Column
    from driftline.wire import Batch

KEPT_ROWS = 200_000
KEPT_VALUES = 50_000_000
"""What is kept of the period, uniformly: at most so many rows, and fewer of many columns (400 MB of numbers)."""
LEAST_ROWS = 1000
_JOINED = 256
_OPTIONS = {
    GUARDS: "give --cert and --key, or --token-file, or say --insecure",
    "listen.tls: ": "--cert, --key: ",
    "listen.token_file: ": "--token-file: ",
    "listen.": "--",
}
"""What the sidecar's settings are called here."""


class _Piece(NamedTuple):
    """Rows that were kept, and the number that was drawn for each."""

    columns: dict[str, Column]
    drawn: NDArray[np.float64]


class Capture:
    """A uniform sample of the rows of one model and version, in memory, in the order of their arrival.

    Args:
        model: The model's name.
        version: Its version.
        seed: Of the sample.
    """

    def __init__(self, model: str, version: str, seed: int | None = None) -> None:
        self.model = model
        self.version = version
        self.rows = 0
        self.failed = 0
        self.others: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.changed = threading.Condition()
        self._random = np.random.default_rng(seed)
        self._streams = Streams()
        self._kept: list[_Piece] = []
        self._fresh: list[_Piece] = []
        self._names: dict[str, None] = {}
        self._below = 1.0

    def observe(self, batch: Batch) -> None:
        """Take in *batch* if it is of the model, and did not come before."""
        with self.changed:
            if (batch.model, batch.version) != (self.model, self.version):
                self.others[f"{batch.model} {batch.version}"] += batch.rows
                return
            if batch.counts is not None:
                self.others[f"{batch.model} {batch.version} as counts alone, by DRIFTLINE_BASELINE"] += (
                    batch.rows
                )
                return
            if self._streams.admit(batch, time.monotonic()).refused:
                return
            errors = batch.columns.get(names.COLUMN_ERROR)
            answered = np.ones(batch.rows, bool)
            if errors is not None:
                found = categories(errors)
                rows = np.arange(batch.rows) if found.rows is None else found.rows
                answered[rows[np.array([*map(bool, found.texts)], np.bool_)[found.codes]]] = False
            self.rows += int(answered.sum())
            self.failed += batch.rows - int(answered.sum())
            self._keep(batch.columns, answered)
            self.changed.notify_all()

    def _keep(self, columns: Mapping[str, Column], answered: NDArray[np.bool_]) -> None:
        """Give every row a random number, and keep those with the lowest: a sample, whatever comes."""
        drawn = self._random.random(len(answered))
        chosen = answered & (drawn < self._below)
        kept = {name: _cut(take(column, chosen)) for name, column in columns.items() if _is_watched(name)}
        self._names |= dict.fromkeys(kept)
        self._fresh.append(_Piece(kept, drawn[chosen]))
        if len(self._fresh) >= _JOINED:
            self._kept.append(self._joined(self._fresh))
            self._fresh.clear()
        limit = min(KEPT_ROWS, KEPT_VALUES // max(len(self._names), 1))
        if sum(len(piece.drawn) for piece in (*self._kept, *self._fresh)) > 2 * limit:
            whole = self._joined([*self._kept, *self._fresh])
            self._below = float(np.partition(whole.drawn, limit)[limit])
            lowest = whole.drawn < self._below
            kept = {name: take(column, lowest) for name, column in whole.columns.items()}
            self._kept, self._fresh = [_Piece(kept, whole.drawn[lowest])], []

    def _joined(self, pieces: list[_Piece]) -> _Piece:
        columns = {
            name: join([(piece.columns.get(name), len(piece.drawn)) for piece in pieces])
            for name in self._names
        }
        return _Piece(columns, np.concatenate([piece.drawn for piece in pieces]))

    def columns(self) -> dict[str, Column]:
        """Return the rows that were kept, in the order in which they came."""
        with self.changed:
            return self._joined([*self._kept, *self._fresh]).columns

    # --- what the receiver reports --------------------------------------------------------------

    def request(self, transport: str, code: str, /) -> None:
        """Pass over how a request was answered."""

    def rejected(self, reason: str, count: int, /) -> None:
        """Count records that break the contract."""
        self.refused[reason] += count

    def ignored(self, count: int, /) -> None:
        """Pass over records that are not driftline's."""

    def in_flight(self, size: int, /) -> None:
        """Pass over what is being handled."""


def _cut(column: Column) -> Column:
    """Return *column* with its texts as they are counted: what is longer need not be kept."""
    return Coded(column.codes, tuple(map(clip, column.texts))) if isinstance(column, Coded) else column


def _is_watched(name: str) -> bool:
    return (
        not name.startswith("@")
        or name in (names.COLUMN_PREDICTION, names.COLUMN_SCORE)
        or name.startswith(f"{names.COLUMN_SCORE}.")
    )


def capture(arguments: argparse.Namespace, older: Baseline | None) -> Baseline:
    """Listen until the period has passed, the rows have come, or Ctrl-C; then build what was stable.

    Raises:
        BaselineError: Too few rows came, or they have moved from the first half of the period to the second.
    """
    seconds = _period(arguments)
    listen = _listen(arguments)
    begun = dt.datetime.now(dt.UTC)
    found = Capture(arguments.model, arguments.version)
    try:
        security = Security.of(listen)
        receiver = Receiver(
            found.observe, grpc=listen.grpc, http=listen.http, security=security, telemetry=found
        )
        receiver.start()
    except ConfigurationError as error:
        raise BaselineError([_as_options(fault) for fault in error.faults]) from error
    ended = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        receiver.ready = True
        print(
            f"  listening for rows of {arguments.model} {arguments.version}, OTLP gRPC on port {receiver.grpc_port}, "
            f"HTTP on port {receiver.http_port}, for {arguments.period}; Ctrl-C ends it now",
            flush=True,
        )
        _wait(found, ended, time.monotonic() + seconds, arguments.rows)
    finally:
        receiver.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
    _tell(found)
    return stable(
        found,
        f"captured {begun:%Y-%m-%dT%H:%M:%SZ} to {dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        ignore=arguments.ignore or (),
        categorical=arguments.categorical or (),
        task=arguments.task,
        older=older,
    )


def _period(arguments: argparse.Namespace) -> float:
    """Return the seconds to listen."""
    try:
        seconds = parse_duration(arguments.period)
    except ValueError as error:
        raise BaselineError(f"--for: {error}") from error
    if arguments.rows is not None and arguments.rows < LEAST_ROWS:
        raise BaselineError(f"--rows: {arguments.rows} rows make no baseline, give {LEAST_ROWS} or more")
    return seconds


def _listen(arguments: argparse.Namespace) -> Listen:
    """Return where to listen, and who may speak to it: the settings of the sidecar's ``listen:``."""
    tls = {name: path for name in ("cert", "key", "client_ca") if (path := getattr(arguments, name))}
    if tls and not {"cert", "key"} <= tls.keys():
        raise BaselineError("--cert and --key go together, and --client-ca with them")
    try:
        return Listen.model_validate(
            {
                "grpc": arguments.grpc,
                "http": arguments.http,
                "tls": tls or None,
                "token_file": arguments.token_file,
                "insecure": arguments.insecure,
            }
        )
    except ValidationError as error:
        faults = [str(fault["msg"]).removeprefix("Value error, ") for fault in error.errors()]
        raise BaselineError([_as_options(fault) for fault in faults]) from error


def _as_options(fault: str) -> str:
    for setting, option in _OPTIONS.items():
        fault = fault.replace(setting, option)
    return fault


def _wait(found: Capture, ended: threading.Event, until: float, rows: int | None) -> None:
    said = False
    while not ended.is_set() and time.monotonic() < until:
        with found.changed:
            found.changed.wait(min(0.5, max(0.0, until - time.monotonic())))
            if found.rows and not said:
                said = True
                print("  the first rows are there", flush=True)
            if rows is not None and found.rows >= rows:
                return


def _tell(found: Capture) -> None:
    """Say what came and is not in the baseline."""
    for reason, count in found.refused.items():
        print(f"  {count} records were refused: {reason}", file=sys.stderr)
    if found.failed:
        print(f"  {found.failed} rows of failed calls were left out")


def stable(
    found: Capture,
    dataset_version: str,
    *,
    ignore: Collection[str] = (),
    categorical: Collection[str] = (),
    task: str | None = None,
    older: Baseline | None = None,
) -> Baseline:
    """Return the baseline of the rows that were captured, if their two halves are alike.

    Raises:
        BaselineError: They are too few, or a feature has drifted between the halves, by the rules' own gate.
    """
    if found.rows < LEAST_ROWS:
        others = ", ".join(f"{rows} of {name}" for name, rows in found.others.most_common(5))
        came = f"; there came {others}" if others else ""
        raise BaselineError(
            f"{found.rows} rows of {found.model} {found.version} came, and {LEAST_ROWS} are needed{came}"
        )
    columns = found.columns()
    prediction = names.COLUMN_PREDICTION if names.COLUMN_PREDICTION in columns else None
    classes = {name.partition(".")[2]: name for name in columns if name.startswith(f"{names.COLUMN_SCORE}.")}
    score = names.COLUMN_SCORE if names.COLUMN_SCORE in columns else classes or None
    used = {prediction, score} if isinstance(score, str) else {prediction, *classes.values()}
    whole = Baseline.build(
        columns,
        model=found.model,
        version=found.version,
        task=task,
        prediction=prediction,
        score=score,
        ignore=[name for name in columns if name in ignore or (name.startswith("@") and name not in used)],
        categorical=[name for name in columns if name in categorical],
        edges_from=older,
        dataset_version=dataset_version,
    )
    order = np.arange(len(next(iter(columns.values()))))
    first, second = (
        {name: take(column, half) for name, column in columns.items()} for half in np.array_split(order, 2)
    )
    moved = [
        f"{verdict.feature}: PSI {verdict.scores['psi']:.2f} between the first half of the period and the second"
        for verdict in compare(whole.part(first), second).verdicts
        if verdict.drifted
    ]
    if moved:
        remedy = (
            "no baseline is written: capture a longer period, or one in which nothing changes; "
            "--ignore leaves a column out"
        )
        raise BaselineError([*moved, remedy])
    return whole
