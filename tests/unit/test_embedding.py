"""Embeddings: vectors are watched by their length and their distance to the centroid of the training data."""

from __future__ import annotations

import tracemalloc
from itertools import permutations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

import driftline
from driftline.baseline import Baseline
from driftline.cli import main
from driftline.compare import compare
from driftline.embedding import MAX_DIMENSIONS
from driftline.errors import ConfigurationError
from driftline.instrumentation.vectors import Embeddings
from watched import Watched

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(3000, 64)).astype(np.float32)
EMBEDDING = driftline.Embedding.of("text", TRAIN)
VECTORS, AGES = TRAIN[:6], np.arange(6.0)
TWO = ("text.norm", "text.distance")
CLOSE = 2.0**-17


def euclid(vectors):
    vectors = np.asarray(vectors, float)
    return np.column_stack(
        [np.linalg.norm(vectors, axis=1), np.linalg.norm(vectors - TRAIN.mean(axis=0, dtype=float), axis=1)]
    )


def test_numbers():
    """Norm and distance are numpy's, of every row, the same in pieces as whole, however the array lies."""
    columns = EMBEDDING.columns(TRAIN)
    assert tuple(columns) == TWO
    found = np.column_stack([*columns.values()])
    assert np.allclose(found, euclid(TRAIN), rtol=CLOSE, atol=0)
    for vectors in (np.asfortranarray(TRAIN), TRAIN.astype(float), list(TRAIN), pd.Series(list(TRAIN))):
        assert np.array_equal(found, np.column_stack([*EMBEDDING.columns(vectors).values()]))
    assert np.array_equal(EMBEDDING.measured(TRAIN[[7]])[0], found[7])


def test_normalised_vectors_have_one_norm():
    """Whether training had float64 and the service has float32: else all that differs is noise, and noise is drift."""
    double = TRAIN.astype(float) / np.linalg.norm(TRAIN.astype(float), axis=1, keepdims=True)
    baseline = Baseline.build({"text": double}, model="m")
    single = compare(baseline, {"text": double.astype(np.float32)})
    assert [one.says for one in single.verdicts] == ["same", "same"]
    assert len(baseline.features["text.norm"].bins) == 1


def test_the_order_of_sums():
    """A centroid is the same whatever the order of the rows, where a sum of floats is not."""
    rows = np.array([[1.0, 0.1], [1e16, 0.2], [-1e16, 0.3], [3.0, 0.7]])
    found = {
        tuple(driftline.Embedding.of("x", rows[list(order)]).centroid) for order in permutations(range(4))
    }
    assert len(found) == 1


