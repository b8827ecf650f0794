"""What ``import driftline`` costs a service."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

HEAVY = ("scipy", "pandas", "sklearn", "grpc", "prometheus_client", "pydantic", "opentelemetry.sdk")
LATER = (
    "opentelemetry.proto",
    "google.protobuf",
    "http.client",
    "ssl",
    "driftline.wire",
    "driftline.baseline",
)


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_nothing_heavy():
    """Importing driftline loads none of the sidecar's and the data scientist's libraries."""
    assert not loaded_after("import driftline") & set(HEAVY)


def test_wire_and_network_later():
    """What only the sender needs is loaded on its own thread, with the first row."""
    before = loaded_after("import opentelemetry.trace, opentelemetry.metrics, numpy")
    assert not (loaded_after("import driftline") - before) & set(LATER)


def test_watching_loads_nothing_heavy():
    """A model watched and called, and its rows sent to nobody, load no more than the wire."""
    code = (
        "import driftline\n"
        "model = driftline.instrument(len, name='m', version='1', endpoint='http://127.0.0.1:9')\n"
        "model([{'a': 1, 'b': 'x'}]); driftline.flush(0.5)"
    )
    loaded = loaded_after(code)
    assert not loaded & set(HEAVY)
    assert "driftline.wire" in loaded


def test_what_is_imported_is_declared():
    """Whatever src imports is a dependency of ours or of an extra, not of another that may let go of it."""
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {_plain(re.split(r"[<>=\[]", one)[0]) for group in groups for one in group}
    imported = set()
    for file in (root / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.partition(".")[0])
    by = packages_distributions()
    theirs = imported - sys.stdlib_module_names - {"driftline"}
    assert len(theirs) > 10
    assert not {name for name in theirs if not {_plain(one) for one in by.get(name, [name])} & declared}


def _plain(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
