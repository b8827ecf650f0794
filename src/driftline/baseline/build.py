"""What was asked for, column by column, into features."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline import names
from driftline.baseline import bins, file
from driftline.baseline.feature import READ_AS_NUMBERS, FeatureBaseline
from driftline.baseline.kinds import Unfit, is_text, kind_of, refuse_personal
from driftline.baseline.parts import counted, counted_in_parts, moments
from driftline.baseline.scores import Scores, attributed
from driftline.baseline.vectors import bins_kept, embeddings_of, measured, measuring, spread
from driftline.columns import categories, is_missing, numbers
from driftline.errors import BaselineError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from driftline.baseline.bins import Bins
    from driftline.baseline.feature import Kind
    from driftline.baseline.stream import Rows
    from driftline.baseline.table import Table
    from driftline.columns import Column
    from driftline.embedding import Embedding

logger = logging.getLogger(__name__)

_PER_MILLE = {
    "0.001": 1, "0.01": 10, "0.05": 50, "0.25": 250, "0.5": 500, "0.75": 750, "0.95": 950, "0.99": 990, "0.999": 999,
}  # fmt: skip
_FLOAT32_STEP = 2.0**-23


def build(
    rows: Rows,
    *,
    model: str,
    version: str,
    task: str | None,
    prediction: str | None,
    score: str | Sequence[str] | Mapping[str, str] | None,
    features: Iterable[str] | None,
    ignore: Iterable[str],
    categorical: Iterable[str],
    ground_truth: str | None,
    older: Mapping[str, FeatureBaseline],
    centroids: Mapping[str, Embedding],
) -> dict[str, Any]:
    """Return the fields of a baseline that its *rows* and what was asked for tell; see ``Baseline.build``.

    Where there is an older baseline, its features are in *older* and its embeddings in *centroids*.

    Raises:
        BaselineError: Naming every fault.
    """
    outputs = output_columns(prediction, score)
    roles = [*outputs.values(), *([] if ground_truth is None else [ground_truth])]
    asked = None if features is None else _listed("features", features)
    ignored, categoric = _listed("ignore", ignore), _listed("categorical", categorical)
    aside = (*roles, *ignored, *categoric)
    looked_at = [n for n in rows.table.names if n not in aside and (asked is None or n in asked)]
    embeddings, no_vectors = embeddings_of(rows.table, looked_at, centroids)
    table = measured(rows.table, embeddings)
    known = bins_kept(older, centroids, embeddings)
    vectors = spread(embeddings, embeddings)
    asked = None if asked is None else [*spread(asked, embeddings)]
    chosen = [n for n in table.names if n not in roles and n not in ignored] if asked is None else asked
    faults = _naming_faults(table, chosen, [*roles, *ignored, *categoric])
    faults += [f"feature {n!r} is named in another role, too" for n in asked or () if n in (*roles, *ignored)]
    faults += [
        f"{what} must be text of 1 to {names.MAX_MODEL_BYTES} bytes, not {value!r}"
        for what, value in (("model", model), ("version", version))
        if not file.is_name(value)
    ]
    if task is not None and task not in names.TASKS:
        faults.append(f"task must be one of {', '.join(names.TASKS)}, not {task!r}")
    if faults:
        raise BaselineError(faults)

    if score is not None:
        task = task or "classification"
    answers: dict[str, FeatureBaseline] = {}
    kind: Kind | None
    for name, source in outputs.items():
        try:
            column = table.column(source)
            if name == names.COLUMN_PREDICTION:
                task = task or _task(column)
                kind = _prediction_kind(column, task)
            else:
                kind = "numeric"
            answers[name] = _feature(name, column, kind, known.get(name))
        except Unfit as reason:
            faults.append(f"{name}, column {source!r}, {reason}")
    scores: Scores | None = None
    driven = attributed(answers.values())
    if driven is not None and rows.parts is None:  # else all rows are counted below
        scores = Scores.of(driven, table.column(outputs[driven.name]))
    built: dict[str, FeatureBaseline] = {}
    skipped: dict[str, str] = {}
    for name in chosen:
        explicit = asked is not None or name in categoric
        try:
            if name in no_vectors:
                raise Unfit(no_vectors[name])  # noqa: TRY301 - one handler for every reason
            column = table.column(name)
            if not explicit and name not in known and name not in vectors:
                refuse_personal(name, column, rows.share)
            said = name in categoric or name in table.categorical
            kind = "categorical" if said and kind_of(column) != "boolean" else None
            built[name] = _feature(name, column, kind, known.get(name), scores)
        except Unfit as reason:
            if explicit:
                faults.append(f"feature {name!r} {reason}")
            else:
                skipped[name] = str(reason)
    built |= answers
    if not built and not faults:
        faults.append("no column is left to watch" + "".join(f"; {n} {why}" for n, why in skipped.items()))
    if faults:
        raise BaselineError(faults)
    count = table.rows
    if rows.parts is not None:
        sources = {name: outputs.get(name, name) for name in built}
        parts = measuring(rows.parts, embeddings)([*dict.fromkeys(sources.values())])
        count, built = counted_in_parts(built, sources, parts)
    kept = {
        name: embedding for name, embedding in embeddings.items() if built.keys() >= {*embedding.features}
    }
    return {"task": task, "rows": count, "features": built, "embeddings": kept, "skipped": skipped}


def _listed(role: str, given: Iterable[str]) -> list[str]:
    if isinstance(given, str):
        raise BaselineError(f'{role} is a list of columns; write ["{given}"]')
    return list(given)


def output_columns(
    prediction: str | None, score: str | Sequence[str] | Mapping[str, str] | None
) -> dict[str, str]:
    """Return the column of each output by its reserved name."""
    found = {} if prediction is None else {names.COLUMN_PREDICTION: prediction}
    if score is None or isinstance(score, str):
        return found if score is None else found | {names.COLUMN_SCORE: score}
    by_class = score if isinstance(score, Mapping) else {column: column for column in score}
    return found | {f"{names.COLUMN_SCORE}.{key}": column for key, column in by_class.items()}


def _naming_faults(table: Table, chosen: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return what is wrong with the names of columns, those to watch and those with another role."""
    have = set(table.names)
    shown = ", ".join(table.names[:20]) + (", ..." if len(table.names) > 20 else "")
    faults = ["the data has no rows"] if table.rows == 0 else []
    for name in dict.fromkeys((*chosen, *others)):
        if name not in have:
            several = "; give each of them by itself" if have.issuperset(name.split(",")) else ""
            faults.append(f"column {name!r} is not in the data, which has {shown}{several}")
        elif table.names.count(name) > 1:
            faults.append(f"column {name!r} stands twice in the data")
        elif name in chosen and not file.is_feature(name):
            faults.append(
                f"column {name!r} cannot be a feature: a name is text of 1 to {names.MAX_NAME_BYTES} bytes that "
                "does not begin with @; rename it or ignore it"
            )
    named = Counter(chosen)
    return faults + [f"feature {n!r} is named twice" for n in named if named[n] > table.names.count(n) > 0]


