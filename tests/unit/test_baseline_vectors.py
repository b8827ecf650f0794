"""Baselines of data with columns of vectors: what is measured of them, and the centroid that it is measured from."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather
from pyarrow import parquet as pq

from driftline.baseline import Baseline, file, stream, vectors
from driftline.baseline.bins import digest
from driftline.cli import main
from driftline.compare import compare
from driftline.errors import BaselineError

RNG = np.random.default_rng(0)
ROWS = 4000
AGES = RNG.normal(size=ROWS)
VECTORS = RNG.normal(size=(ROWS, 16)).astype(np.float32)
TABLE = pa.table({"age": AGES, "text": pa.array(list(VECTORS))})
FIXED = TABLE.set_column(1, "text", pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 16))
FEATURES = ["age", "text.norm", "text.distance"]


def build(data=FIXED, **options):
    return Baseline.build(data, **({"model": "m", "version": "1"} | options))


def faults_of(call, *arguments, **options):
    with pytest.raises(BaselineError) as caught:
        call(*arguments, **options)
    return caught.value.faults


def in_a_folder(folder):
    for number in range(4):
        pq.write_table(FIXED.slice(1000 * number, 1000), folder / f"{number}.parquet")
    return folder


def as_file(write, table, name):
    def written(folder):
        write(table, folder / name)
        return folder / name

    return written


HELD = {
    "parquet": as_file(pq.write_table, TABLE, "rows.parquet"),
    "parquet of fixed size": as_file(pq.write_table, FIXED, "rows.parquet"),
    "arrow": as_file(feather.write_feather, TABLE, "rows.arrow"),
    "a folder": in_a_folder,
    "batches": lambda _: iter(FIXED.to_batches(700)),
    "frames": lambda _: [frame for _, frame in TABLE.to_pandas().groupby(np.arange(ROWS) // 900)],
}


@pytest.mark.parametrize("held", HELD)
def test_files_and_batches(held, tmp_path):
    """What is built does not depend on what holds the rows."""
    found = build(HELD[held](tmp_path))
    assert list(found.features) == FEATURES
    assert found.id == build({"age": AGES, "text": VECTORS}).id
    assert np.allclose(found.embeddings["text"].centroid, VECTORS.mean(axis=0, dtype=float), atol=1e-8)


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("columns", [["age", "text"], ["text"]], ids=str)
def test_more_than_memory_holds(held, columns, tmp_path, monkeypatch):
    """A sample tells the centroid, every row is measured from it; compare and part read the same way."""
    monkeypatch.setattr(stream, "EXACT_ROWS", 500)
    monkeypatch.setattr(stream, "SAMPLE_ROWS", 1500)
    data = HELD[held](tmp_path)
    found = build(data, features=columns)
    assert {"text.norm", "text.distance"} <= found.features.keys()
    assert np.abs(found.embeddings["text"].centroid - VECTORS.mean(axis=0)).max() < 0.1
    mine, part = found.features["text.distance"], found.part({"age": AGES, "text": VECTORS})
    assert (found.rows, mine.rows, int(mine.counts.sum())) == (ROWS, ROWS, ROWS)
    assert np.array_equal(mine.counts, part.features["text.distance"].counts)
    again = found.part(HELD[held](tmp_path))
    assert np.array_equal(again.features["text.distance"].counts, mine.counts)
    if not isinstance(data, Path):
        return
    assert [one.says for one in compare(found, data).verdicts] == ["same"] * len(found.features)


def test_compare_sees_a_shift():
    """Of tables with vectors; what is no vector any more is of the wrong type."""
    older = build()
    moved = {
        one.feature: one.drifted for one in compare(older, {"age": AGES, "text": VECTORS + 0.5}).verdicts
    }
    assert moved == {"age": False, "text.norm": True, "text.distance": True}
    texts = {v.feature: v for v in compare(older, {"age": AGES, "text": ["a text"] * ROWS}).verdicts}
    assert texts["text.distance"].faults == {"wrong_type": 1.0}
    absent = compare(older, {"age": AGES})
    assert absent.notes[0] == "Not in the observed data: text.norm, text.distance."


def test_commands(tmp_path, capsys):
    """A file of vectors is built from, shown, checked against and compared."""
    path = tmp_path / "rows.parquet"
    pq.write_table(FIXED, path)
    assert (
        main(["baseline", "build", str(path), "--model", "m", "--version", "1", "--output", str(tmp_path)])
        == 0
    )
    baseline = str(tmp_path / "m@1.baseline.json")
    assert main(["baseline", "show", baseline]) == 0
    assert "text: vectors of 16 dimensions" in capsys.readouterr().out
    assert main(["baseline", "check", baseline, "--against", str(path), "--window-rows", "500"]) == 0
    assert "# 3 of 3 features keep the default." in capsys.readouterr().out
    assert main(["compare", str(path), str(path)]) == 0


@pytest.mark.parametrize(
    ("column", "why"),
    [
        ([[1.0] * (n % 3 + 2) for n in range(ROWS)], "holds lists of different lengths, 1334 of 2 numbers and 2666 others"),
        ([[[1.0] * (n % 3), [1.0]] for n in range(ROWS)], "holds lists, and no vectors of 2 to 65536 finite numbers"),
        ([[1.0] * (n % 200 + 2) for n in range(ROWS)], "holds lists of different lengths"),
        ([["a", "b"]] * ROWS, "holds lists, and no vectors of 2 to 65536 finite numbers"),
        ([[np.inf, 1.0]] * ROWS, "holds lists, and no vectors of 2 to 65536 finite numbers"),
        ([[1.0]] * ROWS, "holds lists, and no vectors of 2 to 65536 finite numbers"),
        ([np.ones(65_537), *[None] * (ROWS - 1)], "holds lists, and no vectors of 2 to 65536 finite numbers"),
    ],
    ids=["three lengths", "lists of lists", "many lengths", "texts", "infinite", "one number", "too long"],
)  # fmt: skip
def test_lists_that_are_no_vectors(column, why):
    """They are skipped by name with the reason; asked for, they are a fault."""
    baseline = build({"age": AGES, "tags": column})
    assert baseline.skipped["tags"].startswith(why)
    assert not baseline.embeddings
    (fault,) = faults_of(build, {"age": AGES, "tags": column}, features=["age", "tags"])
    assert fault.startswith(f"feature 'tags' {why}")


def test_lengths_that_look_like_something_else():
    """What is measured is no time stamp, whatever its numbers."""
    seconds = RNG.uniform(1.0e9, 2.4e9, ROWS)[:, np.newaxis]
    found = build({"text": seconds * VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)})
    assert list(found.features) == FEATURES[1:]
    assert build({"age": AGES, "at": seconds[:, 0]}).skipped.keys() == {"at"}


def test_a_few_vectors_of_another_length():
    """They are faults; the others are the embedding."""
    rows = [None if n % 100 == 0 else VECTORS[n][: 15 if n % 50 == 1 else 16] for n in range(ROWS)]
    found = build({"age": AGES, "text": rows})
    assert found.features["text.distance"].faults == {"missing": 40, "wrong_type": 80, "out_of_range": 6}


def test_missing_ones_of_fixed_size():
    """A null is missing where Arrow's type says how long the vectors are, in a slice of a column as in the whole."""
    rows = [None if n % 100 == 0 else row for n, row in enumerate(VECTORS)]
    table = pa.table({"age": AGES, "text": pa.array(rows, pa.list_(pa.float32(), 16))})
    found = build(table)
    assert found.features["text.norm"].faults["missing"] == 40
    assert found.id == build({"age": AGES, "text": rows}).id
    part = found.part(pa.concat_tables([table.slice(0, 150), table.slice(150, 50)]))
    assert part.features["text.norm"].faults["missing"] == 2
    assert np.array_equal(
        found.part(FIXED.slice(150, 50)).features["text.distance"].counts,
        found.part({"age": AGES[150:200], "text": VECTORS[150:200]}).features["text.distance"].counts,
    )


