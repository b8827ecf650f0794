"""Embeddings: vectors are watched by their length and their distance to the centroid of the training data."""

from __future__ import annotations

import numpy as np
import pytest

import driftline
from driftline.compare import compare
from driftline.errors import ConfigurationError

RNG = np.random.default_rng(0)
TRAIN = RNG.normal(size=(3000, 64)).astype(np.float32)
EMBEDDING = driftline.Embedding.of("text", TRAIN)


def distances(vectors):
    return np.linalg.norm(np.asarray(vectors, float) - TRAIN.mean(axis=0, dtype=float), axis=1)


def test_numbers():
    """Norm and distance are Euclid's, of every row, the same in pieces as whole."""
    columns = EMBEDDING.columns(TRAIN)
    assert columns.keys() == {"text.norm", "text.distance"}
    assert np.allclose(columns["text.norm"], np.linalg.norm(TRAIN.astype(float), axis=1))
    assert np.allclose(columns["text.distance"], distances(TRAIN))
    one = [EMBEDDING.columns(TRAIN[[at]])["text.distance"][0] for at in (0, 1023, 1024, 2999)]
    assert one == columns["text.distance"][[0, 1023, 1024, 2999]].tolist()


def test_vectors_are_measured_and_not_sent(receiver):
    """Of a model of vectors two features are sent, whatever the dimensions, and the model gets its vectors."""
    seen = []
    model = driftline.instrument(
        lambda x: seen.append(x) or x[:, 0],
        name="m", version="1", endpoint=receiver.endpoint, embedding=EMBEDDING,
    )  # fmt: skip
    vectors = TRAIN[:5].copy()
    model(vectors)
    assert seen[0] is vectors
    assert driftline.flush()
    assert receiver.batches[0].columns.keys() == {"text.norm", "text.distance", "@prediction", "@latency"}
    assert receiver.values("text.distance") == EMBEDDING.columns(vectors)["text.distance"].tolist()


def test_vectors_beside_features(receiver):
    """A column of vectors under the embedding's name is measured; the others are features as ever."""
    model = driftline.instrument(
        lambda x: x["age"], name="m", version="1", endpoint=receiver.endpoint, embedding=EMBEDDING
    )
    model({"age": np.array([1.0, 2.0]), "text": TRAIN[:2]})
    assert driftline.flush()
    assert receiver.values("age") == [1.0, 2.0]
    assert receiver.values("text.norm") == EMBEDDING.columns(TRAIN[:2])["text.norm"].tolist()


def test_features_may_be_denied(receiver):
    """What may not leave the process is not sent, of an embedding too."""
    model = driftline.instrument(
        len, name="m", version="1", endpoint=receiver.endpoint, embedding=EMBEDDING, ignore=["text.norm"]
    )
    model(TRAIN[:2])
    assert driftline.flush()
    assert "text.norm" not in receiver.batches[0].columns
    assert receiver.values("text.distance") == EMBEDDING.columns(TRAIN[:2])["text.distance"].tolist()


def test_a_shift_is_seen():
    """Vectors from elsewhere move the distance, those from the same place do not."""
    baseline = driftline.Baseline.build(EMBEDDING.columns(TRAIN), model="m", version="1")
    for shift, moved in ((0.0, False), (0.3, True)):
        vectors = RNG.normal(shift, 1.0, size=(3000, 64)).astype(np.float32)
        verdicts = compare(baseline, EMBEDDING.columns(vectors)).verdicts
        assert {one.feature: one.drifted for one in verdicts}["text.distance"] is moved


@pytest.mark.parametrize("vectors", [np.ones((2, 3)), np.ones(64)])
def test_vectors_of_another_width(receiver, vectors, caplog):
    """Vectors that do not fit are not sent, with a word why; the model is called as ever."""
    with pytest.raises(ConfigurationError, match="64 dimensions; pass a row a vector"):
        EMBEDDING.columns(vectors)
    model = driftline.instrument(
        lambda x: x[:1], name="m", version="1", endpoint=receiver.endpoint, embedding=EMBEDDING
    )
    assert np.array_equal(model(vectors), vectors[:1])


@pytest.mark.parametrize("centroid", [np.ones((2, 2)), [], [np.nan], 3.0])
def test_no_centroid(centroid):
    """A centroid that is none is said so."""
    with pytest.raises(ConfigurationError, match="'text': a centroid is one vector of finite numbers"):
        driftline.Embedding("text", centroid)
