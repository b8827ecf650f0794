"""A baseline's file: JSON, of which nothing is believed when it is read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from driftline import names
from driftline.baseline.attribution import ScoreSums
from driftline.baseline.bins import TRUTHS, digest, label
from driftline.baseline.feature import READ_AS_NUMBERS, FeatureBaseline
from driftline.baseline.vectors import MAX_CENTROIDS
from driftline.embedding import MAX_DIMENSIONS, Embedding
from driftline.errors import BaselineError
from driftline.histogram import smoothed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

FORMAT = 1
MAX_FINE_BINS = 1024
MAX_PARTS = 1 << 19
"""Lists and objects, of which a feature has about ten; an empty one takes twenty times its size once it is read."""
LARGEST = float(np.finfo(np.float64).max)


# --- writing ----------------------------------------------------------------------------------


def tree(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the file of a baseline of these *fields* holds, without ``id`` and ``created``."""
    measured = centroids(fields["embeddings"])
    return {
        "format": FORMAT,
        "model": fields["model"],
        "version": fields["version"],
        "task": fields["task"],
        "dataset_version": fields["dataset_version"],
        "rows": fields["rows"],
        "fallback": fields["fallback"],
        "skipped": dict(fields["skipped"]),
        "features": [_feature_tree(feature) for feature in fields["features"].values()],
    } | ({"embeddings": measured} if measured else {})


def centroids(embeddings: Mapping[str, Embedding]) -> list[dict[str, Any]]:
    """Return what is kept of *embeddings*."""
    return [
        {"name": embedding.name, "centroid": embedding.centroid.tolist()}
        for embedding in embeddings.values()
        if embedding.centroid is not None
    ]


def _feature_tree(feature: FeatureBaseline) -> dict[str, Any]:
    content: dict[str, Any] = {"name": feature.name, "kind": feature.kind, "dtype": feature.dtype}
    if feature.kind in READ_AS_NUMBERS:
        content |= {
            "mean": feature.mean,
            "stddev": feature.stddev,
            "range": list(feature.range),
            "quantiles": dict(feature.quantiles),
            "edges": feature.edges[1:-1].tolist(),
            "sums": feature.sums.tolist(),
        }
    else:
        content["categories"] = list(feature.categories)
    return (
        content
        | {
            "counts": feature.counts.tolist(),
            "faults": dict(feature.faults),
            "binning": feature.binning,
            "fold": feature.fold.tolist(),
            "bins": list(feature.bins),
            "ratios": feature.ratios.tolist(),
        }
        | ({} if feature.scores is None else {"scores": _scores_tree(feature.scores)})
    )


def _scores_tree(scores: ScoreSums) -> dict[str, Any]:
    return {
        "values": scores.values.tolist(),
        "sums": scores.sums.tolist(),
        "squares": float(scores.squares[0]),
    }


def dumps(fields: Mapping[str, Any]) -> str:
    """Return the text that :func:`loads` reads *fields* of, a feature a line: a difference between two can be read."""
    content = {"id": fields["id"], "created": fields["created"]} | tree(fields)
    features = ",\n".join(map(_json, content.pop("features")))
    head = "".join(f"{_json(key)}: {_json(value)},\n" for key, value in content.items())
    return f'{{\n{head}"features": [\n{features}\n]\n}}\n'


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, allow_nan=False)


# --- the form of each value -------------------------------------------------------------------


