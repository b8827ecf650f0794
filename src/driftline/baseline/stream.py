"""Data larger than memory: its bins from a sample of its rows, its counts from all of them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from driftline.baseline.files import Files
from driftline.baseline.table import Table, arrow_table, open_table, pyarrow, read_pieces
from driftline.baseline.vectors import measured, measuring, spread
from driftline.errors import BaselineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from driftline.embedding import Embedding

EXACT_ROWS = 1 << 20
"""Up to so many rows of files or of batches, every one has its say about the bins."""
SAMPLE_ROWS = 1 << 18
"""Rows that have it where there are more. The share of a bin is then off by 0.53 % at most, in all but one of a
million baselines (Dvoretzky, Kiefer and Wolfowitz), and by 0.1 % as a rule; counts are those of all rows."""
HELD_BYTES = 128 << 20
"""Batches that can be read only once are held up to so much, and beyond it lie in a temporary folder."""


class Rows(NamedTuple):
    """Training data as it is opened.

    Attributes:
        table: What tells the bins: all of it, or a sample.
        parts: Reads all of it, of some columns, part by part; None where ``table`` is all.
        share: What share of all rows ``table`` holds.
    """

    table: Table
    parts: Callable[[Sequence[str]], Iterator[Table]] | None = None
    share: float = 1.0


@contextlib.contextmanager
def opened(data: Any) -> Iterator[Rows]:
    """Open training data: in memory, in files, or in batches that come one after another.

    Raises:
        BaselineError: It cannot be read.
    """
    if isinstance(data, str | Path):
        yield _of_files(Files(Path(data)))
    elif _is_batches(data):
        with tempfile.TemporaryDirectory(prefix="driftline-") as folder:
            yield _of_batches(data, Path(folder))
    else:
        yield Rows(open_table(data))


class Parts(NamedTuple):
    """Rows that are read once, in their order.

    Attributes:
        names: The columns' names.
        rows: How many rows there are.
        read: Reads them, of some columns, part by part: files of any size in bounded memory.
    """

    names: tuple[str, ...]
    rows: int
    read: Callable[[Sequence[str]], Iterator[Table]]


def in_parts(data: Any, embeddings: Mapping[str, Embedding]) -> Parts:
    """Open rows that can be read twice, for their number is told first: in memory or in files.

    In the place of columns of vectors stand the features of *embeddings*.

    Raises:
        BaselineError: They cannot be read.
    """
    if isinstance(data, str | Path):
        files = Files(Path(data))
        if files.is_larger_than(EXACT_ROWS):
            held = {name: e for name, e in embeddings.items() if name in files.names}
            return Parts(spread(files.names, held), files.rows, measuring(files.tables, held))
        table = files.table()
    else:
        table = open_table(data)
    table = measured(table, embeddings)
    return Parts(table.names, table.rows, lambda _: iter((table,)))


def tables(data: Any, columns: Sequence[str], embeddings: Mapping[str, Embedding]) -> Iterator[Table]:
    """Read *data* once, in parts of bounded size, of the given *columns* where it is larger than memory.

    Raises:
        BaselineError: It cannot be read.
    """
    if _is_batches(data):
        yield from (measured(arrow_table(batch), embeddings) for batch in _batches(data))
    else:
        yield from in_parts(data, embeddings).read(columns)


def _is_batches(data: Any) -> bool:
    return isinstance(data, list | tuple | Iterator) or type(data).__name__ == "RecordBatchReader"


def _of_files(files: Files) -> Rows:
    if not files.is_larger_than(EXACT_ROWS):
        return Rows(files.table())
    if files.rows <= SAMPLE_ROWS:  # few, but long ones
        places = np.arange(files.rows)
    else:  # one of each stretch of rows, however they are sorted; always the same
        within = np.random.default_rng(0).random(SAMPLE_ROWS)
        places = np.unique(((np.arange(SAMPLE_ROWS) + within) * (files.rows / SAMPLE_ROWS)).astype(np.int64))

    def chosen(columns: Sequence[str]) -> Iterator[Any]:
        start = 0
        for batch in files.batches(columns):
            first, last = np.searchsorted(places, (start, start + batch.num_rows))
            yield batch.take(places[first:last] - start)
            start += batch.num_rows

    plain = [name for name in files.names if name not in files.vectors]
    sample = arrow_table(pyarrow("a file").concat_tables(chosen(plain)))
    # vectors are read again each time they are measured: those of a sample are too many to keep
    pieces = {name: read_pieces(chosen, name) for name in files.vectors}
    sample = sample._replace(
        names=tuple(files.names), rows=len(places), vectors=frozenset(pieces), pieces=pieces
    )
    return Rows(sample, files.tables, len(places) / files.rows)


def _of_batches(data: Iterable[Any], folder: Path) -> Rows:
    """Hold what fits, else write it down: batches come only once, and are needed twice."""
    pa = pyarrow("batches")
    held: list[Any] = []
    files = rows = size = 0
    try:
        for batch in _batches(data):
            held.append(batch)
            rows += batch.num_rows
            size += batch.nbytes
            if size > HELD_BYTES or (files == 0 and rows > EXACT_ROWS):
                _write_down(held, folder / f"{files:09d}.arrow")
                files, size = files + 1, 0
        if not files:
            return Rows(arrow_table(_joined(held or [pa.table({})])))
        if held:
            _write_down(held, folder / f"{files:09d}.arrow")
    except pa.ArrowException as error:
        raise BaselineError(f"the batches are not of one table: {error}") from error
    return _of_files(Files(folder))


def _joined(held: list[Any]) -> Any:
    return pyarrow("batches").concat_tables(held, promote_options="permissive")


def _write_down(held: list[Any], path: Path) -> None:
    table = _joined(held)
    with pyarrow("batches").ipc.new_file(path, table.schema) as file:
        file.write_table(table)
    held.clear()


def _batches(data: Iterable[Any]) -> Iterator[Any]:
    pa = pyarrow("batches")
    for number, batch in enumerate(data):
        try:
            if isinstance(batch, pa.RecordBatch):
                table = pa.Table.from_batches([batch])
            elif hasattr(batch, "iloc"):  # pandas, whose index is no column
                table = pa.Table.from_pandas(batch, preserve_index=False)
            elif isinstance(batch, Mapping) or hasattr(batch, "__arrow_c_stream__"):
                table = batch if isinstance(batch, pa.Table) else pa.table(batch)
            else:
                table = None
        except (pa.ArrowException, TypeError) as error:
            raise BaselineError(f"batch {number} cannot be read: {error}") from error
        if table is None:
            raise BaselineError(
                f"batch {number} is a {type(batch).__name__}; give DataFrames or Arrow tables"
            )
        yield table
