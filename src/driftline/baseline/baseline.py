"""The training data of one model and version."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from driftline import files
from driftline.baseline import build, file
from driftline.baseline.bins import digest
from driftline.baseline.parts import counted_in_parts, differences, merged
from driftline.baseline.stream import opened, tables
from driftline.errors import BaselineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from driftline.baseline.feature import FeatureBaseline
    from driftline.embedding import Embedding

logger = logging.getLogger(__name__)

SUFFIX = ".baseline.json"
MAX_FILE_BYTES = 32 << 20
FEW_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """The training data of one model and version, feature by feature.

    Attributes:
        model: The model's name.
        version: Its version, ``*`` for any.
        task: One of ``names.TASKS``; None where nothing tells it.
        created: When it was built, in UTC, such as ``2026-01-31T12:00:00Z``.
        dataset_version: What the training data is called, or None.
        rows: How many rows the training data had.
        fallback: Whether versions without a baseline of their own are counted on it.
        features: Inputs and outputs by name, in the data's order, outputs last.
        embeddings: What is measured of columns of vectors, by the column's name; their features are among ``features``.
        skipped: Why a column was left out, by name.
        id: SHA-256 of the canonical JSON without ``id`` and ``created``.
    """

    model: str
    version: str
    task: str | None
    created: str
    dataset_version: str | None
    rows: int
    fallback: bool
    features: Mapping[str, FeatureBaseline]
    embeddings: Mapping[str, Embedding]
    skipped: Mapping[str, str]
    id: str

    @classmethod
    def build(
        cls,
        data: Any,
        *,
        model: str,
        version: str = "*",
        task: str | None = None,
        prediction: str | None = None,
        score: str | Sequence[str] | Mapping[str, str] | None = None,
        features: Iterable[str] | None = None,
        ignore: Iterable[str] = (),
        categorical: Iterable[str] = (),
        ground_truth: str | None = None,
        edges_from: Baseline | Path | str | None = None,
        dataset_version: str | None = None,
        fallback: bool = False,
        created: dt.datetime | None = None,
    ) -> Baseline:
        """Build the baseline of training *data*; equal rows in any order give an equal id.

        What is skipped, and what is odd, is logged as a warning.

        Args:
            data: A pandas DataFrame, an Arrow table, a dictionary of columns, a two-dimensional array
                (its columns are ``x0``, ``x1``, ...); a path to Parquet, Arrow or CSV, to a folder or a
                pattern of such; or batches: a RecordBatchReader, or DataFrames and Arrow tables one after
                another. Of files and batches of more than a million rows a sample tells the bins, and all
                rows are counted, in bounded memory.
            model: The model's name, as the service says it.
            version: Its version; ``*`` serves every version without a baseline of its own.
            task: One of ``names.TASKS``; else classification where a score is given or the prediction is
                text, boolean or at most 20 whole numbers, and regression otherwise.
            prediction: The column of what the model predicted for these rows.
            score: The column of its score; for several, their names or a mapping from class to column.
            features: The columns to watch, however they look; else all that are neither named here in
                another role nor look like ids, e-mail addresses or time stamps.
            ignore: Columns to leave out.
            categorical: Columns that are categories, whatever holds them.
            ground_truth: The column of what turned out to be so; it is no feature.
            edges_from: An older baseline, or its file, whose bins are kept: else a retrain erases last
                week's reference. Features that it lacks or that have become something else get new bins.
            dataset_version: What the training data is called.
            fallback: Count versions that have no baseline on this one.
            created: When it was built; now where it is not given.

        Raises:
            BaselineError: The data cannot be read, or a column that was named is not there or cannot be
                what it was named as; every fault is named.
        """
        older = cls.load(edges_from) if isinstance(edges_from, Path | str) else edges_from
        with opened(data) as rows:
            found = build.build(
                rows,
                model=model,
                version=version,
                task=task,
                prediction=prediction,
                score=score,
                features=features,
                ignore=ignore,
                categorical=categorical,
                ground_truth=ground_truth,
                older=older.features if older else {},
                centroids=older.embeddings if older else {},
            )
        baseline = cls(
            model=model,
            version=version,
            created=_moment(created),
            dataset_version=dataset_version,
            fallback=fallback,
            id="",
            **found,
        )
        for name, why in baseline.skipped.items():
            logger.warning("%s: skipped, as it %s", name, why)
        for line in baseline.oddities():
            logger.warning("%s", line)
        return _identified(baseline)

    def part(
        self, data: Any, *, outputs: Mapping[str, str] | None = None, created: dt.datetime | None = None
    ) -> Baseline:
        """Return the baseline of *data* on the bins and the range of this one, to be merged with its like.

        Args:
            data: As for :meth:`build`; rows of it may be none.
            outputs: The column of an output by its reserved name, such as ``{"@prediction": "y_hat"}``.
            created: When it was built; now where it is not given.

        Raises:
            BaselineError: The data cannot be read, or lacks a column; every fault is named.
        """
        sources = {name: (outputs or {}).get(name, name) for name in self.features}
        needed = [*dict.fromkeys(sources.values())]
        rows, features = counted_in_parts(self.features, sources, tables(data, needed, self.embeddings))
        return _identified(replace(self, rows=rows, features=features, created=_moment(created)))

    @classmethod
    def merge(cls, parts: Iterable[Baseline], *, created: dt.datetime | None = None) -> Baseline:
        """Return the baseline of all rows of *parts*, each made by :meth:`part` of one and the same baseline.

        Counts, faults and shares are those of all rows counted at once, whatever the order of the parts;
        sums, mean and standard deviation are, but for rounding.

        Raises:
            BaselineError: There is none, or two of them are of different bins; every fault is named.
        """
        parts = list(parts)
        if not parts:
            raise BaselineError("there is no baseline to merge")
        first = parts[0]
        faults: list[str] = []
        for number, other in enumerate(parts[1:], 2):
            faults += [f"part {number}: {fault}" for fault in _differences(first, other)]
        if faults:
            raise BaselineError(faults)
        whole = replace(
            first,
            rows=sum(part.rows for part in parts),
            features={name: merged([part.features[name] for part in parts]) for name in first.features},
            created=_moment(created),
        )
        return _identified(whole)

    def oddities(self) -> list[str]:
        """Return what makes scores against this baseline less telling than they could be, a line each."""
        few = f"built from {self.rows} rows; drift is judged well from {FEW_ROWS} on"
        found = [few] if self.rows < FEW_ROWS else []
        return found + [f"{f.name}: {line}" for f in self.features.values() for line in f.oddities()]

    def to_json(self) -> str:
        """Return what the baseline's file holds."""
        return file.dumps(_fields(self))

    @classmethod
    def from_json(cls, text: str) -> Baseline:
        """Read what :meth:`to_json` wrote.

        Raises:
            BaselineError: It is no sound baseline; every fault is named.
        """
        return cls(**file.loads(text))

    def save(self, path: Path | str) -> Path:
        """Write the baseline, whole or not at all, and return its file.

        Args:
            path: A ``.json`` file, or a folder, which need not exist; there the file is called
                ``<model>@<version>.baseline.json``, all but letters, digits, ``.``, ``_`` and ``-``
                percent-encoded.

        Raises:
            BaselineError: It cannot be written.
        """
        path = Path(path)
        if path.suffix != ".json" or path.is_dir():
            path /= f"{prefix(self.model)}{_quoted(self.version)}{SUFFIX}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            files.write_text(path, self.to_json())
        except OSError as error:
            raise BaselineError(f"{path}: cannot be written: {error.strerror}") from error
        return path

    @classmethod
    def load(cls, path: Path | str) -> Baseline:
        """Read a baseline's file.

        Raises:
            BaselineError: It cannot be read or is no sound baseline; every fault is named.
        """
        path = Path(path)
        try:
            raw = files.read(path, MAX_FILE_BYTES)
        except OSError as error:
            raise BaselineError(f"{path}: cannot be read: {error.strerror}") from error
        try:
            return cls.from_json(raw.decode())
        except BaselineError as error:
            raise BaselineError([f"{path}: {fault}" for fault in error.faults]) from error
        except UnicodeDecodeError as error:
            raise BaselineError(f"{path}: is no JSON: it is not UTF-8") from error