def test_lists_of_all_lengths_take_no_room():
    """Of a column that holds no vectors not every length is kept in mind."""
    rows = [np.ones(2000 + n, np.int8) for n in range(2000)]
    tracemalloc.start()
    with pytest.raises(ConfigurationError, match="holds lists of different lengths"):
        driftline.Embedding.of("x", rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6, "all of them took 48 MB"


def test_bad_vectors():
    """Each is counted as what it is, and spoils no other: missing, or of the wrong type; never an exception."""
    good = VECTORS[0]
    nan, some = np.full(64, np.nan), np.r_[np.nan, good[1:]]
    huge, infinite = np.full(64, 1e200), np.r_[np.inf, good[1:]]
    missing = [None, np.nan, pd.NA, nan]
    wrong = [
        some,
        infinite,
        huge,
        good[:63],
        good[:0],
        "text",
        ["a"] * 64,
        3.0,
        {"a": 1},
        [good, good],
        b"x" * 64,
    ]
    found = EMBEDDING.measured([good, *missing, *wrong, good.tolist()])
    assert np.isnan(found[1:5]).all()
    assert np.isinf(found[5:-1]).all()
    assert np.array_equal(found[0], found[-1])
    assert np.isfinite(found[0]).all()


def test_without_a_centroid():
    """The length alone is watched, of vectors of any length."""
    lengths = driftline.Embedding("text").columns([[3.0, 4.0], [2.0], None, [], np.ones(MAX_DIMENSIONS + 1)])
    assert tuple(lengths) == ("text.norm",)
    assert str(lengths["text.norm"].tolist()) == "[5.0, 2.0, nan, inf, inf]"


FORMS = {
    "arrays": {"age": AGES, "text": VECTORS},
    "lists": {"age": AGES.tolist(), "text": VECTORS.tolist()},
    "arrays of objects": {"age": AGES, "text": pd.Series(list(VECTORS)).to_numpy()},
    "pandas": pd.DataFrame({"age": AGES, "text": list(VECTORS)}),
    "pandas' arrow": pd.DataFrame(
        {"age": AGES, "text": pd.Series(VECTORS.tolist(), dtype=pd.ArrowDtype(pa.list_(pa.float32())))}
    ),
    "polars": pl.DataFrame({"age": AGES, "text": VECTORS.tolist()}),
    "polars' arrays": pl.DataFrame(
        {"age": AGES, "text": pl.Series(VECTORS.tolist(), dtype=pl.Array(pl.Float32, 64))}
    ),
    "arrow": pa.table({"age": AGES, "text": pa.array(list(VECTORS))}),
    "arrow of fixed size": pa.table(
        {"age": AGES, "text": pa.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 64)}
    ),
    "structured": np.array([*zip(AGES, VECTORS, strict=True)], [("age", "f8"), ("text", "f4", (64,))]),
    "records": [{"age": age, "text": vector} for age, vector in zip(AGES.tolist(), VECTORS, strict=True)],
    "vectors alone": VECTORS,
    "their column alone": {"text": VECTORS},
    "lists alone": VECTORS.tolist(),
    "a series": pd.Series(list(VECTORS), name="text"),
}


@pytest.mark.parametrize("kept", [None, np.array([0, 2, 5])], ids=["all", "some"])
@pytest.mark.parametrize("form", FORMS)
def test_forms(form, kept):
    """Vectors are known by their column's name in whatever holds them, and only the rows that are kept are measured."""
    part = Embeddings({"text": EMBEDDING}, EMBEDDING).read(FORMS[form], None)
    assert part.rows == 6
    part.own(kept)
    columns = part.join([part])
    rows = slice(None) if kept is None else kept
    assert np.allclose(
        np.column_stack([columns.pop(name) for name in TWO]), euclid(VECTORS[rows]), rtol=CLOSE
    )
    assert {name: column.tolist() for name, column in columns.items()} in ({}, {"age": AGES[rows].tolist()})


@pytest.mark.parametrize(
    "row",
    [
        {"age": 1.0, "text": VECTORS[0]}, {"text": VECTORS[0].tolist(), "age": 1.0}, {"text": VECTORS[0]},
        {"text": VECTORS[0].tolist()}, VECTORS[0], VECTORS[0].tolist(), pd.Series({"age": 1.0, "text": VECTORS[0]}),
    ],
    ids=["array", "list first", "array alone", "list alone", "vector", "list", "series"],
)  # fmt: skip
def test_one_row(row):
    """A row is one vector, and what is beside it."""
    part = Embeddings({"text": EMBEDDING}, EMBEDDING).read(row, None)
    part.own(None)
    columns = part.join([part])
    assert part.rows == 1
    assert np.allclose([columns[name][0] for name in TWO], euclid(VECTORS[:1])[0], rtol=CLOSE)
    assert "age" not in columns or columns["age"].tolist() == [1.0]


def test_vectors_are_measured_and_not_sent(receiver):
    """Of a model of vectors two features are sent, whatever the dimensions, and the model gets its vectors."""
    seen = []
    model = driftline.instrument(
        lambda x: seen.append(x) or x[:, 0], name="m", version="1", embedding=EMBEDDING
    )
    vectors = TRAIN[:5].copy()
    model(vectors)
    assert seen[0] is vectors
    assert driftline.flush()
    assert receiver.batches[0].columns.keys() == {*TWO, "@prediction", "@latency"}
    assert receiver.values("text.distance") == EMBEDDING.columns(vectors)["text.distance"].tolist()


