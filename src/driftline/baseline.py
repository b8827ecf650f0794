"""Baselines: the training data as histograms, with bins that outlive a retrain."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

import numpy as np

from driftline import names
from driftline.columns import Coded, categories, clip, numbers, of
from driftline.errors import BaselineError
from driftline.histogram import count, fold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from numpy.typing import NDArray

    from driftline.columns import Column

FORMAT = 1
SUFFIX = ".baseline.json"
MAX_FILE_BYTES = 64 << 20

FINE_BINS = 128
FOLD_BINS = 10
NAMED_CATEGORIES = 11
NAMED_ROWS = 20
KEPT_CATEGORIES = 64
MAX_DISTINCT_TEXTS = 1024
MAX_DISTINCT_SHARE = 0.05

Kind = Literal["numeric", "categorical", "boolean", "text_length"]
_TRUTHS = ("false", "true")
_TRUTH_OF = {"0": 0, "false": 0, "1": 1, "true": 1}
_QUANTILES = ("0.001", "0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99", "0.999")


@dataclass(frozen=True, slots=True)
class Counts:
    """What a column held.

    Attributes:
        values: Shape (fine,), how many values fell into each fine bin or category.
        sums: Shape (fine,), the sum of those values; zeros for categories.
        faults: Shape (4,), in the order of ``names.FAULTS``.
    """

    values: NDArray[np.int64]
    sums: NDArray[np.float64]
    faults: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureBaseline:
    """One feature, or one output, of the training data.

    Attributes:
        name: The feature's name; outputs are called ``@prediction``, ``@score``, ``@score.<class>``.
        kind: How its values are read.
        dtype: What the training data had.
        edges: Shape (fine + 1,), from -inf to inf; empty for categories.
        categories: The kept categories by falling count; empty for numbers.
        counts: Shape (fine,), values per fine bin or category.
        sums: Shape (fine,), the sum of the values in each fine bin.
        fold: Shape (fine,), the fold bin of each fine bin.
        bins: The label of each fold bin.
        ratios: Shape (bins,), the smoothed share of each fold bin; they sum to 1.
        values: How many values are in a bin.
        rows: How many rows there were.
        faults: Rows by fault.
        mean: Of the finite values, 0 where there are none.
        stddev: Alike.
        range: Values outside are out of range.
        quantiles: Of the finite values, by their probability.
        binning: What is equal when the fold is.
    """

    name: str
    kind: Kind
    dtype: str
    edges: NDArray[np.float64]
    categories: tuple[str, ...]
    counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    fold: NDArray[np.intp]
    bins: tuple[str, ...]
    ratios: NDArray[np.float64]
    values: int
    rows: int
    faults: Mapping[str, int]
    mean: float
    stddev: float
    range: tuple[float, float]
    quantiles: Mapping[str, float]
    binning: str

    @property
    def fine(self) -> int:
        """How many fine bins or kept categories there are."""
        return len(self.counts)

    def count(self, column: Column) -> Counts:
        """Count *column*: training data and what is served are read by this one function."""
        faults = dict.fromkeys(names.FAULTS, 0)
        if self.kind == "text_length":
            column = lengths(column)
        if self.kind in ("numeric", "text_length"):
            found = numbers(column)
            low, high = self.range
            values, sums = count(found.values, self.edges)
            faults[names.OUT_OF_RANGE] = int(np.count_nonzero((found.values < low) | (found.values > high)))
            faults[names.MISSING], faults[names.WRONG_TYPE] = found.missing, found.wrong_type
        else:
            read = categories(column)
            index = (
                _TRUTH_OF if self.kind == "boolean" else {text: n for n, text in enumerate(self.categories)}
            )
            place = np.asarray([index.get(text, self.fine) for text in read.texts], np.intp)
            counted = np.bincount(place[read.codes] if len(place) else read.codes, minlength=self.fine + 1)
            values, sums = counted[:-1].astype(np.int64), np.zeros(self.fine)
            faults[names.UNSEEN] = int(counted[-1])
            faults[names.MISSING], faults[names.WRONG_TYPE] = read.missing, read.wrong_type
        return Counts(values, sums, np.asarray(list(faults.values()), np.int64))


def lengths(column: Column) -> Column:
    """Return the lengths in code points of a column of text; what is no text stays what it is.

    Of the text as the wire carries it, cut to 128 bytes: a baseline of longer ones would differ from
    every window.
    """
    if isinstance(column, Coded):
        sizes = np.asarray([len(clip(text)) for text in column.texts] + [np.nan], np.float64)
        found: NDArray[np.float64] = sizes[column.codes]
        return found
    if column.dtype.kind != "O":
        return Coded(np.zeros(len(column), np.int8), ("a number is no text",))
    items = [
        len(clip(item)) if isinstance(item, str) else None if item is None else str(item)
        for item in column.tolist()
    ]
    return of(items)


# --- bins -------------------------------------------------------------------------------------


def between(low: NDArray[np.float64], high: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return edges midway between neighbours: a price of 9.99 sent as float32 keeps its bin.

    Halved before they are added, so that nothing overflows; where no number lies between two, the lower
    is the edge, which its own bin holds.
    """
    middle = low / 2 + high / 2
    return np.where((middle >= low) & (middle < high), middle, low)


