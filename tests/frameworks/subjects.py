"""Models of every framework: how each is made and called, and what a call of it must send.

A subject is one line in SUBJECTS. Which of them can run depends on what is installed: ``make
test-frameworks`` runs each in an environment that has its framework.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

REQUIRED = os.environ.get("DRIFTLINE_FRAMEWORKS", "").split()
"""The modules of the frameworks to test, which must be there; without any, those are tested that are."""

ROWS = 64
X = np.random.default_rng(0).normal(size=(ROWS, 4))
Y = (X[:, 0] + X[:, 1] > 0).astype(int)
Y3 = np.digitize(X[:, 0], [-0.5, 0.5])
NAMES = ("amount", "age", "speed", "ram")


@dataclass
class Subject:
    """A model of a framework.

    Attributes:
        make: Returns the plain model, ready to be called; a second one gives the same outputs.
        call: Calls it.
        features: Returns what it is called with, made anew.
        sent: What the call must send: a value a row for each column, given what the call returned.
        bad: Features that the model itself refuses.
        given: What ``instrument`` is told.
        columns: The features' names on the wire; None where the features are not sent.
        task: What the wire says of it.
        auto: Whether it is recorded without a line of code, too.
    """

    make: Callable[[], Any]
    call: Callable[[Any, Any], Any]
    sent: dict[str, Callable[[Any], Any]]
    features: Callable[[], Any] = X.copy
    bad: Any = field(default_factory=lambda: X[:, :2])
    given: dict[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] | None = ("x0", "x1", "x2", "x3")
    task: str | None = None
    auto: bool = True


def same(one, other):
    """Tell whether two results are equal to the bit, in value and type."""
    if type(one) is not type(other):
        return False
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "equals"):
        return one.equals(other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if hasattr(one, "detach"):
        one, other = one.detach(), other.detach()
    if hasattr(one, "__array__"):
        one, other = np.asarray(one), np.asarray(other)
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    return one == other


def predict(model, x):
    return model.predict(x)


def predict_proba(model, x):
    return model.predict_proba(x)


def called(model, x):
    return model(x)


PREDICTION = {"@prediction": lambda result: result}
SCORE = {"@score": lambda result: result}
BINARY = {"@score": lambda result: result[:, 1]}
BY_CLASS = {f"@score.{at}": (lambda result, at=at: result[:, at]) for at in range(3)}


# --- plain Python ---------------------------------------------------------------------------------


def decide(features):
    if isinstance(features, str):
        raise ValueError(features)  # noqa: TRY004 - it is the model's own
    return features[:, 0] * 2


def decide_each(rows):
    return [float(row[0] * 2) for row in rows]


async def decide_later(features):
    await asyncio.sleep(0)
    return decide(features)


def decide_in_batches(batches):
    for batch in batches:
        yield decide(batch)


async def decide_in_batches_later(batches):
    async for batch in batches:
        await asyncio.sleep(0)
        yield decide(batch)


def decide_in_pieces(features):
    for at in range(0, len(features), 10):
        yield decide(features[at : at + 10])


class Model:
    weight = 2.0

    def __call__(self, features):
        return decide(features)

    def answer(self, features):
        return decide(features)

    async def predict(self, features):
        return await decide_later(features)

    def __eq__(self, other):
        return type(other) is type(self)

    __hash__ = None


class Slotted:
    __slots__ = ("weight",)

    def __init__(self):
        self.weight = 2.0

    def predict(self, features):
        return decide(features)


class Called:
    def __call__(self, features):
        return decide(features)


class Copying(Called):
    def __copy__(self):
        return type(self)()

    def __deepcopy__(self, memo):
        return type(self)()


def halves(features):
    return features if isinstance(features, str) else iter((features[:40], features[40:]))


def iterated(model, features):
    return np.concatenate(list(model(halves(features))))


def iterated_whole(model, features):
    return np.concatenate(list(model(features)))


def iterated_later(model, features):
    async def batches():
        for half in halves(features):
            yield half

    async def main():
        return np.concatenate([part async for part in model(batches())])

    return asyncio.run(main())


def awaited(model, features):
    return asyncio.run(model(features))


def awaited_predict(model, features):
    return asyncio.run(model.predict(features))


def plain(make, call, **more):
    more.setdefault("bad", "nonsense")
    return Subject(make, call, PREDICTION, **more)


PLAIN = {
    "function": plain(lambda: decide, called),
    "function of an iterator": plain(lambda: decide_each, lambda model, x: model(iter(x)), columns=None),
    "lambda": plain(lambda: lambda features: decide(features), called),  # noqa: PLW0108 - it is to be one
    "coroutine": plain(lambda: decide_later, awaited),
    "generator of batches": plain(lambda: decide_in_batches, iterated),
    "async generator of batches": plain(lambda: decide_in_batches_later, iterated_later),
    "generator of pieces": plain(lambda: decide_in_pieces, iterated_whole),
    "object that is called": plain(Called, called),
    "object that copies itself": plain(Copying, called),
    "object that is awaited": plain(Model, awaited_predict),
    "bound method": plain(lambda: Model().answer, called),
    "partial": plain(lambda: functools.partial(decide), called),
    "slots": plain(Slotted, predict),
    "builtin": Subject(
        lambda: len,
        called,
        {},
        features=lambda: [{"a": 1.0, "b": "x"}] * 3,
        bad=3,
        columns=("a", "b"),
    ),
    "method in C": plain(
        lambda: np.ones(4).dot, lambda model, x: model(x.T), features=X[:4].copy, bad=X[:3, :3]
    ),
}


# --- scikit-learn ---------------------------------------------------------------------------------


def logistic(target=Y):
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit(X, target)


def linear(target=X[:, 0]):
    from sklearn.linear_model import LinearRegression

    return LinearRegression().fit(X, target)


def pipeline():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression()).fit(X, Y)


def search():
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GridSearchCV

    forest = RandomForestClassifier(n_estimators=2, random_state=0)
    return GridSearchCV(forest, {"max_depth": [1, 2]}, cv=2).fit(X, Y)


def gaussian():
    from sklearn.gaussian_process import GaussianProcessRegressor

    return GaussianProcessRegressor().fit(X, X[:, 0])


def isolation():
    from sklearn.ensemble import IsolationForest

    return IsolationForest(n_estimators=5, random_state=0).fit(X)


def tree():
    from sklearn.tree import DecisionTreeRegressor

    return DecisionTreeRegressor(max_depth=3, random_state=0).fit(X, X[:, 0]).tree_


def frame():
    import pandas as pd

    return pd.DataFrame(X, columns=list(NAMES))


def named_pipeline():
    return pipeline().fit(frame(), Y)


SKLEARN = {
    "LogisticRegression": Subject(logistic, predict, PREDICTION, task="classification"),
    "LogisticRegression.predict_proba": Subject(logistic, predict_proba, BINARY, task="classification"),
    "LogisticRegression.predict_log_proba": Subject(
        logistic,
        lambda model, x: model.predict_log_proba(x),
        {"@score": lambda _: None},
        task="classification",
    ),
    "LogisticRegression.decision_function": Subject(
        logistic, lambda model, x: model.decision_function(x), SCORE, task="classification"
    ),
    "LogisticRegression of three": Subject(
        lambda: logistic(Y3), predict_proba, BY_CLASS, task="classification"
    ),
    "LinearRegression": Subject(linear, predict, PREDICTION, task="regression"),
    "LinearRegression of two steps": Subject(
        lambda: linear(np.stack([X[:, 0], X[:, 1]], 1)),
        predict,
        {"@score.h1": lambda result: result[:, 0], "@score.h7": lambda result: result[:, 1]},
        given={"task": "forecasting", "classes": ["h1", "h7"]},
        task="forecasting",
    ),
    "Pipeline": Subject(pipeline, predict, PREDICTION, task="classification"),
    "Pipeline of a frame": Subject(
        named_pipeline, predict_proba, BINARY, features=frame, columns=NAMES, task="classification"
    ),
    "GridSearchCV": Subject(search, predict, PREDICTION, task="classification"),
    "GaussianProcessRegressor with deviations": Subject(
        gaussian,
        lambda model, x: model.predict(x, return_std=True),
        {"@prediction": lambda result: result[0]},
        task="regression",
    ),
    "IsolationForest": Subject(isolation, predict, PREDICTION),
    "IsolationForest.score_samples": Subject(isolation, lambda model, x: model.score_samples(x), SCORE),
    "method of an estimator": Subject(
        lambda: logistic().predict_proba, called, BINARY, task="classification"
    ),
    "Tree, written in C": Subject(
        tree, predict, PREDICTION, features=lambda: X.astype(np.float32), auto=False
    ),
}


# --- boosters -------------------------------------------------------------------------------------


def xgb_matrix():
    import xgboost as xgb

    return xgb.DMatrix(X, feature_names=list(NAMES))


def xgb_booster(objective="binary:logistic", target=Y, **parameters):
    import xgboost as xgb

    data = xgb.DMatrix(X, label=target, feature_names=list(NAMES))
    return xgb.train({"objective": objective, "max_depth": 2, **parameters}, data, 3)


def xgb_estimator(kind="XGBClassifier", target=Y, **parameters):
    import xgboost as xgb

    return getattr(xgb, kind)(n_estimators=3, max_depth=2, **parameters).fit(X, target)


def xgb_ranker():
    import xgboost as xgb

    return xgb.XGBRanker(n_estimators=3).fit(X, Y, qid=np.repeat([0, 1], ROWS // 2))


def on_matrix(make, call, sent, **more):
    return Subject(make, call, sent, features=xgb_matrix, columns=NAMES, **more)


XGBOOST = {
    "XGBClassifier": Subject(xgb_estimator, predict, PREDICTION, task="classification"),
    "XGBClassifier.predict_proba": Subject(xgb_estimator, predict_proba, BINARY, task="classification"),
    "XGBRegressor": Subject(
        lambda: xgb_estimator("XGBRegressor", X[:, 0]), predict, PREDICTION, task="regression"
    ),
    "XGBRanker": Subject(xgb_ranker, predict, PREDICTION, task="ranking"),
    "Booster": on_matrix(xgb_booster, predict, SCORE, task="classification"),
    "Booster of three": on_matrix(
        lambda: xgb_booster("multi:softprob", Y3, num_class=3), predict, BY_CLASS, task="classification"
    ),
    "Booster that decides": on_matrix(
        lambda: xgb_booster("multi:softmax", Y3, num_class=3), predict, PREDICTION, task="classification"
    ),
    "Booster of numbers": on_matrix(
        lambda: xgb_booster("reg:squarederror", X[:, 0]), predict, PREDICTION, task="regression"
    ),
    "Booster in place": Subject(
        xgb_booster,
        lambda model, x: model.inplace_predict(x, validate_features=False),
        SCORE,
        columns=NAMES,
        task="classification",
    ),
    "Booster's leaves": on_matrix(
        xgb_booster, lambda model, x: model.predict(x, pred_leaf=True), {}, task="classification"
    ),
}


lightgbm = functools.partial(Subject, bad="nonsense")


def lgb_booster(objective="binary", target=Y, **parameters):
    import lightgbm as lgb

    settings = {"objective": objective, "verbose": -1, "min_data_in_leaf": 2, "num_threads": 1, **parameters}
    return lgb.train(settings, lgb.Dataset(X, label=target, feature_name=list(NAMES)), 3)


def lgb_loaded():
    import lightgbm as lgb

    return lgb.Booster(model_str=lgb_booster().model_to_string())


def lgb_estimator(kind="LGBMClassifier", target=Y, **fitting):
    import lightgbm as lgb

    model = getattr(lgb, kind)(n_estimators=3, min_child_samples=2, verbose=-1, n_jobs=1)
    return model.fit(X, target, **fitting)


LIGHTGBM = {
    "LGBMClassifier": lightgbm(lgb_estimator, predict, PREDICTION, task="classification"),
    "LGBMClassifier.predict_proba": lightgbm(
        lambda: lgb_estimator(target=Y3), predict_proba, BY_CLASS, task="classification"
    ),
    "LGBMRegressor": lightgbm(
        lambda: lgb_estimator("LGBMRegressor", X[:, 0]), predict, PREDICTION, task="regression"
    ),
    "LGBMRanker": lightgbm(
        lambda: lgb_estimator("LGBMRanker", group=[ROWS // 2] * 2), predict, PREDICTION, task="ranking"
    ),
    "Booster": lightgbm(lgb_booster, predict, SCORE, columns=NAMES, task="classification"),
    "Booster from text": lightgbm(lgb_loaded, predict, SCORE, columns=NAMES, task="classification"),
    "Booster of three": lightgbm(
        lambda: lgb_booster("multiclass", Y3, num_class=3),
        predict,
        BY_CLASS,
        columns=NAMES,
        task="classification",
    ),
    "Booster of numbers": lightgbm(
        lambda: lgb_booster("regression", X[:, 0]), predict, PREDICTION, columns=NAMES, task="regression"
    ),
    "Booster's leaves": lightgbm(
        lgb_booster,
        lambda model, x: model.predict(x, pred_leaf=True),
        {},
        columns=NAMES,
        task="classification",
    ),
}


catboost = functools.partial(Subject, bad="nonsense")


def cat_estimator(kind="CatBoostClassifier", target=Y, **fitting):
    import catboost as cb

    model = getattr(cb, kind)(iterations=3, depth=2, verbose=0, allow_writing_files=False, thread_count=1)
    return model.fit(X, target, **fitting)


def cat_pool():
    import catboost as cb

    return cb.Pool(X, feature_names=list(NAMES))


CATBOOST = {
    "CatBoostClassifier": catboost(cat_estimator, predict, PREDICTION, task="classification"),
    "CatBoostClassifier's probabilities": catboost(
        cat_estimator,
        lambda model, x: model.predict(x, prediction_type="Probability"),
        BINARY,
        task="classification",
    ),
    "CatBoostClassifier of three": catboost(
        lambda: cat_estimator(target=Y3), predict_proba, BY_CLASS, task="classification"
    ),
    "CatBoostRegressor": catboost(
        lambda: cat_estimator("CatBoostRegressor", X[:, 0]), predict, PREDICTION, task="regression"
    ),
    "CatBoostRegressor on a Pool": catboost(
        lambda: cat_estimator("CatBoostRegressor", X[:, 0]),
        predict,
        PREDICTION,
        features=cat_pool,
        columns=NAMES,
        task="regression",
    ),
    "CatBoostRanker": catboost(
        lambda: cat_estimator("CatBoostRanker", group_id=np.repeat([0, 1], ROWS // 2)),
        predict,
        PREDICTION,
        task="ranking",
    ),
}


# --- ONNX Runtime ---------------------------------------------------------------------------------


onnxruntime = functools.partial(Subject, features=lambda: X.astype(np.float32))


@functools.cache
def onnx_bytes(kind, **options):
    from skl2onnx import to_onnx

    target = {"regressor": X[:, 0], "classifier": Y, "three": Y3}[kind]
    model = linear() if kind == "regressor" else logistic(target)
    return to_onnx(model, X[:1].astype(np.float32), options=options or None).SerializeToString()


def session(kind, **options):
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    return ort.InferenceSession(onnx_bytes(kind, **options), settings, providers=["CPUExecutionProvider"])


def columnar_session():
    """Return a session that takes each feature by its own name."""
    import onnxruntime as ort
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType

    inputs = [(name, FloatTensorType([None, 1])) for name in NAMES]
    from sklearn.compose import make_column_transformer
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(make_column_transformer(("passthrough", list(NAMES))), linear())
    model.fit(frame(), X[:, 0])
    written = to_onnx(model, initial_types=inputs).SerializeToString()
    return ort.InferenceSession(written, providers=["CPUExecutionProvider"])


def run(model, x):
    return model.run(None, {"X": x})


LABELS_AND_SCORES = {"@prediction": lambda result: result[0], "@score": lambda result: result[1][:, 1]}

ONNXRUNTIME = {
    "session of a regressor": onnxruntime(
        lambda: session("regressor"), run, {"@prediction": lambda r: r[0][:, 0]}
    ),
    "session of a classifier": onnxruntime(
        lambda: session("classifier", zipmap=False), run, LABELS_AND_SCORES, task="classification"
    ),
    "session with dictionaries": onnxruntime(
        lambda: session("three"),
        run,
        {
            "@prediction": lambda result: result[0],
            **{f"@score.{at}": (lambda r, at=at: [row[at] for row in r[1]]) for at in range(3)},
        },
        task="classification",
    ),
    "session of columns": onnxruntime(
        columnar_session,
        lambda model, x: model.run(None, x),
        {"@prediction": lambda result: result[0][:, 0]},
        features=lambda: {name: X[:, [at]].astype(np.float32) for at, name in enumerate(NAMES)},
        columns=NAMES,
    ),
    "session given names": onnxruntime(
        lambda: session("regressor"),
        run,
        {"@prediction": lambda result: result[0][:, 0]},
        given={"feature_names": NAMES, "task": "regression"},
        columns=NAMES,
        task="regression",
    ),
}


# --- PyTorch --------------------------------------------------------------------------------------


def tensor():
    import torch

    return torch.tensor(X, dtype=torch.float32)


torch = functools.partial(Subject, features=tensor)


def module(outputs=1):
    import torch

    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, outputs)).eval()


def scripted():
    import torch

    return torch.jit.script(module())


def traced():
    import torch

    return torch.jit.trace(module(), tensor(), check_trace=False)  # the check calls the module


def compiled():
    import torch

    return torch.compile(module(), backend="eager")


def one(result):
    return result.detach().numpy()[:, 0]


TORCH = {
    "Sequential": torch(module, called, {"@prediction": one}),
    "Sequential that classifies": torch(
        module, called, {"@score": one}, given={"task": "classification"}, task="classification"
    ),
    "Sequential of three": torch(
        lambda: module(3),
        called,
        {f"@score.{name}": (lambda r, at=at: r.detach().numpy()[:, at]) for at, name in enumerate("abc")},
        given={"classes": ["a", "b", "c"], "feature_names": NAMES},
        columns=NAMES,
    ),
    "forecast of two steps": torch(
        lambda: module(2),
        called,
        {
            f"@score.{name}": (lambda r, at=at: r.detach().numpy()[:, at])
            for at, name in enumerate(("h1", "h2"))
        },
        given={"classes": ["h1", "h2"], "task": "forecasting"},
        task="forecasting",
    ),
    "scripted": torch(scripted, called, {"@prediction": one}),
    "traced": torch(traced, called, {"@prediction": one}),
    "compiled": torch(compiled, called, {"@prediction": one}),
}


# --- Keras ----------------------------------------------------------------------------------------


keras = functools.partial(Subject, features=lambda: X.astype(np.float32))


def network(outputs=1):
    import keras

    keras.utils.set_random_seed(0)
    layers = [keras.layers.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(outputs)]
    return keras.Sequential(layers)


def functional():
    import keras

    keras.utils.set_random_seed(0)
    inputs = {name: keras.Input((1,), name=name) for name in NAMES}
    joined = keras.layers.Concatenate()(list(inputs.values()))
    return keras.Model(inputs, keras.layers.Dense(1)(joined))


def quietly(model, x):
    return model.predict(x, verbose=0)


def batched(model, x):
    return model.predict(((batch,) for batch in (x[:40], x[40:])), verbose=0)


KERAS = {
    "Sequential.predict": keras(network, quietly, {"@prediction": lambda r: r[:, 0]}),
    "Sequential called": keras(network, called, {"@prediction": lambda r: np.asarray(r)[:, 0]}),
    "Sequential.predict_on_batch": keras(
        network, lambda model, x: model.predict_on_batch(x), {"@prediction": lambda r: r[:, 0]}
    ),
    "Sequential of three": keras(
        lambda: network(3),
        quietly,
        {f"@score.{name}": (lambda r, at=at: r[:, at]) for at, name in enumerate("abc")},
        given={"classes": ["a", "b", "c"], "task": "classification"},
        task="classification",
    ),
    "functional of columns": keras(
        functional,
        quietly,
        {"@prediction": lambda r: r[:, 0]},
        features=lambda: {name: X[:, [at]].astype(np.float32) for at, name in enumerate(NAMES)},
        columns=NAMES,
    ),
    "Sequential of a generator": keras(network, batched, {"@prediction": lambda r: r[:, 0]}, columns=None),
}

GROUPS = {
    "sklearn": SKLEARN,
    "xgboost": XGBOOST,
    "lightgbm": LIGHTGBM,
    "catboost": CATBOOST,
    "onnxruntime": ONNXRUNTIME,
    "torch": TORCH,
    "keras": KERAS,
}
INSTALLED = REQUIRED or [name for name in GROUPS if importlib.util.find_spec(name)]
SUBJECTS = {
    f"{kind}: {name}": subject
    for kind, group in [("plain", {} if REQUIRED else PLAIN), *((name, GROUPS[name]) for name in INSTALLED)]
    for name, subject in group.items()
}
