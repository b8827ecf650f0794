"""Keras: what a model does besides predicting."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import driftline

ROWS = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def watched(model, receiver):
    return driftline.instrument(model, name="m", version="1", endpoint=receiver.endpoint)


def test_training_serves_nobody(receiver, model, recorded):
    """fit, evaluate and calls in training record nothing."""
    recorded(model)
    model.fit(ROWS, ROWS[:, 0], verbose=0)
    model.evaluate(ROWS, ROWS[:, 0], verbose=0)
    model.train_on_batch(ROWS, ROWS[:, 0])
    model.test_on_batch(ROWS, ROWS[:, 0])
    model(ROWS, training=True)
    model.predict(ROWS[:1], verbose=0)
    assert driftline.flush()
    assert receiver.rows() == 1


def test_graphs_are_drawn_of_the_plain_model(receiver, model, recorded):
    """In another model and in a tf.function an instrumented model is a layer as before, and nobody's call."""
    expected = model(ROWS).numpy()
    recorded(model)
    inputs = keras.Input((2,))
    outer = keras.Model(inputs, model(inputs))
    drawn = tf.function(model)
    assert np.array_equal(outer.predict(ROWS, verbose=0, batch_size=40), expected)
    assert np.allclose(drawn(tf.constant(ROWS)), expected)
    assert driftline.flush()
    assert receiver.rows() == 0


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_saved_and_loaded(receiver, model, tmp_path):
    """What Keras saves of an instrumented model is the plain one's."""
    expected = model.predict(ROWS, verbose=0)
    watched(model, receiver)
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is keras.Sequential
    assert np.array_equal(loaded.predict(ROWS, verbose=0), expected)
    assert type(keras.models.clone_model(model)) is keras.Sequential
    assert driftline.flush()
    assert receiver.rows() == 0


@pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning")
def test_a_data_set_is_the_model_s_to_consume(receiver, model):
    """Of a data set of batches the predictions count, not its batches, and it is run through once."""
    runs = []

    def rows():
        runs.append(True)
        yield from ROWS

    data = tf.data.Dataset.from_generator(rows, output_signature=tf.TensorSpec((2,))).batch(16)
    found = watched(model, receiver).predict(data, verbose=0)
    assert len(runs) == 1
    assert driftline.flush()
    assert receiver.values("@prediction") == found[:, 0].tolist()
