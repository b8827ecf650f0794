"""README.md is true: its code runs as it stands, its commands are there, its settings start a sidecar."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor

import driftline
from driftline import config
from driftline.cli import binaries, main

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = {
    kind: re.findall(rf"^```{kind}\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    for kind in ("sh", "python", "yaml")
}
LINES = [
    line.partition("#")[0].strip()
    for block in BLOCKS["sh"]
    for line in block.replace("\\\n", " ").splitlines()
    if line.partition("#")[0].strip()
]
COMMANDS = [line for line in LINES if line.startswith("driftline ")]
CODES = {"compare": {0, 1}, "check-config": {0, 1}, "report": {2}}  # there is no Prometheus here: it says so
RUNS_ON = "driftline sidecar --config driftline.yaml"  # the stack tests start it, on ports of their own


def rows(seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"amount": rng.normal(shift, 1, 3000), "y_hat": rng.normal(size=3000)})


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """What the commands read, by the names that they give it."""
    rows(1).to_parquet(tmp_path / "train.parquet")
    rows(2, 1.0).to_parquet(tmp_path / "production.parquet")
    (tmp_path / "baselines").mkdir()
    settings, _ = BLOCKS["yaml"]
    anywhere = (
        'listen: {grpc: "0.0.0.0:4327", http: "0.0.0.0:4328", metrics: "0.0.0.0:9477", insecure: true}\n'
    )
    (tmp_path / "driftline.yaml").write_text(settings + anywhere)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands(folder, capsys):
    """Each is run as it stands, in the order of the page, with what those before it made."""
    assert len(COMMANDS) >= 8
    for line in COMMANDS:
        if line == RUNS_ON:
            continue
        command, _, output = line.partition(" > ")
        command = command.replace("http://prometheus:9090", "http://127.0.0.1:1")
        arguments = shlex.split(command)[1:]
        code = main(arguments)
        out, err = capsys.readouterr()
        assert code in CODES.get(arguments[0], {0}), (line, out, err)
        assert (code == 2) == ("cannot be reached" in err), (line, err)
        if output:
            (folder / output).write_text(out)
    assert {path.name for path in folder.iterdir()} >= {"moved.html", "driftline-kubernetes.yaml"}
    assert [path.name for path in (folder / "baselines").iterdir()] == ["fraud@2.3.1.baseline.json"]


def test_other_commands():
    """What is not ours is of a few kinds; each target of make is there, and each extra."""
    ours = {line for line in LINES if line.startswith("driftline ")}
    targets = [line.split()[1] for line in LINES if line.startswith("make ")]
    others = {
        line
        for line in LINES
        if line not in ours and not line.startswith(("make ", "pip install ", "docker build ", "kubectl "))
    }
    assert not others
    makefile = (ROOT / "Makefile").read_text()
    assert targets
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        extra
        for group in re.findall(r"driftline\[([\w,]+)\]|'\.\[([\w,]+)\]", TEXT)
        for extra in group
        if extra
    }
    assert {"sidecar", "baseline", "auto", "report"} <= named <= extras.keys()


def test_settings(folder):
    """The shown settings are sound alone, on loopback, and mean what is said beside them."""
    settings, _ = BLOCKS["yaml"]
    read = config.parse(settings, folder=folder)
    assert (read.environment, read.models["fraud"].owner, read.models["fraud"].silence) == (
        "prod",
        "payments",
        900,
    )
    assert (read.listen.grpc, read.listen.http, read.listen.metrics) == (
        "127.0.0.1:4327", "127.0.0.1:4328", "127.0.0.1:9477",
    )  # fmt: skip


def test_two_tables_in_python(capsys):
    """The block for those who come from elsewhere runs as it stands, and finds what moved."""
    (block,) = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "docs/coming-from.md").read_text(), re.DOTALL | re.MULTILINE
    )
    train, production = (rows(seed, shift).assign(y=0) for seed, shift in ((1, 0.0), (2, 1.0)))
    exec(block, {"train": train, "production": production})  # noqa: S102 - it is ours
    said = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[0] for line in said] == ["amount drifted", "@prediction same"]


@pytest.mark.stack("promtool")  # noqa: PD013 - it is pytest's
def test_prometheus(tmp_path):
    """Prometheus takes the configuration, and finds the rules that it names."""
    _, prometheus = BLOCKS["yaml"]
    (tmp_path / "prometheus.yml").write_text(prometheus)
    (tmp_path / "alert-rules").symlink_to(ROOT / "alert-rules")
    done = subprocess.run(
        [binaries.need("promtool"), "check", "config", "prometheus.yml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("rules found") == len([*ROOT.glob("alert-rules/*ing/*.yml")])


def test_code(receiver, folder, monkeypatch):
    """Every block runs as it stands, and its calls arrive."""
    monkeypatch.setenv("DRIFTLINE_ENDPOINT", receiver.endpoint)
    given = DummyRegressor().fit([[0.0], [1.0]], [0.0, 1.0])
    namespace = {
        "model": given, "features": {"amount": 1.5}, "order_id": "a-17", "decide": max, "train": rows(1),
    }  # fmt: skip
    instrument, observe, build = BLOCKS["python"]
    exec(instrument, namespace)  # noqa: S102 - it is ours
    assert namespace["model"].predict([[1.0], [2.0]]).tolist() == [0.5, 0.5]
    exec("import driftline\n" + observe, namespace)  # noqa: S102 - it is ours
    namespace["decide"]({"amount": 2.5})
    assert driftline.flush(10)
    assert receiver.rows() == 4
    exec("import driftline\n" + build, namespace)  # noqa: S102 - it is ours
    assert [path.name for path in (folder / "baselines").iterdir()] == ["fraud@2.3.1.baseline.json"]