def test_several_embeddings(receiver):
    """Each column is measured from its own centroid, by observe as well; what is beside them is sent as ever."""
    other = driftline.Embedding.of("image", TRAIN[:, :8])
    features = {"age": np.array([1.0, 2.0]), "text": TRAIN[:2], "image": TRAIN[:2, :8]}
    with driftline.observe("m", "1", features, embedding=[EMBEDDING, other]):
        pass
    assert driftline.flush()
    assert receiver.values("age") == [1.0, 2.0]
    assert receiver.values("text.norm") == EMBEDDING.columns(TRAIN[:2])["text.norm"].tolist()
    assert receiver.values("image.distance") == other.columns(TRAIN[:2, :8])["image.distance"].tolist()
    assert receiver.batches[0].columns.keys() == {"age", *TWO, "image.norm", "image.distance", "@latency"}


def test_what_is_no_embedding():
    """A typing error is the developer's to mend."""
    with pytest.raises(ConfigurationError, match=r"embedding: 'text' is none; pass driftline\.Embedding"):
        driftline.instrument(len, name="m", version="1", embedding="text")


@pytest.mark.parametrize(
    ("barred", "left"),
    [
        ({"ignore": ["text.norm"]}, {"age", "text.distance"}), ({"ignore": ["text"]}, {"age"}),
        ({"hashed": ["text"]}, {"age"}), ({"allow": ["text.*"]}, {*TWO}),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "column"])
def test_features_may_be_denied(receiver, barred, left, whole):
    """What may not leave the process is not sent, by the name of the column or of a feature; no vector ever is."""
    model = driftline.instrument(len, name="m", version="1", embedding=EMBEDDING, **barred)
    model(TRAIN[:2] if whole else {"age": np.ones(2), "text": TRAIN[:2]})
    assert driftline.flush()
    assert receiver.batches[0].columns.keys() == (left - {"age"} if whole else left) | {"@latency"}


def test_vectors_that_nobody_named(receiver, caplog):
    """They are not sent, which is said and counted; what is beside them is."""
    for features in (
        {"age": AGES, "spare": VECTORS},
        FORMS["structured"],
        FORMS["pandas"],
        FORMS["arrow"],
        FORMS["records"],
        {"age": 1.0, "tags": ["a", "b"]},
    ):
        with driftline.observe("m", "1", features):
            pass
    assert driftline.flush()
    assert {name for batch in receiver.batches for name in batch.columns} == {"age", "@latency"}
    assert receiver.values("age").count(None) == 0
    assert len(receiver.values("age")) == 31
    said = [
        r.message
        for r in caplog.records
        if "holds vectors, lists or dictionaries and is not sent" in r.message
    ]
    assert sorted(line.split("'")[1] for line in said) == ["spare", "tags", "text"]


def test_vectors_of_another_width(receiver):
    """In the service they are rows of the wrong type, for all to see; who builds from them is told."""
    for vectors in (np.ones((2, 3)), np.ones(65)):
        with pytest.raises(ConfigurationError, match="64 dimensions; pass a row a vector"):
            EMBEDDING.columns(vectors)
        model = driftline.instrument(lambda x: x[:1], name="m", version="1", embedding=EMBEDDING)
        assert np.array_equal(model(vectors), vectors[:1])
        assert driftline.flush()
    assert receiver.values("text.norm") == receiver.values("text.distance") == [np.inf] * 3


@pytest.mark.parametrize("centroid", [np.ones((2, 2)), [], [np.nan], 3.0, np.ones(MAX_DIMENSIONS + 1)])
def test_no_centroid(centroid):
    """A centroid that is none is said so."""
    with pytest.raises(ConfigurationError, match="'text': a centroid is one vector of finite numbers"):
        driftline.Embedding("text", centroid)