def fine_edges(distinct: NDArray[np.float64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return edges at 128 quantiles, and around every value that holds 1/128 of the rows."""
    if len(distinct) <= FINE_BINS:
        cuts = np.arange(1, len(distinct))
    else:
        total = rows.cumsum()
        quantiles = np.searchsorted(total, np.arange(1, FINE_BINS) * total[-1] / FINE_BINS) + 1
        atoms = np.flatnonzero(rows * FINE_BINS >= total[-1])
        cuts = np.unique(np.concatenate((quantiles, atoms, atoms + 1)))
        cuts = cuts[(cuts > 0) & (cuts < len(distinct))]
    edges = between(distinct[cuts - 1], distinct[cuts])
    return np.concatenate(([-np.inf], np.unique(edges), [np.inf]))


def fold_numbers(counts: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the fold bin of each fine bin: an atom of 1/10 alone, the runs between cut evenly, 10 at most."""
    total = counts.sum()
    alone = counts * FOLD_BINS >= total if total else np.zeros(len(counts), bool)
    runs: list[NDArray[np.intp]] = []
    for number in range(len(counts)):
        if number and not alone[number] and not alone[number - 1]:
            runs[-1] = np.append(runs[-1], number)
        else:
            runs.append(np.asarray([number], np.intp))
    weights = [counts[run].sum() / max(total, 1) for run in runs]
    spare = FOLD_BINS - int(alone.sum())
    free = [n for n, run in enumerate(runs) if not alone[run[0]]]
    pieces = [1] * len(runs)
    while len(runs) - len(free) + sum(pieces[n] for n in free) < FOLD_BINS:
        open_ = [n for n in free if pieces[n] < len(runs[n])]
        if not open_ or spare <= 0:
            break
        pieces[max(open_, key=lambda n: weights[n] / pieces[n])] += 1
    folded = np.zeros(len(counts), np.intp)
    bins = 0
    for number, run in enumerate(runs):
        share = counts[run].cumsum() - counts[run] / 2
        part = np.minimum(
            (share * pieces[number] // max(counts[run].sum(), 1)).astype(np.intp), pieces[number] - 1
        )
        folded[run] = bins + np.unique(part, return_inverse=True)[1]
        bins = int(folded[run].max()) + 1
    return folded


def fold_categories(counts: NDArray[np.int64]) -> tuple[NDArray[np.intp], int]:
    """Return the fold bin of each kept category, by falling count, and how many are named.

    The eleven commonest with twenty rows stand alone, what is kept besides is one bin.
    """
    named = int(np.count_nonzero(counts[:NAMED_CATEGORIES] >= NAMED_ROWS))
    return np.minimum(np.arange(len(counts)), named), named


def shown(category: str) -> str:
    """Return a category as a bin's label, told apart from ``other`` and from numbered bins."""
    return (
        f"={category}"
        if category == names.OTHER or re.fullmatch("[0-9]{2}|=.*", category, re.DOTALL)
        else category
    )


def smoothed(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return the shares (n_b + 0.5) / (n + 0.5 B): none is 0, they sum to 1."""
    shares: NDArray[np.float64] = (counts + 0.5) / (counts.sum() + 0.5 * len(counts))
    return shares


def digest(content: Any) -> str:
    """Return the SHA-256 of *content* in canonical JSON."""
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def canonical(content: Any) -> str:
    """Return *content* as JSON with sorted keys and no spaces."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


# --- features ---------------------------------------------------------------------------------


def _numeric(name: str, column: Column, dtype: str, rows: int, edges: NDArray[np.float64] | None,
             fold_of: NDArray[np.intp] | None, kind: Kind) -> FeatureBaseline:  # fmt: skip
    found = numbers(lengths(column) if kind == "text_length" else column)
    values = found.values.astype(np.float64)
    distinct, occurs = np.unique(values, return_counts=True)
    if edges is None:
        edges = fine_edges(distinct, occurs) if len(distinct) else np.array([-np.inf, np.inf])
    low, high = _range(distinct, occurs)
    counts, sums = count(values, edges)
    if fold_of is None:
        fold_of = fold_numbers(counts)
    bins = int(fold_of.max()) + 1
    folded = fold(counts, fold_of, bins)
    inner = [float(edges[i + 1]) for i in range(len(fold_of) - 1) if fold_of[i] != fold_of[i + 1]]
    outside = int(np.count_nonzero((values < low) | (values > high)))
    faults = {names.MISSING: found.missing, names.WRONG_TYPE: found.wrong_type, names.OUT_OF_RANGE: outside}
    scale = float(np.abs(distinct[[0, -1]]).max()) if len(distinct) else 1.0
    scaled = values / (scale or 1.0)  # else 1e300 squared overflows
    return FeatureBaseline(
        name=name, kind=kind, dtype=dtype, edges=edges, categories=(), counts=counts, sums=sums, fold=fold_of,
        bins=tuple(f"{number:02d}" for number in range(bins)), ratios=smoothed(folded), values=len(values),
        rows=rows, faults=faults, mean=float(scaled.mean() * scale) if len(values) else 0.0,
        stddev=float(scaled.std() * scale) if len(values) else 0.0, range=(low, high),
        quantiles={q: float(v) for q, v in zip(_QUANTILES, np.quantile(values, [float(q) for q in _QUANTILES],
                   method="inverted_cdf"), strict=True)} if len(values) else {},
        binning=digest([kind, inner])[:12],
    )  # fmt: skip


def _range(distinct: NDArray[np.float64], occurs: NDArray[np.int64]) -> tuple[float, float]:
    """Return the 0.1 and 99.9 percentiles, each moved midway to the next distinct value outwards."""
    if not len(distinct):
        return 0.0, 0.0
    total = occurs.cumsum()
    low = int(np.searchsorted(total, total[-1] * 0.001, side="right"))
    high = int(np.searchsorted(total, total[-1] * 0.999))
    low, high = min(low, len(distinct) - 1), min(high, len(distinct) - 1)
    below = between(distinct[low - 1 : low], distinct[low : low + 1])[0] if low else _outside(distinct[0], -1)
    above = (
        between(distinct[high : high + 1], distinct[high + 1 : high + 2])[0]
        if high + 1 < len(distinct)
        else _outside(distinct[-1], 1)
    )
    return float(below), float(above)


def _outside(value: float, direction: int) -> float:
    """Return a bound just beyond the outermost value, further than float32 rounds."""
    return float(np.clip(value + direction * abs(value) * 1e-6, -np.finfo(float).max, np.finfo(float).max))


def _categorical(
    name: str, column: Column, dtype: str, rows: int, older: FeatureBaseline | None
) -> FeatureBaseline:
    read = categories(column)
    occurs = dict(zip(read.texts, np.bincount(read.codes, minlength=len(read.texts)).tolist(), strict=True))
    if older is None:
        kept = sorted(occurs, key=lambda text: (-occurs[text], text))[:KEPT_CATEGORIES]
        kept = [text for text in kept if occurs[text]]
        counts = np.asarray([occurs[text] for text in kept], np.int64)
        fold_of, named = fold_categories(counts)
        bins = [*map(shown, kept[:named])] + ([names.OTHER] if named < len(kept) else [])
    else:
        kept, fold_of, bins = list(older.categories), older.fold, list(older.bins)
        counts = np.asarray([occurs.get(text, 0) for text in kept], np.int64)
    faults = {
        names.MISSING: read.missing,
        names.UNSEEN: len(read.codes) - int(counts.sum()),
        names.WRONG_TYPE: read.wrong_type,
    }
    return _counted(name, "categorical", dtype, tuple(kept), counts, fold_of, tuple(bins), rows, faults)


def _boolean(name: str, column: Column, dtype: str, rows: int) -> FeatureBaseline:
    read = categories(column)
    counts = np.zeros(2, np.int64)
    for text, occurs in zip(
        read.texts, np.bincount(read.codes, minlength=len(read.texts)).tolist(), strict=True
    ):
        if text in _TRUTH_OF:
            counts[_TRUTH_OF[text]] += occurs
    unseen = len(read.codes) - int(counts.sum())
    faults = {names.MISSING: read.missing, names.UNSEEN: unseen, names.WRONG_TYPE: read.wrong_type}
    return _counted(name, "boolean", dtype, _TRUTHS, counts, np.arange(2), _TRUTHS, rows, faults)


def _counted(
    name: str, kind: Kind, dtype: str, kept: tuple[str, ...], counts: NDArray[np.int64], fold_of: NDArray[np.intp],
    bins: tuple[str, ...], rows: int, faults: Mapping[str, int],
) -> FeatureBaseline:  # fmt: skip
    members = [
        [text for text, place in zip(kept, fold_of, strict=True) if place == n] for n in range(len(bins))
    ]
    return FeatureBaseline(
        name=name, kind=kind, dtype=dtype, edges=np.empty(0), categories=kept, counts=counts,
        sums=np.zeros(len(counts)), fold=fold_of, bins=bins, ratios=smoothed(fold(counts, fold_of, len(bins))),
        values=int(counts.sum()), rows=rows, faults=faults, mean=0.0, stddev=0.0, range=(0.0, 0.0), quantiles={},
        binning=digest([kind, members])[:12],
    )  # fmt: skip


# --- the baseline -----------------------------------------------------------------------------

_ID = re.compile(r"(^|_)(id|uuid|guid|key)$", re.IGNORECASE)
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Baseline:
    """The training data of one model and version, feature by feature.

    Attributes:
        model: The model's name.
        version: Its version, ``*`` for any.
        task: One of ``names.TASKS``, or None.
        created: When it was built, ISO 8601 in UTC.
        dataset_version: What the training data is called, or None.
        rows: Rows of the training data.
        fallback: Whether versions without a baseline of their own are counted on it.
        features: Inputs and outputs by name, in the data's order.
        skipped: Why each column that was left out was.
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
        score: str | None = None,
        features: Iterable[str] | None = None,
        ignore: Collection[str] = (),
        categorical: Collection[str] = (),
        ground_truth: str | None = None,
        edges_from: Baseline | Path | str | None = None,
        dataset_version: str | None = None,
        fallback: bool = False,
    ) -> Baseline:
        """Build a baseline from training *data*.

        Args:
            data: A pandas DataFrame, an Arrow table, a dict of columns, or a path to Parquet or CSV.
            model: The model's name.
            version: Its version; ``*`` serves every version without its own.
            task: One of ``names.TASKS``; else classification when there is a score or the prediction is
                text, boolean or at most 20 whole numbers, and regression otherwise.
            prediction: The column of what the model predicted for these rows.
            score: The column of its score.
            features: The columns to take; else all that are not outputs and do not look like ids.
            ignore: Columns to leave out.
            categorical: Numeric columns that are categories.
            ground_truth: The column of what turned out to be so; it is no feature.
            edges_from: An older baseline whose bins are kept, so that last week stays comparable.
            dataset_version: What the training data is called.
            fallback: Count versions that have no baseline on this one.

        Raises:
            BaselineError: The data cannot be read, a named column is not there, a chosen feature cannot be one.
        """
        table = read_table(data)
        named = {prediction, score, ground_truth} - {None}
        wanted = list(features) if features is not None else None
        absent = [n for n in [*named, *(wanted or []), *ignore, *categorical] if n not in table]
        if absent:
            have = ", ".join(list(table)[:20])
            raise BaselineError([f"column {n!r} is not in the data, which has {have}" for n in absent])
        if not table:
            raise BaselineError("the data has no columns")
        older = cls.load(edges_from) if isinstance(edges_from, Path | str) else edges_from
        rows = len(next(iter(table.values())))
        if rows == 0:
            raise BaselineError("the data has no rows")
        outputs = {names.COLUMN_PREDICTION: prediction, names.COLUMN_SCORE: score}
        task = task or _task(table, prediction, score)
        faults: list[str] = []
        skipped: dict[str, str] = {}
        built: dict[str, FeatureBaseline] = {}
        for name in (
            wanted if wanted is not None else [n for n in table if n not in named and n not in ignore]
        ):
            reason = "its name begins with @, which is reserved" if name.startswith("@") else None
            reason = reason or unfit(name, table[name], asked=wanted is not None or name in categorical)
            if reason is None:
                old = older.features.get(name) if older else None
                built[name] = _feature(name, table[name], rows, categorical=name in categorical, older=old)
            elif wanted is not None:
                faults.append(f"feature {name!r} cannot be watched: {reason}")
            else:
                skipped[name] = reason
        if faults:
            raise BaselineError(faults)
        for name, column in outputs.items():
            if column is not None:
                old = older.features.get(name) if older else None
                is_class = name == names.COLUMN_PREDICTION and task == "classification"
                built[name] = _feature(name, table[column], rows, categorical=is_class, older=old)
        draft = cls(
            model=model, version=version, task=task, dataset_version=dataset_version, rows=rows, fallback=fallback,
            created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"), features=built,
            skipped=skipped, id="",
        )  # fmt: skip
        return cls.from_document(draft.document())

    def document(self) -> dict[str, Any]:
        """Return the content of the file."""
        features = {name: _feature_document(feature) for name, feature in self.features.items()}
        content = {
            "format": FORMAT, "model": self.model, "version": self.version, "task": self.task,
            "dataset_version": self.dataset_version, "rows": self.rows, "fallback": self.fallback,
            "features": features, "order": list(features), "skipped": dict(self.skipped),
        }  # fmt: skip
        return {"id": digest(content), "created": self.created, **content}

    def save(self, path: Path | str) -> Path:
        """Write the baseline to *path*, a ``.json`` file or a folder; return the file."""
        path = Path(path)
        if path.suffix != ".json":
            path = path / f"{quote(self.model, safe='')}@{quote(self.version, safe='')}{SUFFIX}"
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.{os.getpid()}.new")
        try:
            aside.write_text(
                json.dumps(self.document(), indent=1, ensure_ascii=False, allow_nan=False) + "\n", "utf-8"
            )
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        return path

    @classmethod
    def load(cls, path: Path | str) -> Baseline:
        """Read a file that :meth:`save` wrote.

        Raises:
            BaselineError: It cannot be read or is no sound baseline; every fault is named.
        """
        path = Path(path)
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_FILE_BYTES + 1)
            if len(raw) > MAX_FILE_BYTES:
                raise ValueError(f"larger than {MAX_FILE_BYTES} bytes, which no baseline is")  # noqa: TRY301 - below
            return cls.from_document(
                json.loads(raw.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
            )
        except BaselineError as error:
            raise BaselineError([f"{path}: {fault}" for fault in error.faults]) from error
        except OSError as error:
            raise BaselineError(f"{path}: cannot be read: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise BaselineError(f"{path}: is no baseline: {error}") from error

    @classmethod
    def from_document(cls, document: Any) -> Baseline:
        """Read a file's content.

        Raises:
            BaselineError: It is no sound baseline; every fault is named.
        """
        if not isinstance(document, dict) or not isinstance(document.get("format"), int):
            raise BaselineError("is no baseline: it has no format")
        if document["format"] > FORMAT:
            raise BaselineError(
                f"has format {document['format']}, this release reads {FORMAT}; upgrade driftline"
            )
        faults: list[str] = []
        features: dict[str, FeatureBaseline] = {}
        try:
            content = {key: value for key, value in document.items() if key not in ("id", "created")}
            if digest(content) != document["id"]:
                faults.append("its id does not match its content; it was changed by hand or cut short")
            for key, kind in _FIELDS.items():
                if not isinstance(document[key], kind):
                    faults.append(f"{key} is not of the right type")
            if sorted(document["order"]) != sorted(document["features"]):
                faults.append("order does not name the features")
            for name in document["order"]:
                try:
                    features[name] = _feature_from(name, document["features"][name])
                except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
                    faults.append(
                        f"feature {name!r}: {error if isinstance(error, ValueError) else repr(error)}"
                    )
            if faults:
                raise BaselineError(faults)
            return cls(
                features=features,
                **{key: document[key] for key in (
                    "model", "version", "task", "created", "dataset_version", "rows", "fallback", "skipped", "id",
                )},
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BaselineError([*faults, f"is no baseline: {error!r}"]) from error


_FIELDS: dict[str, Any] = {
    "model": str, "version": str, "task": str | None, "created": str, "dataset_version": str | None, "rows": int,
    "fallback": bool, "features": dict, "order": list, "skipped": dict, "id": str,
}  # fmt: skip


def _feature_document(feature: FeatureBaseline) -> dict[str, Any]:
    content: dict[str, Any] = {
        "kind": feature.kind, "dtype": feature.dtype, "rows": feature.rows, "faults": dict(feature.faults),
        "counts": feature.counts.tolist(), "fold": feature.fold.tolist(), "bins": list(feature.bins),
        "ratios": feature.ratios.tolist(), "binning": feature.binning,
    }  # fmt: skip
    if feature.kind in ("numeric", "text_length"):
        content |= {
            "edges": feature.edges[1:-1].tolist(), "sums": feature.sums.tolist(), "mean": feature.mean,
            "stddev": feature.stddev, "range": list(feature.range), "quantiles": dict(feature.quantiles),
        }  # fmt: skip
    else:
        content["categories"] = list(feature.categories)
    return content


def _feature_from(name: str, content: Mapping[str, Any]) -> FeatureBaseline:
    kind = content["kind"]
    if kind not in names.FAULTS_OF_KIND:
        raise ValueError(f"kind {kind!r} is none of {', '.join(names.FAULTS_OF_KIND)}")
    counts = np.asarray(content["counts"], np.int64)
    fold_of = np.asarray(content["fold"], np.intp)
    ratios = np.asarray(content["ratios"], np.float64)
    bins = tuple(content["bins"])
    number = kind in ("numeric", "text_length")
    edges = np.asarray([-np.inf, *content["edges"], np.inf], np.float64) if number else np.empty(0)
    kept = () if number else tuple(content["categories"])
    sums = np.asarray(content["sums"], np.float64) if number else np.zeros(len(counts))
    low, high = map(float, content["range"]) if number else (0.0, 0.0)
    wrong = [
        text
        for text, bad in (
            ("counts must be one row of at least one whole number >= 0", counts.ndim != 1 or not len(counts) or (counts < 0).any()),
            ("edges must rise, one more than counts", number and (len(edges) != len(counts) + 1 or not (np.diff(edges) > 0).all() or not np.isfinite(edges[1:-1]).all())),
            ("categories must be distinct texts, as many as counts", not number and (len(set(kept)) != len(counts) or not all(isinstance(t, str) for t in kept))),
            ("sums must be finite, as many as counts", sums.shape != counts.shape or not np.isfinite(sums).all()),
            ("fold must name every bin, rising", fold_of.shape != counts.shape or set(fold_of.tolist()) != set(range(len(bins))) or (np.diff(fold_of) < 0).any()),
            ("bins must be distinct texts", len(set(bins)) != len(bins) or not all(isinstance(b, str) for b in bins)),
            ("ratios must be above 0, one a bin, and sum to 1", ratios.shape != (len(bins),) or not (ratios > 0).all() or abs(ratios.sum() - 1) > 1e-6),
            ("range must be two numbers, the lower first", not low <= high or not np.isfinite([low, high]).all()),
            ("binning must be 12 hex digits", not re.fullmatch("[0-9a-f]{12}", content["binning"])),
        )
        if bad
    ]  # fmt: skip
    if wrong:
        raise ValueError("; ".join(wrong))
    return FeatureBaseline(
        name=name, kind=kind, dtype=str(content["dtype"]), edges=edges, categories=kept, counts=counts, sums=sums,
        fold=fold_of, bins=bins, ratios=ratios, values=int(counts.sum()), rows=int(content["rows"]),
        faults={str(k): int(v) for k, v in content["faults"].items()},
        mean=float(content.get("mean", 0.0)), stddev=float(content.get("stddev", 0.0)), range=(low, high),
        quantiles={str(k): float(v) for k, v in content.get("quantiles", {}).items()}, binning=content["binning"],
    )  # fmt: skip


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        raise ValueError("an object holds a key twice")
    return tree


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _feature(
    name: str, column: Column, rows: int, *, categorical: bool, older: FeatureBaseline | None
) -> FeatureBaseline:
    dtype = "string" if isinstance(column, Coded) else str(column.dtype)
    kind: Kind
    if older is not None:
        kind = older.kind
    elif not isinstance(column, Coded) and column.dtype.kind == "b":
        kind = "boolean"
    elif categorical:
        kind = "categorical"
    elif isinstance(column, Coded):
        distinct = len(np.unique(column.codes[column.codes >= 0]))
        kind = (
            "categorical"
            if distinct <= max(2, min(MAX_DISTINCT_TEXTS, MAX_DISTINCT_SHARE * rows))
            else "text_length"
        )
    else:
        kind = "numeric" if column.dtype.kind != "O" or numbers(column).values.size else "categorical"
    if kind == "boolean":
        return _boolean(name, column, dtype, rows)
    if kind == "categorical":
        return _categorical(name, column, dtype, rows, older)
    if older is not None:
        return _numeric(name, column, dtype, rows, older.edges, older.fold, kind)
    return _numeric(name, column, dtype, rows, None, None, kind)


def _task(table: Mapping[str, Column], prediction: str | None, score: str | None) -> str | None:
    if score is not None:
        return "classification"
    if prediction is None:
        return None
    column = table[prediction]
    if isinstance(column, Coded) or column.dtype.kind == "b":
        return "classification"
    values = np.unique(numbers(column).values)
    return "classification" if len(values) <= 20 and (values == np.round(values)).all() else "regression"


def unfit(name: str, column: Column, *, asked: bool) -> str | None:
    """Return why *column* is no feature, None when it is one; what was *asked* for may look like an id."""
    if not isinstance(column, Coded) and column.dtype.kind in "mM":
        return "it holds points in time; give the model's own features, such as the hour"
    if asked:
        return None
    rows = len(column)
    if isinstance(column, Coded):
        used = (
            [text for code, text in enumerate(column.texts) if (column.codes == code).any()]
            if len(column.texts) < 50
            else column.texts
        )
        if used and sum(bool(_MAIL.fullmatch(text)) for text in used[:200]) > min(len(used), 200) / 2:
            return "it looks like e-mail addresses"
        if (
            rows >= 50
            and len(set(column.codes.tolist())) >= 0.95 * rows
            and (_ID.search(name) or _alike(column.texts))
        ):
            return "it looks like an id: every row has another value"
        return None
    if column.dtype.kind not in "iuf" or rows < 50:
        return None
    values = numbers(column).values
    if len(values) < rows * 0.95:
        return None
    whole = bool((values == np.round(values)).all())
    if whole and len(np.unique(values)) >= 0.99 * rows:
        if _ID.search(name) or np.ptp(values) < 1.5 * rows:
            return "it looks like an id: every row has another whole number"
        if (np.diff(values) >= 0).all():
            return "it looks like a time stamp or a counter: it only grows"
    return None


def _alike(texts: Collection[str]) -> bool:
    """Return whether texts are of one length, as ids and hashes are and names are not."""
    return len({len(text) for text in list(texts)[:200]}) == 1


# --- reading data -----------------------------------------------------------------------------


def read_table(data: Any) -> dict[str, Column]:
    """Return *data* column by column.

    Raises:
        BaselineError: It cannot be read, or what reads it is not installed.
    """
    if isinstance(data, str | Path):
        return _read_file(Path(data))
    if isinstance(data, dict):
        columns = {str(name): _column(values) for name, values in data.items()}
        if len({len(column) for column in columns.values()}) > 1:
            raise BaselineError("the columns are not of one length")
        return columns
    if hasattr(data, "to_pandas"):
        return {name: _arrow(data.column(name)) for name in data.column_names}
    if hasattr(data, "columns") and hasattr(data, "iloc"):
        twice = sorted({str(name) for name in data.columns if list(data.columns).count(name) > 1})
        if twice:
            raise BaselineError(f"columns stand twice: {', '.join(twice)}")
        return {str(name): _series(data[name]) for name in data.columns}
    raise BaselineError(
        f"{type(data).__name__} is no table; give a DataFrame, an Arrow table, a dict or a path"
    )


def _read_file(path: Path) -> dict[str, Column]:
    try:
        import pyarrow.csv
        import pyarrow.parquet
    except ImportError as error:
        raise BaselineError(
            f"{path}: reading files needs pyarrow: pip install 'driftline[baseline]'"
        ) from error
    try:
        if path.suffix.lower() == ".csv":
            return read_table(pyarrow.csv.read_csv(path))
        return read_table(pyarrow.parquet.read_table(path))
    except FileNotFoundError as error:
        raise BaselineError(f"{path}: there is no such file") from error
    except (OSError, pyarrow.ArrowException) as error:
        raise BaselineError(f"{path}: is neither Parquet nor CSV that can be read: {error}") from error


def _arrow(column: Any) -> Column:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        coded = column.combine_chunks().dictionary_encode()
        coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
        return Coded(
            coded.indices.fill_null(-1).to_numpy(zero_copy_only=False), tuple(coded.dictionary.to_pylist())
        )
    if pa.types.is_boolean(kind) and column.null_count:
        return of(column.to_pylist())
    if pa.types.is_decimal(kind):
        return np.asarray([np.nan if v is None else float(v) for v in column.to_pylist()])
    values = column.to_numpy()
    return values if values.dtype.kind in "fiubmM" else of(column.to_pylist())


def _series(series: Any) -> Column:
    kind = series.dtype
    if getattr(kind, "kind", "O") in "fiub" and isinstance(kind, np.dtype):
        return np.asarray(series)
    if getattr(kind, "kind", "") in "mM":
        return np.asarray(series.to_numpy(dtype="datetime64[ns]" if kind.kind == "M" else "timedelta64[ns]"))
    if str(kind) == "boolean":
        return of([None if missing else bool(v) for v, missing in zip(series, series.isna(), strict=True)])
    if getattr(kind, "kind", "") in "fiu":
        return np.asarray(series.to_numpy(dtype="float64", na_value=np.nan))
    missing = series.isna()
    return of([None if gone else item for item, gone in zip(series.tolist(), missing, strict=True)])


def _column(values: Any) -> Column:
    if isinstance(values, Coded):
        return values
    array = np.asarray(values)
    return array if array.dtype.kind in "fiubmM" else of(list(array.tolist()))
