"""Sparse rows that would fill the memory if they were dense, for every framework here that takes them."""

from __future__ import annotations

import importlib
import tracemalloc

import numpy as np
import pytest

import driftline
from frameworks.subjects import INSTALLED, predict, predict_proba, same

sparse = pytest.importorskip("scipy.sparse")

ROWS, WIDTH = 20_000, 1000
WIDE = sparse.csr_matrix(sparse.random(ROWS, WIDTH, 1e-3, random_state=0, dtype="float32"))  # as all take it
FEW = WIDE[:300]
YES = np.asarray(FEW.sum(axis=1)).ravel() > 0.5


def estimator(module, name, **settings):
    return getattr(importlib.import_module(module), name)(**settings).fit(FEW, YES)


def xgb_booster():
    return estimator("xgboost", "XGBClassifier", n_estimators=2).get_booster()


def matrix():
    return importlib.import_module("xgboost").DMatrix(WIDE)


MODELS = {
    "sklearn: LogisticRegression": (
        lambda: estimator("sklearn.linear_model", "LogisticRegression"), predict_proba, lambda: WIDE
    ),
    "xgboost: XGBClassifier": (
        lambda: estimator("xgboost", "XGBClassifier", n_estimators=2), predict_proba, lambda: WIDE
    ),
    "xgboost: Booster": (xgb_booster, predict, matrix),
    "xgboost: Booster in place": (xgb_booster, lambda model, x: model.inplace_predict(x), lambda: WIDE),
    "catboost: CatBoostClassifier on a Pool": (
        lambda: estimator("catboost", "CatBoostClassifier", iterations=2, verbose=0, allow_writing_files=False),
        predict_proba,
        lambda: importlib.import_module("catboost").Pool(WIDE),
    ),
    "lightgbm: Booster": (
        lambda: estimator("lightgbm", "LGBMClassifier", n_estimators=2, verbose=-1).booster_, predict, lambda: WIDE
    ),
    "catboost: CatBoostClassifier": (
        lambda: estimator("catboost", "CatBoostClassifier", iterations=2, verbose=0, allow_writing_files=False),
        predict_proba,
        lambda: WIDE,
    ),
}  # fmt: skip


def peak(call, model, features):
    """Return what a call returns, and how many bytes of Python's and numpy's were held in it at the most."""
    tracemalloc.start()
    try:
        return call(model, features), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("allowed", [None, ["x7"]], ids=["all columns", "one column"])
@pytest.mark.parametrize("name", [name for name in MODELS if name.partition(":")[0] in INSTALLED])
def test_what_is_sparse_stays_sparse(name, allowed, receiver):
    """Whole, the rows were 80 MB: recording them takes the buffer's 8 and little more, and outputs are as before."""
    make, call, features = MODELS[name]
    model, rows = make(), features()
    expected, plain = peak(call, model, rows)
    receiver.gate.clear()  # what is sent is no part of the call
    model = driftline.instrument(model, name="m", version="1", endpoint=receiver.endpoint, allow=allowed)
    found, recorded = peak(call, model, rows)
    assert same(found, expected)
    assert recorded - plain < 24e6 < ROWS * WIDTH * 4 / 3
    assert receiver.asked.wait(20)
    driftline.shutdown(0)  # the rest need not arrive