def test_a_column_that_has_the_name_of_a_feature():
    """No column is hidden by what is measured of another."""
    skipped = build({"text.norm": AGES, "text": VECTORS}).skipped
    assert skipped == {"text": "holds vectors, whose text.norm is a column already; rename one of them"}


def test_room_for_centroids(monkeypatch):
    """A baseline stays a file that can be read: what has no room is skipped by name."""
    monkeypatch.setattr(vectors, "MAX_CENTROIDS", 24)
    found = build({"one": VECTORS, "two": VECTORS, "three": VECTORS[:, :8]})
    monkeypatch.setattr(file, "MAX_CENTROIDS", 23)
    assert "embeddings: all centroids are at most 23 numbers" in faults_of(
        Baseline.from_json, found.to_json()
    )
    assert found.embeddings.keys() == {"one", "three"}
    assert found.skipped == {"two": "holds vectors; all centroids of a baseline are at most 24 numbers"}


def test_what_was_asked_for():
    """A column of vectors is named by its own name."""
    assert list(build(features=["text"]).features) == FEATURES[1:]
    assert list(build(ignore=["text"]).features) == ["age"]
    assert list(build(ground_truth="text").features) == ["age"]
    assert not build(ignore=["text"]).embeddings
    (fault,) = faults_of(build, prediction="text")
    assert fault.startswith("@prediction, column 'text', holds fixed_size_list<")
    (fault,) = faults_of(build, categorical=["text"])
    assert fault.startswith("feature 'text' holds fixed_size_list<")