def _task(prediction: Column) -> str:
    if is_text(prediction) or kind_of(prediction) == "boolean":
        return "classification"
    distinct = np.unique(numbers(prediction).values)
    return "classification" if len(distinct) <= 20 and (distinct % 1 == 0).all() else "regression"


def _prediction_kind(column: Column, task: str) -> Kind:
    kind = kind_of(column)
    if task == "classification":
        return kind if kind == "boolean" else "categorical"
    return "numeric" if task == "regression" else kind


# --- one feature ------------------------------------------------------------------------------


def _feature(
    name: str, column: Column, kind: Kind | None, older: FeatureBaseline | None, scores: Scores | None = None
) -> FeatureBaseline:
    """Return the baseline of *column* on the bins of *older* where they suit it, else on its own.

    One bin is nothing to keep: what was constant gets bins of its own, silently.

    Args:
        name: The feature's name.
        column: Its training data.
        kind: What it is, where that was said.
        older: Its older baseline, if it has one.
        scores: Those of the same rows, of an input.
    """
    if older is not None and kind in (None, older.kind) and len(older.bins) > 1:
        kept = older.count(column)
        present = len(column) - int(kept.faults[names.FAULTS.index(names.MISSING)])
        if 2 * kept.values.sum() > present:
            return _filled(name, column, older.kind, older.layout, scores)
        logger.warning("%s: what it holds does not fit the older baseline; it gets bins of its own", name)
    kind = kind or kind_of(column)
    return _filled(name, column, kind, _new_bins(column, kind), scores)


