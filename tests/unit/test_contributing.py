"""CONTRIBUTING.md is true: its example is done as it says, and its floors are those that hold."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()


def insert(path, after, line):
    text = path.read_text()
    assert text.count(after) == 1
    path.write_text(text.replace(after, after + line))


def test_the_example_of_a_statistic_works(tmp_path):
    """A copy with the file and the lines that it shows passes the golden numbers, the laws and the doctest."""
    module, in_table, in_golden = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (name,) = re.findall(r"`src/driftline/statistics/(\w+)\.py`:", TEXT)
    for folder in ("src", "tests"):
        shutil.copytree(
            ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__", "data")
        )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    statistics = tmp_path / "src/driftline/statistics"
    (statistics / f"{name}.py").write_text(module)
    insert(statistics / "__init__.py", "ON_FOLD: dict[str, Statistic] = {\n", in_table)
    imported = "from driftline.statistics.psi import psi\n"
    insert(statistics / "__init__.py", imported, f"from driftline.statistics.{name} import {name}\n")
    insert(tmp_path / "tests/golden/make_golden.py", "\nSTATISTICS = {\n", in_golden)
    (commands,) = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    bin_ = Path(sys.executable).parent
    environment = os.environ | {
        "PYTHONPATH": str(tmp_path / "src"),
        "PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["/bin/sh", "-ec", commands],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = int(re.findall(r"(\d+) passed", done.stdout)[-1])
    assert passed >= 7, "the laws of the table, the golden numbers, the doctest"
    for tool in (["ruff", "check", "-q"], ["ruff", "format", "--check", "-q"]):
        subprocess.run([bin_ / tool[0], *tool[1:], statistics], cwd=tmp_path, check=True)


def test_the_floors_are_those_that_hold():
    """The drawing names every module of every floor, in the order that lint-imports holds."""
    drawn = re.findall(
        r"^ ?(\d+)? +(\w+)(?:/|\.py) ",
        TEXT[TEXT.index("src/driftline/\n") :].partition("```")[0],
        re.MULTILINE,
    )
    floors = []
    for number, module in drawn:
        if number:
            floors.append(set())
        floors[-1].add(module)
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    assert floors == [set(layer.split(" | ")) for layer in contract["layers"]]
    assert [int(number) for number, _ in drawn if number] == [*range(len(floors), 0, -1)]


def test_benchmarks_are_found():
    """What `make bench`, `make bench-quality` and `make soak` run is found, without an error in one of its scripts."""
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "tests/benchmarks", "tests/load"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert all(
        f"test_{name}.py" in done.stdout for name in ("costs", "detection", "recorder", "rules", "load")
    )