def test_a_retrain_keeps_the_centroid(caplog):
    """Distances from another point are not last week's: with the centroid go the bins of both features."""
    older = build()
    newer = build({"age": AGES, "text": VECTORS + 0.1}, edges_from=older)
    assert newer.embeddings["text"] is older.embeddings["text"]
    for name in FEATURES:
        assert newer.features[name].binning == older.features[name].binning
    narrow = build({"age": AGES, "text": VECTORS[:, :8]}, edges_from=older)
    assert "text: its vectors do not fit the older baseline; it gets a centroid of its own" in caplog.text
    assert narrow.id == build({"age": AGES, "text": VECTORS[:, :8]}).id
    elsewhere = build(older.embeddings["text"].columns(VECTORS))
    assert build({"age": AGES, "text": VECTORS}, edges_from=elsewhere).id == older.id, (
        "its centroid is not known"
    )


def test_parts_of_two_centroids_are_not_merged():
    """What is measured from two points does not add up."""
    plan, other = build({"text": VECTORS}), build({"text": VECTORS + 1})
    parts = [plan.part({"text": VECTORS}), other.part({"text": VECTORS})]
    assert "part 2: the centroids of its embeddings are others" in faults_of(Baseline.merge, parts)


BROKEN = {
    "no list": (lambda d: d.update(embeddings={}), "embeddings must be a list", False),
    "no object": (lambda d: d.update(embeddings=[1]), "embeddings must be a list", False),
    "no name": (lambda d: d["embeddings"][0].pop("name"), "embeddings[0].name is not there", False),
    "no centroid": (
        lambda d: d["embeddings"][0].pop("centroid"),
        "embeddings[0].centroid is not there",
        False,
    ),
    "nothing": (lambda d: d["embeddings"][0].update(centroid=[]), "a list of 1 to 65536 numbers", False),
    "text": (lambda d: d["embeddings"][0].update(centroid=["1"]), "a list of 1 to 65536 numbers", False),
    "too long": (
        lambda d: d["embeddings"][0].update(centroid=[0] * 65537),
        "a list of 1 to 65536 numbers",
        False,
    ),
    "reserved": (lambda d: d["embeddings"][0].update(name="@x"), "name must be a feature's name", False),
    "another": (lambda d: d["embeddings"][0].update(name="age"), "age.norm and age.distance must be", True),
    "twice": (lambda d: d["embeddings"].append(d["embeddings"][0]), "'text' is there twice", True),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file(name):
    """Each fault of an embedding is named, though the id was made to match; the published schema knows most."""
    spoil, said, beyond_schema = BROKEN[name]
    schema = json.loads((Path(__file__).parents[2] / "docs" / "baseline.schema.json").read_text())
    check = jsonschema.Draft202012Validator(schema)
    document = json.loads(build().to_json())
    check.validate(document)
    spoil(document)
    assert check.is_valid(document) == beyond_schema
    content = {key: value for key, value in document.items() if key not in ("id", "created")}
    faults = faults_of(Baseline.from_json, json.dumps(document | {"id": digest(content)}))
    assert any(said in fault for fault in faults), faults


def test_the_id_is_of_the_centroid_too():
    """A centroid that was edited is refused; a baseline without vectors has the id it always had."""
    document = json.loads(build().to_json())
    document["embeddings"][0]["centroid"][0] += 1
    assert faults_of(Baseline.from_json, json.dumps(document))[0].startswith("id is not that of the content")
    assert "embeddings" not in json.loads(build({"age": AGES}).to_json())


def test_pandas_objects():
    """Lists, arrays and missing ones in one column are rows as they come."""
    mixed = [row if n % 3 else row.tolist() for n, row in enumerate(VECTORS)]
    assert build(pd.DataFrame({"age": AGES, "text": mixed})).id == build().id