def _new_bins(column: Column, kind: Kind) -> Bins:
    if kind == "boolean":
        return bins.BOOLEAN
    if kind == "categorical":
        read = categories(column)
        if len(read.codes):
            occurs = np.bincount(read.codes, minlength=len(read.texts)).tolist()
            return bins.of_categories(dict(zip(read.texts, occurs, strict=True)))
    else:
        values = READ_AS_NUMBERS[kind](column).values.astype(np.float64)
        if len(values):
            return bins.of_numbers(values)
    items = column.tolist() if isinstance(column, np.ndarray) else column.texts
    others = sorted({type(item).__name__ for item in items if not is_missing(item)})
    what = {"numeric": "number", "text_length": "text", "categorical": "category"}[kind]
    raise Unfit(f"holds no {what}" + (f", only {', '.join(others)}" if others else ": every row is missing"))


def _filled(name: str, column: Column, kind: Kind, layout: Bins, scores: Scores | None) -> FeatureBaseline:
    values = np.empty(0)
    if kind in READ_AS_NUMBERS:
        values = np.sort(READ_AS_NUMBERS[kind](column).values.astype(np.float64)) + 0.0  # -0.0 becomes 0.0
    fine = len(layout.fold)
    empty = FeatureBaseline(
        name=name,
        kind=kind,
        dtype="",
        edges=layout.edges,
        categories=layout.categories,
        counts=np.zeros(fine, np.int64),
        sums=np.zeros(fine),
        fold=layout.fold,
        bins=layout.labels,
        ratios=np.empty(0),
        values=0,
        rows=len(column),
        faults={},
        mean=0.0,
        stddev=0.0,
        range=_range(values),
        quantiles=_quantiles(values),
        binning=layout.binning(kind),
    )
    mean, stddev = moments(values)  # of sorted values: the order of the rows must not even round another way
    return replace(counted(empty, column, scores), mean=mean, stddev=stddev)


def _range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return what sorted *values* are not out of.

    One in a thousand is left out at either end. Each end lies midway to the next value outwards; where
    there is none, as far out as it is midway to the next one inwards; for a constant, as far as a
    float32 of it may be off.
    """
    return (-_end(-values[::-1]), _end(values)) if len(values) else (0.0, 0.0)


def _end(values: NDArray[np.float64]) -> float:
    """Return the upper end of the range of rising *values*."""
    last = values[len(values) - 1 - len(values) // 1000]
    beyond, within = values[values > last], values[values < last]
    if len(beyond):
        return float(bins.midway(last, beyond[0]))
    step = last / 2 - within[-1] / 2 if len(within) else abs(last) * _FLOAT32_STEP
    return float(last + min(step, file.LARGEST - max(last, 0.0))) + 0.0


def _quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    """Return quantiles of sorted values: the least value that so many are not above."""
    if not len(values):
        return {}
    last = {text: max(-(-share * len(values) // 1000), 1) - 1 for text, share in _PER_MILLE.items()}
    return {text: float(values[place]) for text, place in last.items()}