def _is_whole(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 2**53


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -LARGEST <= value <= LARGEST


def _is_text(value: Any, least: int = 0, most: int = 4096) -> bool:
    try:
        return isinstance(value, str) and least <= len(value.encode()) <= most
    except UnicodeEncodeError:  # half a surrogate pair
        return False


def is_name(value: Any) -> bool:
    """Tell whether *value* can name a model or a version."""
    return _is_text(value, 1, names.MAX_MODEL_BYTES)


def is_feature(value: Any) -> bool:
    """Tell whether *value* can name a feature."""
    return _is_text(value, 1, names.MAX_NAME_BYTES) and not value.startswith("@")


def _is_watched(value: Any) -> bool:
    score = names.COLUMN_SCORE
    return is_feature(value) or (
        _is_text(value, 1, names.MAX_NAME_BYTES)
        and (value in (names.COLUMN_PREDICTION, score) or value.startswith(f"{score}."))
    )


def _is_time(value: Any) -> bool:
    form = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
    return isinstance(value, str) and re.fullmatch(form, value, re.ASCII) is not None


def _is_range(value: Any) -> bool:
    return _list_of(_is_number)(value) and len(value) == 2 and value[0] <= value[1]


def _list_of(fits: Callable[[Any], bool], most: int = MAX_FINE_BINS) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and len(value) <= most and all(map(fits, value))


def _map_of(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


Form: TypeAlias = "tuple[str, Callable[[Any], bool]]"
_WHOLE: Form = ("a whole number from 0", _is_whole)
_NUMBER: Form = ("a number", _is_number)
_TEXT: Form = ("text", _is_text)
_NAME: Form = (f"text of 1 to {names.MAX_MODEL_BYTES} bytes", is_name)
_WHOLES: Form = (f"a list of at most {MAX_FINE_BINS} whole numbers from 0", _list_of(_is_whole))
_NUMBERS: Form = (f"a list of at most {MAX_FINE_BINS} numbers", _list_of(_is_number))
_TEXTS: Form = (f"a list of at most {MAX_FINE_BINS} texts", _list_of(_is_text))

_HEAD: dict[str, Form] = {
    "model": _NAME,
    "version": _NAME,
    "task": (f"null or one of {', '.join(names.TASKS)}", (None, *names.TASKS).__contains__),
    "created": ("a time such as 2026-01-31T12:00:00Z", _is_time),
    "dataset_version": ("null or text", lambda value: value is None or _is_text(value)),
    "rows": _WHOLE,
    "fallback": ("true or false", lambda value: isinstance(value, bool)),
    "skipped": ("texts by column", _map_of(_is_text)),
    "features": (
        f"a list of at most {names.MAX_COLUMNS} objects",
        _list_of(lambda item: isinstance(item, dict), names.MAX_COLUMNS),
    ),
}
_OF_ALL: dict[str, Form] = {
    "name": ("a feature's name, or @prediction, @score, @score.<class>", _is_watched),
    "kind": (f"one of {', '.join(names.FAULTS_OF_KIND)}", tuple(names.FAULTS_OF_KIND).__contains__),
    "dtype": _TEXT,
    "counts": _WHOLES,
    "faults": ("whole numbers by fault", _map_of(_is_whole)),
    "binning": _TEXT,
    "fold": _WHOLES,
    "bins": _TEXTS,
    "ratios": _NUMBERS,
}
_OF_NUMBERS: dict[str, Form] = {
    "mean": _NUMBER,
    "stddev": ("a number from 0", lambda value: _is_number(value) and value >= 0),
    "range": ("two numbers, the lower one first", _is_range),
    "quantiles": ("numbers by probability", _map_of(_is_number)),
    "edges": _NUMBERS,
    "sums": _NUMBERS,
}
_OF_CATEGORIES: dict[str, Form] = {"categories": _TEXTS}
_OF_EMBEDDINGS: dict[str, Form] = {
    "name": ("a feature's name", is_feature),
    "centroid": (
        f"a list of 1 to {MAX_DIMENSIONS} numbers",
        lambda value: _list_of(_is_number, MAX_DIMENSIONS)(value) and len(value) > 0,
    ),
}
_OF_SCORES: dict[str, Form] = {"values": _WHOLES, "sums": _NUMBERS, "squares": _NUMBER}


# --- reading ----------------------------------------------------------------------------------


def loads(text: str) -> dict[str, Any]:
    """Return the fields of the baseline that *text* holds; keys that are not known are passed over.

    Raises:
        BaselineError: It holds no sound one; every fault is named.
    """
    if text.count("[") + text.count("{") > MAX_PARTS:
        raise BaselineError(f"is no baseline: it holds more than {MAX_PARTS} lists and objects")
    try:
        content = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError as error:
        raise BaselineError("is no baseline: its JSON is nested too deeply") from error
    except ValueError as error:
        raise BaselineError(f"is no JSON: {error}") from error
    if not isinstance(content, dict) or not _is_whole(content.get("format")):
        raise BaselineError('is no baseline: it has no "format"')
    if content["format"] != FORMAT:
        remedy = "upgrade driftline" if content["format"] > FORMAT else "build it anew"
        raise BaselineError(f"is of format {content['format']}, this driftline reads {FORMAT}: {remedy}")
    faults: list[str] = []
    head = _fields(content, _HEAD, "", faults)
    try:
        if content.get("id") != digest({k: v for k, v in content.items() if k not in ("id", "created")}):
            faults.append("id is not that of the content, which was edited or damaged: build it anew")
    except (ValueError, RecursionError) as error:
        faults.append(f"id cannot be checked: {error}")
    features: dict[str, FeatureBaseline] = {}
    for number, item in enumerate(head.get("features", ())):
        feature = _feature(item, f"features[{number}]", head.get("rows"), faults)
        if feature is not None and feature.name in features:
            faults.append(f"features[{number}]: {feature.name!r} is there twice")
        elif feature is not None:
            features[feature.name] = feature
    embeddings = _embeddings(content.get("embeddings", []), features, faults)
    if faults:
        raise BaselineError(faults)
    return head | {"features": features, "embeddings": embeddings, "id": content["id"]}


def _embeddings(
    content: Any, features: Mapping[str, FeatureBaseline], faults: list[str]
) -> dict[str, Embedding]:
    """Return the embeddings that *content* holds; where one is not sound, note why."""
    if not _list_of(lambda item: isinstance(item, dict), names.MAX_COLUMNS)(content):
        faults.append(f"embeddings must be a list of at most {names.MAX_COLUMNS} objects")
        return {}
    found: dict[str, Embedding] = {}
    for number, item in enumerate(content):
        where = f"embeddings[{number}]"
        wrong: list[str] = []
        fields = _fields(item, _OF_EMBEDDINGS, f"{where}.", wrong)
        faults += wrong
        if wrong:
            continue
        embedding = Embedding(fields["name"], fields["centroid"])
        if embedding.name in found:
            faults.append(f"{where}: {embedding.name!r} is there twice")
        if any(name not in features or features[name].kind != "numeric" for name in embedding.features):
            faults.append(f"{where}: {' and '.join(embedding.features)} must be numeric features")
        found[embedding.name] = embedding
    if sum(embedding.dimensions for embedding in found.values()) > MAX_CENTROIDS:
        faults.append(f"embeddings: all centroids are at most {MAX_CENTROIDS} numbers")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"an object holds {key!r} twice")
        found[key] = value
    return found


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _fields(
    content: Mapping[str, Any], forms: Mapping[str, Form], where: str, faults: list[str]
) -> dict[str, Any]:
    """Return those fields of *content* that are of their form, and note the others."""
    found = {}
    for key, (form, fits) in forms.items():
        if key not in content:
            faults.append(f"{where}{key} is not there")
        elif not fits(content[key]):
            shown = repr(content[key])
            faults.append(
                f"{where}{key} must be {form}, not {shown if len(shown) < 60 else shown[:60] + '…'}"
            )
        else:
            found[key] = content[key]
    return found


def _feature(
    content: Mapping[str, Any], where: str, rows: int | None, faults: list[str]
) -> FeatureBaseline | None:
    """Return the feature that *content* holds; where it is not sound, note why."""
    if _is_watched(content.get("name")):
        where += f" {content['name']!r}"
    wrong: list[str] = []
    numeric = content.get("kind") in tuple(READ_AS_NUMBERS)
    found = _fields(content, _OF_ALL | (_OF_NUMBERS if numeric else _OF_CATEGORIES), "", wrong)
    scores = _scores(content["scores"], wrong) if "scores" in content else None
    feature = None
    if not wrong:
        low, high = found.get("range", (0, 0))
        feature = FeatureBaseline(
            name=found["name"],
            kind=found["kind"],
            dtype=found["dtype"],
            edges=np.array([-np.inf, *found["edges"], np.inf], np.float64) if numeric else np.empty(0),
            categories=() if numeric else tuple(found["categories"]),
            counts=np.array(found["counts"], np.int64),
            sums=np.array(found["sums"], np.float64) if numeric else np.zeros(len(found["counts"])),
            fold=np.array(found["fold"], np.intp),
            bins=tuple(found["bins"]),
            ratios=np.array(found["ratios"], np.float64),
            values=sum(found["counts"]),
            rows=rows or 0,
            faults=found["faults"],
            mean=float(found.get("mean", 0)),
            stddev=float(found.get("stddev", 0)),
            range=(float(low), float(high)),
            quantiles={
                probability: float(value) for probability, value in found.get("quantiles", {}).items()
            },
            binning=found["binning"],
            scores=scores,
        )
        wrong = _misfits(feature) or _contradictions(feature)
    faults += [f"{where}: {fault}" for fault in wrong]
    return None if wrong else feature


def _scores(content: Any, faults: list[str]) -> ScoreSums | None:
    """Return the sums of the score that *content* holds; where they are not of their form, note why."""
    if not isinstance(content, dict):
        faults.append("scores must be an object")
        return None
    wrong: list[str] = []
    found = _fields(content, _OF_SCORES, "scores.", wrong)
    faults += wrong
    if wrong:
        return None
    return ScoreSums(
        np.array(found["values"], np.int64),
        np.array(found["sums"], np.float64),
        np.array([found["squares"]], np.float64),
    )


def _misfits(feature: FeatureBaseline) -> list[str]:
    """Return which parts of *feature* are of a length or an order that does not fit the others."""
    fine, last = feature.fine, len(feature.bins) - 1
    fold = feature.fold.tolist()
    found = []
    if fine == 0:
        found.append("counts must hold at least one bin")
    if feature.kind in READ_AS_NUMBERS:
        if len(feature.edges) != fine + 1 or not (np.diff(feature.edges) > 0).all():
            found.append("edges must be one fewer than counts, and rise")
    elif len(set(feature.categories)) != fine or len(feature.categories) != fine:
        found.append("categories must be as many as counts, and distinct")
    if feature.kind == "boolean" and feature.categories != TRUTHS:
        found.append("categories of a boolean must be false and true")
    if len(feature.sums) != fine:
        found.append("sums must be as many as counts")
    if len(fold) != fine or sorted(set(fold)) != list(range(last + 1)) or fold != sorted(fold):
        found.append("fold must be as many as counts, rise, and name each of bins")
    if len(feature.ratios) != last + 1:
        found.append("ratios must be as many as bins")
    if feature.scores is not None and not len(feature.scores.values) == len(feature.scores.sums) == last + 1:
        found.append("scores must be as many as bins")
    if set(feature.faults) != set(names.FAULTS_OF_KIND[feature.kind]):
        found.append(f"faults must be {', '.join(names.FAULTS_OF_KIND[feature.kind])}")
    return found


def _contradictions(feature: FeatureBaseline) -> list[str]:
    """Return where the parts of *feature*, which fit each other, say different things."""
    layout, filled = feature.layout, feature.counts > 0
    found = []
    faulty = sum(rows for fault, rows in feature.faults.items() if fault != names.OUT_OF_RANGE)
    if feature.values + faulty != feature.rows:
        found.append(f"counts and faults add up to {feature.values + faulty} rows, not {feature.rows}")
    if feature.kind in READ_AS_NUMBERS:
        labels = [f"{number:02d}" for number in range(len(feature.bins))]
        means = feature.sums[filled] / feature.counts[filled]
        low, high = feature.edges[:-1][filled], feature.edges[1:][filled]
        slack = 1e-9 * np.abs(means)
        held = np.abs(feature.sums[filled]) >= LARGEST * (1 - 1e-9)  # the sum was beyond float64
        with np.errstate(over="ignore"):
            inside = (means + slack >= low) & (means - slack <= high)
        if not (held | inside).all() or feature.sums[~filled].any():
            found.append("sums must be those of values inside the edges")
    else:
        labels = [
            label(members[0]) if len(members) == 1 and name != names.OTHER else names.OTHER
            for members, name in zip(layout.members(), feature.bins, strict=True)
        ]
    if list(feature.bins) != labels or len(set(labels)) < len(labels):
        found.append(f"bins must be {', '.join(dict.fromkeys(labels))}")
    if not np.allclose(feature.ratios, smoothed(layout.folded(feature.counts)), rtol=1e-9, atol=0):
        found.append("ratios must be (n_b + 0.5) / (n + 0.5 B)")
    if feature.scores is not None and not _are_shares(feature.scores, layout.folded(feature.counts)):
        found.append("scores must be those of counted values, each from 0 to 1")
    if feature.binning != layout.binning(feature.kind):
        found.append("binning must be that of the fold")
    return found


def _are_shares(scores: ScoreSums, counts: NDArray[np.int64]) -> bool:
    """Tell whether *scores* can be sums and squares of numbers from 0 to 1, each of a value of *counts*."""
    values, sums, squares = scores.values, scores.sums, scores.squares[0]
    if not ((values <= counts) & (sums >= 0) & (sums <= values)).all():
        return False
    filled, slack = values > 0, 1e-7 * values.sum()  # squares are rounded
    return bool((sums[filled] ** 2 / values[filled]).sum() - slack <= squares <= sums.sum() + slack)
