"""Services without a word of driftline, under ``opentelemetry-instrument``; and those without OpenTelemetry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from otlp_receiver import Receiver
from standin import Answer, Standin

SERVICE = """
import numpy as np, pickle, sys
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rng = np.random.default_rng(0)
x = rng.normal(size=(300, 2))
y = np.where(x[:, 0] > 0, "yes", "no")
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
model.score(x, y)
outliers = IsolationForest(random_state=0).fit(x)

class Own(ClassifierMixin, BaseEstimator):
    def predict(self, x):
        return np.zeros(len(x))

print(*model.predict(x[:20]), model.predict_proba(x[:5]).shape, *outliers.predict(x[:3]), Own().predict(x[:2]))
again = pickle.loads(pickle.dumps(model))
print(type(again).__name__, again.predict(x[:1]))
"""
INSTRUMENT = str(Path(sys.executable).with_name("opentelemetry-instrument"))


def run(endpoint, *command, **environ):
    """Run the service; return what it printed."""
    otel = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    done = subprocess.run(
        [*command, sys.executable, "-c", SERVICE],
        env={**os.environ, **otel, "DRIFTLINE_ENDPOINT": endpoint, **environ},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout, done.stderr


@pytest.fixture(scope="module")
def plainly():
    return run("http://127.0.0.1:9")[0]


def test_every_estimator_of_a_service(plainly):
    """Under one name all its estimators are recorded: each call once, training not at all, results as without."""
    with Receiver() as receiver:
        said, _ = run(
            receiver.endpoint, INSTRUMENT, DRIFTLINE_MODEL_NAME="fraud", DRIFTLINE_MODEL_VERSION="2.3.1",
            DRIFTLINE_TASK="classification", DRIFTLINE_DENY="x1",
        )  # fmt: skip
        assert said == plainly
        assert receiver.rows("fraud") == 20 + 5 + 3 + 2 + 1
        assert {batch.version for batch in receiver.batches} == {"2.3.1"}
        assert {batch.task for batch in receiver.batches} == {"classification"}
        columns = {name for batch in receiver.batches for name in batch.columns}
        assert columns == {"x0", "@prediction", "@score", "@latency"}


def test_named_estimators_of_a_service(plainly):
    """Several models of one service are told apart by their classes; what is not named is not recorded."""
    with Receiver() as receiver:
        said, _ = run(
            receiver.endpoint, INSTRUMENT, DRIFTLINE_MODELS="Pipeline=fraud@2.3.1, IsolationForest=outliers"
        )
        assert said == plainly
        assert {(batch.model, batch.version) for batch in receiver.batches} == {
            ("fraud", "2.3.1"), ("outliers", "unversioned"),
        }  # fmt: skip
        assert (receiver.rows("fraud"), receiver.rows("outliers")) == (26, 3)


def test_without_a_name(plainly):
    """Where no model is named, none is recorded, and the log says what to set."""
    with Receiver() as receiver:
        said, warned = run(receiver.endpoint, INSTRUMENT)
        assert (said, receiver.rows()) == (plainly, 0)
    assert "set DRIFTLINE_MODEL_NAME and DRIFTLINE_MODEL_VERSION" in warned


def test_configure():
    """A service without OpenTelemetry sends spans and durations after one call, and both know its name."""
    paths = {}

    class Collector(Answer):
        def answer(self):
            paths.setdefault(self.path, b"")
            paths[self.path] += self.body()
            self.say(200)

    code = (
        "import driftline; driftline.configure('checkout'); driftline.configure('another')\n"
        "driftline.instrument(len, name='fraud', version='1')([1.0])"
    )
    with Standin(Collector) as server, Receiver() as receiver:
        subprocess.run(
            [sys.executable, "-c", code], check=True, timeout=60,
            env={
                **os.environ,
                "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
                "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
                "DRIFTLINE_ENDPOINT": receiver.endpoint,
            },
        )  # fmt: skip
        assert receiver.batches[0].resource["service.name"] == "checkout"
    assert paths.keys() == {"/v1/traces", "/v1/metrics"}
    assert b"predict fraud" in paths["/v1/traces"]
    assert b"driftline.prediction.duration" in paths["/v1/metrics"]
    assert all(b"checkout" in body and b"another" not in body for body in paths.values())
