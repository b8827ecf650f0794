"""What is built for the stack tests: where it is kept, and what is said where it is not there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import built

TESTS = Path(__file__).parents[1]
NAMES = (
    "prometheus",
    "promtool",
    "alertmanager",
    "amtool",
    built.COLLECTOR,
    built.GO_SERVICE,
    built.NODE_SERVICE,
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "driftline" / "built"


@pytest.mark.parametrize("name", NAMES)
def test_absent(cache, name):
    """A program that was not built is named, with the command and the tool that build it."""
    tool = "npm" if name == built.NODE_SERVICE else "go"
    with pytest.raises(
        built.Absent, match=f"^{name} is missing: make stack builds it where there is {tool}$"
    ):
        built.need(name)


def test_a_path_of_folders(cache):
    """Programs of two sources are in two folders, each once."""
    for name in NAMES[:4]:
        built.folder(name).mkdir(parents=True, exist_ok=True)
        (built.folder(name) / name).touch()
    folders = built.need(*NAMES[:4]).split(os.pathsep)
    assert sorted(Path(folder).parent for folder in folders) == [cache, cache]


def test_another_version_is_built_anew(cache, monkeypatch):
    """A pin that changes names another folder, so what was built before is not taken for it."""
    before = built.folder("prometheus"), built.folder("alertmanager")
    monkeypatch.setitem(built.PINS, "prometheus", {**built.PINS["prometheus"], "version": "v0.999.0"})
    assert built.folder("prometheus") != before[0]
    assert built.folder("alertmanager") == before[1]


def test_another_collector_is_built_anew(cache, monkeypatch, tmp_path):
    """So does a component that is added to the Collector."""
    before = built.folder(built.COLLECTOR)
    other = tmp_path / "builder.yaml"
    other.write_bytes(built.BUILDER.read_bytes() + b"\n# and more\n")
    monkeypatch.setattr(built, "BUILDER", other)
    assert built.folder(built.COLLECTOR) != before


def test_a_failed_build_leaves_nothing(cache, tmp_path, monkeypatch):
    """When the compiler fails, its words are told and no folder is there that a test would take for a program."""
    program = tmp_path / "bin" / "go"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'no such thing' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    with pytest.raises(SystemExit, match=r"go build .* failed:\nno such thing"):
        built.build(built.GO_SERVICE)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "columns"),
    [({}, {"floor", "latest"}), ({"DRIFTLINE_BIN_DIR": "/nowhere"}, {"given"})],
    ids=["by default", "with a folder named"],
)
def test_columns(tmp_path, given, columns):
    """A test that needs Prometheus runs on the floor and on the latest; a folder that is named decides alone."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.stack('prometheus')\ndef test_it(): pass\n"
        "@pytest.mark.stack('otelcol-driftline')\ndef test_other(): pass\n"
    )
    said = pytest_says(tmp_path, "--collect-only", "-q", environment=given)
    assert set(re.findall(r"test_it\[(\w+)\]", said)) == columns
    assert "test_other\n" in said


@pytest.mark.parametrize(
    ("required", "with_go", "outcome"),
    [("", True, "1 skipped"), ("1", True, "1 error"), ("1", False, "1 skipped")],
)
def test_what_is_not_built(tmp_path, required, with_go, outcome):
    """It is skipped, with the remedy; where the stack is required it is an error, if it could have been built."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n@pytest.mark.stack('otelcol-driftline')\ndef test_it(): pass\n"
    )
    (tmp_path / "bin").mkdir()
    if with_go:
        (tmp_path / "bin" / "go").write_text("#!/bin/sh\n")
        (tmp_path / "bin" / "go").chmod(0o755)
    environment = {
        "XDG_CACHE_HOME": str(tmp_path),
        "DRIFTLINE_REQUIRE_STACK": required,
        "PATH": str(tmp_path / "bin"),
    }
    said = pytest_says(tmp_path, "-rA", environment=environment)
    assert outcome in said
    assert "otelcol-driftline is missing: make stack" in said


def pytest_says(folder, *options, environment):
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("DRIFTLINE_")}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-c",
            os.devnull,
            f"--rootdir={folder}",
            *options,
        ],
        capture_output=True,
        check=False,
        text=True,
        env={**inherited, "PYTHONPATH": str(TESTS), **environment},
        cwd=folder,
    )
    return done.stdout
