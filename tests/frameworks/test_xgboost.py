"""XGBoost: a DMatrix is read by its own functions, the rows that are kept and no others."""

from __future__ import annotations

import numpy as np
import pytest
import xgboost

import driftline
from driftline.instrumentation.frameworks.reading import Asked
from driftline.instrumentation.frameworks.xgboost import _features

ROWS = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)
ROWS[::3, 1] = np.nan
NAMES = ["amount", "age", "speed"]


@pytest.fixture(scope="module")
def booster():
    data = xgboost.DMatrix(ROWS, label=ROWS[:, 0], feature_names=NAMES)
    return xgboost.train({"max_depth": 2}, data, 2)


@pytest.mark.parametrize("kept", [None, np.array([0, 3, 49]), np.array([7])])
def test_kept_rows(booster, kept):
    """Of a DMatrix the kept rows are copied, absent values as missing, with its own names."""
    matrix = xgboost.DMatrix(ROWS, feature_names=NAMES)
    part = _features(Asked(booster, (matrix,), {}, None, None))
    assert (part.rows, part.row_bytes, part.names) == (50, 12, tuple(NAMES))
    part.own(kept)
    assert np.array_equal(part.values, ROWS if kept is None else ROWS[kept], equal_nan=True)


def test_a_large_matrix_is_sampled(receiver, booster):
    """A DMatrix larger than the buffer is never made dense whole: the share that is kept is, and said."""
    rows = np.tile(ROWS, (20_000, 1))  # 12 MB against a buffer of 8
    driftline.instrument(booster, name="m", version="1", endpoint=receiver.endpoint)
    expected = booster.predict(xgboost.DMatrix(rows, feature_names=NAMES))
    assert len(expected) == 1_000_000
    assert driftline.flush(60)
    last = receiver.batches[-1]
    assert last.rows_total == 1_000_000
    assert 1000 < receiver.rows() < 700_000
    assert last.sample_rate < 1
    driftline.uninstrument(booster)


def test_a_matrix_of_bins(receiver, booster):
    """A QuantileDMatrix holds bins and no values: what of it can be read is, and the call is the model's."""
    data = xgboost.QuantileDMatrix(ROWS, feature_names=NAMES)
    expected = booster.predict(data)
    driftline.instrument(booster, name="m", version="1", endpoint=receiver.endpoint)
    assert np.array_equal(booster.predict(data), expected)
    assert driftline.flush()
    assert receiver.rows() == 50
    assert receiver.values("@prediction") == expected.tolist()
    driftline.uninstrument(booster)


def test_saved_and_loaded(receiver, booster, tmp_path):
    """What XGBoost saves of an instrumented booster is the plain one's."""
    driftline.instrument(booster, name="m", version="1", endpoint=receiver.endpoint)
    booster.save_model(tmp_path / "model.json")
    data = xgboost.DMatrix(ROWS, feature_names=NAMES)
    loaded = xgboost.Booster(model_file=tmp_path / "model.json")
    assert np.array_equal(loaded.predict(data), booster.predict(data))
    driftline.uninstrument(booster)


def test_explanations_are_no_predictions(receiver, booster):
    """Contributions, leaves and interactions are not sent; their rows count."""
    driftline.instrument(booster, name="m", version="1", endpoint=receiver.endpoint)
    data = xgboost.DMatrix(ROWS, feature_names=NAMES)
    for what in ("pred_contribs", "pred_leaf", "pred_interactions"):
        booster.predict(data, **{what: True})
    assert driftline.flush()
    assert receiver.rows() == 150
    assert receiver.batches[0].columns.keys() == {*NAMES, "@latency"}
    driftline.uninstrument(booster)