# --- from the baseline to the score -----------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A baseline as the command builds it, of a file with a column of vectors."""
    folder = tmp_path_factory.mktemp("built")
    table = pa.table({"age": RNG.normal(size=3000), "text": pa.array(list(TRAIN))})
    parquet.write_table(table, folder / "train.parquet")
    asked = ["--model", "topics", "--version", "1", "--output", str(folder)]
    assert main(["baseline", "build", str(folder / "train.parquet"), *asked]) == 0
    return folder / "topics@1.baseline.json"


def serve(shift, endpoint, **options):
    data = np.random.default_rng(1)
    model = driftline.instrument(
        lambda x: np.zeros(len(x["age"])), name="topics", version="1", endpoint=endpoint, **options
    )
    vectors = data.normal(shift, 1.0, size=(3000, 64)).astype(np.float32)
    for rows in np.array_split(np.arange(3000), 10):
        model({"age": data.normal(size=len(rows)), "text": vectors[rows]})
    assert driftline.flush(10)


@pytest.mark.parametrize(
    ("shift", "least", "most"), [(0.0, 0.0, 0.02), (0.3, 0.1, 0.4)], ids=["same", "moved"]
)
@pytest.mark.parametrize("mode", ["bins", "values"])
def test_from_the_baseline_to_the_score(built, monkeypatch, mode, shift, least, most):
    """A service with the baseline at hand measures its vectors untold, and a shift of them is the sidecar's PSI."""
    watched = Watched(Baseline.load(built))
    with watched.listening() as endpoint:
        if mode == "bins":
            monkeypatch.setenv("DRIFTLINE_BASELINE", str(built))
            serve(shift, endpoint)
        else:
            serve(shift, endpoint, embedding=Baseline.load(built).embeddings.values())
    watched.clock.now += 1
    watched.monitor.tick()
    psi = watched.values("driftline_sidecar_feature_drift", statistic="psi", window="1h")
    assert psi.keys() == {"age", *TWO}
    assert least <= psi["text.distance"] <= most
    assert psi["age"] < 0.02
    assert watched.values("driftline_sidecar_rows_total", outcome="counted") == {(): 3000}
    assert sum(watched.values("driftline_feature_faults_total", fault="missing").values()) == 0
    assert watched.values("driftline_undeclared_values_total") == {(): 0}


def test_faults_of_vectors_are_series(built):
    """Vectors that are missing, or of another width, are counted by the fault they are."""
    watched = Watched(Baseline.load(built))
    with watched.listening() as endpoint:
        driftline.instrument(len, name="topics", version="1", baseline=str(built), endpoint=endpoint)(
            {"age": np.zeros(5), "text": [None, VECTORS[0][:5], *VECTORS[:2], [1.0] * 63 + [np.inf]]}
        )
        assert driftline.flush(10)
    for name in TWO:
        faults = watched.values("driftline_feature_faults_total", feature=name)
        assert (faults["missing"], faults["wrong_type"]) == (1, 2)
        assert sum(watched.values("driftline_feature_values_total", feature=name).values()) == 2


def test_a_model_of_vectors_alone(receiver, tmp_path):
    """Where the baseline has one embedding and nothing else, an array is its vectors; where it has more, it is features."""
    alone = Baseline.build({"text": TRAIN}, model="topics", version="1")
    driftline.instrument(len, name="topics", version="1", baseline=str(alone.save(tmp_path)))(VECTORS)
    assert driftline.flush(10)
    assert receiver.batches.pop().counts.keys() == {*TWO}
    beside = Baseline.build({"x0": TRAIN[:, 0], "text": TRAIN}, model="topics", version="1")
    driftline.instrument(len, name="topics", version="1", baseline=str(beside.save(tmp_path)))(VECTORS)
    assert driftline.flush(10)
    assert receiver.batches.pop().counts.keys() == {"x0"}


def test_the_baselines_centroid_wins(built):
    """Its bins are of distances from it."""
    baseline = Baseline.load(built)
    found = Embeddings.of([driftline.Embedding("text", np.ones(64))], baseline)
    assert found.by_name["text"] is baseline.embeddings["text"]