def _identified(baseline: Baseline) -> Baseline:
    """Return *baseline* with the id that its content has."""
    return replace(baseline, id=digest(file.tree(_fields(baseline))))


def _fields(baseline: Baseline) -> dict[str, Any]:
    return {each.name: getattr(baseline, each.name) for each in fields(baseline)}


def _moment(created: dt.datetime | None) -> str:
    moment = (created or dt.datetime.now(dt.UTC)).astimezone(dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _differences(one: Baseline, other: Baseline) -> list[str]:
    """Return why two baselines are not parts of one, feature by feature."""
    found = [
        f"its {what} is {getattr(other, what)!r}, that of the first {getattr(one, what)!r}"
        for what in ("model", "version", "task", "dataset_version", "fallback")
        if getattr(one, what) != getattr(other, what)
    ]
    if list(one.features) != list(other.features):
        apart = sorted(one.features.keys() ^ other.features.keys())
        found.append(f"its features are others, or in another order: {', '.join(apart) or 'the order'}")
    if file.centroids(one.embeddings) != file.centroids(other.embeddings):
        found.append("the centroids of its embeddings are others")
    for name, feature in one.features.items():
        differ = differences(feature, other.features[name]) if name in other.features else ""
        if differ:
            found.append(
                f"{name}: its {differ} differ from those of the first; count every part on the bins of one "
                "baseline: driftline baseline part (Baseline.part)"
            )
    return found


def prefix(model: str) -> str:
    """Return what the names of all files of *model* begin with."""
    return f"{_quoted(model)}@"


def _quoted(name: str) -> str:
    return quote(name, safe="").replace("~", "%7E")
