"""docs/frameworks.md: what it says was tested is what is tested, and its examples run.

To renew it: DRIFTLINE_WRITE=1 with this test.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from driftline.instrumentation.frameworks import FRAMEWORKS
from frameworks.environments import ENVIRONMENTS
from frameworks.subjects import INSTALLED, REQUIRED
from otlp_receiver import Receiver

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "frameworks.md"
EXAMPLES = ROOT / "docs" / "examples" / "frameworks"
BEGIN, END = (
    "<!-- made from frameworks/, its tests and examples/frameworks/ -->",
    "<!-- end of frameworks -->",
)

SENT = {
    "functions": {"amount", "country", "@prediction"},
    "embeddings": {"text.norm", "text.distance", "@prediction"},
    "forecasts": {"@score.h1", "@score.h7", "stock", "@segment", "@prediction"},
    "sklearn": {"sepal length (cm)", "@prediction", "@score.setosa", "@score.virginica"},
    "xgboost": {"amount", "age", "@score"},
    "lightgbm": {"area", "age", "@prediction"},
    "catboost": {"plan", "seats", "@prediction", "@score"},
    "onnxruntime": {"amount", "age", "@prediction", "@score"},
    "torch": {"length", "exclamations", "@score.bad", "@score.fair", "@score.good"},
    "keras": {"price", "weekday", "@prediction"},
}
"""What the example of each framework sends, at least."""


def pins(framework):
    """Return what is installed for *framework* in each environment that has it."""
    return {
        name: frameworks[framework] for name, frameworks in ENVIRONMENTS.items() if framework in frameworks
    }


OTHERS = ("functions", "embeddings", "forecasts")


def section(framework):
    said = importlib.import_module(FRAMEWORKS[framework].read.__module__).__doc__.splitlines()[0]
    tested = " and with ".join(", ".join(each).replace("==", " ") for each in pins(framework).values())
    return f"### {framework}\n\n{said} Tested with {tested}.\n\n{example(framework)}"


def example(name):
    return f"```python\n{(EXAMPLES / f'{name}.py').read_text()}```"


def test_the_page_says_what_is_tested():
    """Every framework has its section, with the version that its tests run on and the example that they run."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    made = "\n\n".join(
        [*map(section, sorted(FRAMEWORKS)), *(f"### {name}\n\n{example(name)}" for name in OTHERS)]
    )
    wanted = f"{before}{BEGIN}\n\n{made}\n\n{END}{after}"
    if os.environ.get("DRIFTLINE_WRITE"):
        PAGE.write_text(wanted)
    assert PAGE.read_text() == wanted


def test_every_framework_has_an_example():
    """What is in the table of frameworks is on the page, and nothing else."""
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*FRAMEWORKS, *OTHERS} == SENT.keys()


@pytest.mark.skipif(
    "DRIFTLINE_ENVIRONMENT" not in os.environ, reason="the versions are those of make test-frameworks"
)
@pytest.mark.parametrize("framework", INSTALLED)
def test_the_versions_are_installed(framework):
    """The versions that the page says were tested are those that the tests run on."""
    for pin in pins(framework)[os.environ["DRIFTLINE_ENVIRONMENT"]]:
        name, _, wanted = pin.partition("==")
        assert version(name) == wanted


@pytest.mark.parametrize("name", [*(() if REQUIRED else OTHERS), *INSTALLED])
def test_examples(name):
    """The example runs as it stands, and what it says is sent arrives."""
    with Receiver() as receiver:
        done = subprocess.run(
            [sys.executable, EXAMPLES / f"{name}.py"],
            cwd="/",
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(ROOT / "src"),
                "PYTHONSAFEPATH": "1",  # the example is called like the framework that it imports
                "DRIFTLINE_ENDPOINT": receiver.endpoint,
            },
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert receiver.rows() >= 2
        assert {column for batch in receiver.batches for column in batch.columns} >= SENT[name]
    assert len(re.findall(r"\S\n", (EXAMPLES / f"{name}.py").read_text())) <= 14


@pytest.mark.parametrize("framework", INSTALLED)
def test_no_framework_is_imported(framework):
    """A framework is known without being imported."""
    code = "import driftline, sys; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert framework not in done.stdout.split()
