"""Parquet, Arrow and CSV files, a folder or a pattern of them: read a column, or a batch of rows, at a time."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from driftline.baseline.table import Table, arrow_column, arrow_table, of_vectors, pyarrow, read_pieces, told
from driftline.errors import BaselineError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from driftline.columns import Column

BATCH_ROWS = 1 << 16
VECTOR_ROWS = 1 << 10
"""The same of columns with vectors among them, each as long as a thousand columns."""
CSV_BYTES = 128 << 20
"""CSV of more is read in batches, three times: for its types, for its bins, for its counts."""
_PACKED = {".gz", ".bz2", ".zst", ".lz4", ".br"}
_PACKED_TIMES = 10
"""How often larger than itself a packed file may be taken to be."""
_SUFFIXES = {
    ".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".arrow": "ipc", ".feather": "ipc", ".ipc": "ipc",
}  # fmt: skip
_AT_COLUMN = re.compile(r"In CSV column #(\d+): CSV conversion error")


class Files:
    """The files of one table.

    Args:
        path: A file, a folder of parts, or a pattern such as ``train/*.parquet``.

    Raises:
        BaselineError: There is none, they are of several formats, or one cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pa = pyarrow(str(path))
        self.paths = _found(path)
        kinds = {_format(part) for part in self.paths}
        if len(kinds) > 1:
            raise BaselineError(f"{path}: holds {' and '.join(sorted(kinds))}; give files of one format")
        self.is_csv = kinds == {"csv"}
        self._types: dict[str, Any] | None = None
        self._header: list[str] = []
        self._rows = 0
        if not self.is_csv:
            from pyarrow import dataset

            with self._readable():
                parts, kind = [str(part) for part in self.paths], kinds.pop()
                schemas = [dataset.dataset(part, format=kind).schema for part in parts]
                schema = self._pa.unify_schemas(schemas, promote_options="permissive")
                self._source = dataset.dataset(parts, format=kind, schema=schema)
                self._rows = self._source.count_rows()

    def is_larger_than(self, rows: int) -> bool:
        """Tell whether there are more than so many *rows*, or more CSV than is read at once."""
        if not self.is_csv:
            return self._rows > rows
        sizes = (p.stat().st_size * (_PACKED_TIMES if p.suffix.lower() in _PACKED else 1) for p in self.paths)
        return sum(sizes) > CSV_BYTES

    @property
    def names(self) -> list[str]:
        """The columns' names, without pandas' index."""
        return list(self._csv_types()) if self.is_csv else list(told(self._source.schema)[0])

    @property
    def rows(self) -> int:
        """How many rows there are; of CSV it is told by reading it."""
        if self.is_csv:
            self._csv_types()
        return self._rows

    def table(self) -> Table:
        """Return the columns: those of CSV are read now, others when they are asked for."""
        from pyarrow import csv, dataset

        if self.is_csv:
            with self._readable():
                read = [csv.read_csv(part) for part in self.paths]
                return arrow_table(self._pa.concat_tables(read, promote_options="permissive"))

        def column(name: str) -> Column:
            with self._readable(f"column {name!r} "):
                read = self._source.to_table(columns={"column": dataset.field(name)})
            return arrow_column(read.column("column"))

        titles, said = told(self._source.schema)
        pieces = {name: read_pieces(self.batches, name) for name in self.vectors}
        return Table(titles, self._rows, column, said, frozenset(pieces), pieces)

    @property
    def vectors(self) -> list[str]:
        """The names of the columns that hold a vector a row; CSV has none."""
        return [] if self.is_csv else of_vectors(self._source.schema)

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[Table]:
        """Give the rows as :meth:`batches` does, as tables of ours."""
        return map(arrow_table, self.batches(columns))

    def batches(self, columns: Sequence[str] | None = None) -> Iterator[Any]:
        """Give the rows in their order as Arrow tables of bounded size, of these *columns* or of all."""
        with self._readable():
            if self.is_csv:
                yield from self._csv_batches(self._csv_types(), columns)
            else:
                yield from self._dataset_batches(columns)

    def _dataset_batches(self, columns: Sequence[str] | None) -> Iterator[Any]:
        from pyarrow import dataset

        options: dict[str, Any] = {}
        if isinstance(self._source.format, dataset.ParquetFileFormat):
            # else every chunk of a row group is in memory at once, however few of its rows are asked for
            options["fragment_scan_options"] = dataset.ParquetFragmentScanOptions(
                use_buffered_stream=True, pre_buffer=False
            )
        found = self._source.scanner(
            columns=None if columns is None else list(columns),
            batch_size=BATCH_ROWS if set(self.vectors).isdisjoint(columns or self.names) else VECTOR_ROWS,
            batch_readahead=1,
            fragment_readahead=1,
            use_threads=False,  # threads would read on while a batch is counted, and hold what they read
            **options,
        )
        for batch in found.to_batches():
            yield self._pa.Table.from_batches([batch])

    def _csv_types(self) -> dict[str, Any]:
        """Return the type of each column that holds for every row, as reading all of it at once would tell.

        The first rows suggest it; where a later one does not fit, the column's next wider type is tried.
        """
        if self._types is not None:
            return self._types
        pa = self._pa
        wider = [
            pa.null(), pa.int64(), pa.bool_(), pa.date32(), pa.time32("s"), pa.timestamp("s"), pa.timestamp("ns"),
            pa.float64(), pa.string(),
        ]  # fmt: skip
        types: dict[str, Any] = {}
        with self._readable():
            while True:
                rows = 0
                try:
                    for batch in self._csv_batches(types, None):
                        rows += batch.num_rows
                        types = {field.name: field.type for field in batch.schema} | types
                except pa.ArrowInvalid as error:
                    place = _AT_COLUMN.search(str(error))
                    name = self._header[int(place[1])] if place else ""
                    if types.get(name, pa.string()) == pa.string():
                        raise
                    types[name] = wider[wider.index(types[name]) + 1] if types[name] in wider else pa.string()
                else:
                    self._types, self._rows = types, rows
                    return types

    def _csv_batches(self, types: dict[str, Any], columns: Sequence[str] | None) -> Iterator[Any]:
        from pyarrow import csv

        convert = csv.ConvertOptions(
            column_types=types, include_columns=None if columns is None else list(columns)
        )
        for part in self.paths:
            with csv.open_csv(part, convert_options=convert) as reader:
                self._header = reader.schema.names
                for batch in reader:
                    yield self._pa.Table.from_batches([batch])

    @contextlib.contextmanager
    def _readable(self, what: str = "") -> Iterator[None]:
        try:
            yield
        except (OSError, self._pa.ArrowException) as error:
            reason = str(error).splitlines()[0]
            expected = "cannot be read" if what else "is neither Parquet, Arrow nor CSV that can be read"
            raise BaselineError(f"{self.path}: {what}{expected}: {reason}") from error


def _found(path: Path) -> list[Path]:
    """Return the parts of a table, by name."""
    if path.is_dir():
        parts = sorted(part for part in path.rglob("*") if part.is_file() and not _is_hidden(part, path))
        if not parts:
            raise BaselineError(f"{path}: is an empty folder")
        return parts
    if not path.exists() and set(str(path)) & set("*?["):
        parts = sorted(
            part for part in Path(path.anchor).glob(str(path.relative_to(path.anchor))) if part.is_file()
        )
        if not parts:
            raise BaselineError(f"{path}: no file has such a name")
        return parts
    if not path.exists():
        raise BaselineError(f"{path}: there is no such file")
    if not path.is_file():  # a pipe would be waited for
        raise BaselineError(f"{path}: is no file")
    return [path]


def _is_hidden(part: Path, folder: Path) -> bool:
    """Tell whether a file is no data, as Spark and Arrow agree: ``_SUCCESS``, ``.part.crc``."""
    return any(name.startswith(("_", ".")) for name in part.relative_to(folder).parts)


def _format(path: Path) -> str:
    """Return the format that the name of a file says, Parquet where it says nothing."""
    said = [_SUFFIXES[suffix.lower()] for suffix in path.suffixes if suffix.lower() in _SUFFIXES]
    return said[-1] if said else "parquet"  # .csv.gz as well
