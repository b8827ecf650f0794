"""Models of every framework that is installed here, in services without a word of driftline."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import driftline
from driftline.instrumentation.frameworks import FRAMEWORKS
from driftline.instrumentation.instrumentor import DriftlineInstrumentor
from driftline.instrumentation.models import reading_of
from frameworks.subjects import INSTALLED, ROWS, SUBJECTS, X, Y, same
from otlp_receiver import Receiver

ROOT = Path(__file__).parents[2]
OURS = {name: subject for name, subject in SUBJECTS.items() if subject.auto and "plain" not in name}
BY_CLASS = any(FRAMEWORKS[name].by_name for name in INSTALLED)
NAMED = {"DRIFTLINE_MODEL_NAME": "m", "DRIFTLINE_MODEL_VERSION": "1"}

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Your input ran out of data:UserWarning"),
]


def root(framework):
    module, _, name = FRAMEWORKS[framework].root.partition(":")
    return getattr(importlib.import_module(module), name)


def descendants(kind):
    return [kind, *(each for child in kind.__subclasses__() for each in descendants(child))]


@pytest.mark.parametrize("name", OURS)
def test_as_by_hand(name, receiver, zero_code):
    """Every model gives what it gives, and a call counts once and sends what it sends where it is instrumented."""
    subject = OURS[name]
    expected = subject.call(subject.make(), subject.features())
    models = {"DRIFTLINE_MODELS": "torch.nn.Module=m@1"} if BY_CLASS else NAMED
    zero_code(**models, DRIFTLINE_TASK=subject.given.get("task", ""))
    model = subject.make()
    assert driftline.flush()
    receiver.batches.clear()  # of the models that were called in making this one
    result = subject.call(model, subject.features())
    assert same(result, expected)
    assert driftline.flush()
    assert receiver.rows() == ROWS
    assert {(batch.model, batch.version, batch.task) for batch in receiver.batches} == {
        ("m", "1", subject.task)
    }
    if {"classes", "feature_names"} & subject.given.keys():
        return  # which only a developer can give
    sent = {column for batch in receiver.batches for column in batch.columns}
    assert sent == {"@latency", *subject.sent, *(subject.columns or ())}
    for column, value in subject.sent.items():
        if (wanted := value(result)) is not None:
            assert receiver.values(column) == np.asarray(wanted).reshape(-1).tolist()


@pytest.mark.parametrize("name", OURS)
def test_the_table_knows_the_methods(name):
    """The methods that are patched, before there is a model, are those that are read of one."""
    model = OURS[name].make()
    model = getattr(model, "__self__", model)
    framework = next(FRAMEWORKS[each] for each in INSTALLED if isinstance(model, root(each)))
    reading = reading_of(model)
    assert {*reading.serves} == {*framework.serves}
    assert {*reading.trains} == {*framework.trains}


def test_nothing_is_left(zero_code):
    """Uninstrumented, every class of every framework is what it was, and one that is made then is plain."""
    roots = [root(name) for name in INSTALLED]
    kinds = [kind for each in roots for kind in descendants(each)]
    before = [dict(vars(kind)) for kind in kinds]
    zero_code(
        DRIFTLINE_MODELS=", ".join(f"{FRAMEWORKS[name].root.replace(':', '.')}=m" for name in INSTALLED)
    )
    assert all(dict(vars(kind)) != was for kind, was in zip(kinds, before, strict=True) if kind in roots)
    DriftlineInstrumentor().uninstrument()
    assert [dict(vars(kind)) for kind in kinds] == before


def metric_of_xgboost(true, predicted):
    return float(np.abs(true - predicted).mean())


def metric_of_lightgbm(true, predicted):
    return "error", metric_of_xgboost(true, predicted), False


def boosted(package):
    """Return a regressor of *package* by its estimator, its Booster and what that is called with."""
    module = importlib.import_module(package)
    x = X.astype(np.float32)
    if package == "xgboost":
        model = module.XGBRegressor(n_estimators=3, early_stopping_rounds=2, eval_metric=metric_of_xgboost)
        model.fit(x, Y, eval_set=[(x, Y)], verbose=False)
        return model, model.get_booster(), module.DMatrix(x)
    model = module.LGBMRegressor(n_estimators=3, verbose=-1)
    model.fit(x, Y, eval_metric=metric_of_lightgbm)
    return model, model.booster_, x


@pytest.mark.parametrize("package", sorted({"xgboost", "lightgbm"} & {*INSTALLED}))
def test_an_estimator_and_its_booster(package, receiver, zero_code):
    """Named apart, a call of the estimator is no call of the Booster that it asks; nor is their training."""
    zero_code(DRIFTLINE_MODELS=f"BaseEstimator=estimator, {package}.Booster=booster")
    model, booster, rows = boosted(package)
    assert driftline.flush()
    assert receiver.rows() == 0
    model.predict(X)
    assert driftline.flush()
    assert (receiver.rows("estimator"), receiver.rows("booster")) == (ROWS, 0)
    booster.predict(rows)
    assert driftline.flush()
    assert (receiver.rows("estimator"), receiver.rows("booster")) == (ROWS, ROWS)


SERVICE = """
import sys
unwanted = {"sklearn", "xgboost", "lightgbm", "catboost", "onnxruntime", "torch", "keras"} & sys.modules.keys()
assert not unwanted, unwanted
import numpy as np
from frameworks.subjects import SUBJECTS

def flat(result):
    if isinstance(result, (list, tuple)):
        return b"".join(map(flat, result))
    if isinstance(result, dict):
        return flat(list(result.items()))
    return np.asarray(result.detach() if hasattr(result, "detach") else result).tobytes()

for name, subject in SUBJECTS.items():
    if not name.startswith("plain"):
        print(name, flat(subject.call(subject.make(), subject.features())).hex())
"""


def test_opentelemetry_instrument(tmp_path):
    """A service under ``opentelemetry-instrument`` answers to the bit what it answers without; each call counts once.

    A framework is not imported before the service imports it.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = (
        tmp_path / f"driftline-{project['version']}.dist-info"
    )  # as an installation of this folder leaves it
    installed.mkdir()
    (installed / "METADATA").write_text(f"Name: driftline\nVersion: {project['version']}\n")
    points = project["entry-points"]["opentelemetry_instrumentor"].items()
    lines = [f"{name} = {value}" for name, value in points]
    (installed / "entry_points.txt").write_text("\n".join(["[opentelemetry_instrumentor]", *lines]))
    said = []
    with Receiver() as receiver:
        for command in ([], [Path(sys.executable).with_name("opentelemetry-instrument")]):
            done = subprocess.run(
                [*command, sys.executable, "-W", "ignore", "-c", SERVICE],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests", tmp_path))),
                    "DRIFTLINE_ENDPOINT": receiver.endpoint,
                    "DRIFTLINE_FRAMEWORKS": " ".join(INSTALLED),
                    **({"DRIFTLINE_MODELS": "Sequential=m@1"} if BY_CLASS else NAMED),
                },
                capture_output=True, text=True, timeout=250, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            said.append(done.stdout)
        assert said[0] == said[1]
        assert said[0].count("\n") >= len(OURS)
    recorded = [name for name in OURS if not BY_CLASS or type(OURS[name].make()).__name__ == "Sequential"]
    assert receiver.rows("m") == ROWS * len(recorded) > 0
