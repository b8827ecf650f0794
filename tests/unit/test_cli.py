"""The ``driftline`` command: help without extras, one clear line an error, exit codes."""

import importlib.metadata
import os
import subprocess
import sys
import types

import pytest

from driftline.cli import COMMANDS, main

HEAVY = ("pandas", "pyarrow", "scipy", "grpc", "pydantic", "prometheus_client", "sklearn", "uvicorn", "yaml")


def run(*arguments, before="", **options):
    """Run the command in a process of its own, after the code *before*."""
    code = (
        f"{before}\nimport sys; sys.argv[0] = 'driftline'\nfrom driftline.cli import main\nsys.exit(main())"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, **options
    )


def without(*modules):
    """Return code after which *modules* cannot be imported."""
    return f"""
import sys
class Absent:
    def find_spec(name, path=None, target=None):
        if name.partition('.')[0] in {modules!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent)
"""


def test_help_needs_nothing():
    """Help lists every command where no extra is installed, and loads nothing heavy."""
    done = run("--help", before=without(*HEAVY))
    assert (done.returncode, done.stderr) == (0, "")
    said = " ".join(done.stdout.split())
    for name, command in COMMANDS.items():
        assert name in said
        assert command.help in said


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there(name, capsys):
    """Each command of the table can be loaded, and says what it does."""
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith(f"usage: driftline {name} ")
    assert COMMANDS[name].help[1:] in said


@pytest.mark.parametrize(("name", "arguments"), [("sidecar", ["--config", "x"]), ("check-config", ["x"])])
def test_without_its_extra(name, arguments):
    """A command that lacks what it needs says in one line what to install."""
    done = run(name, *arguments, before=without("pydantic"))
    assert done.returncode == 2
    assert done.stderr == f"driftline {name} needs pydantic: pip install 'driftline[sidecar]'\n"


def test_a_fault_of_our_own_is_not_hidden(monkeypatch):
    """A module of ours that is missing is a bug, not an extra."""
    monkeypatch.setitem(COMMANDS, "demo", COMMANDS["demo"]._replace(module="driftline.cli.nowhere"))
    with pytest.raises(ModuleNotFoundError, match=r"driftline\.cli\.nowhere"):
        main(["demo"])


def test_version(capsys):
    """The version is that of what is installed."""
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"driftline {importlib.metadata.version('driftline')}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say which command; driftline --help lists them"),
        (["nope"], "invalid choice: 'nope'"),
        (["--nope"], "unrecognized arguments: --nope"),
        (["baseline"], "the following arguments are required: ACTION"),
        (["baseline", "build"], "the following arguments are required: DATA, --model"),
        (["baseline", "build", "x", "--model"], "argument --model: expected one argument"),
        (["baseline", "show", "x", "--nope"], "unrecognized arguments: --nope"),
    ],
)
def test_wrong_arguments(arguments, said, capsys):
    """Wrong arguments are said in one line after the usage, and end with 2."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_as_a_module(tmp_path):
    """``python -m driftline.cli`` is the command; its exit code is the process's."""
    done = subprocess.run(
        [sys.executable, "-m", "driftline.cli", "baseline", "show", "none.json"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "none.json: there is no such file\n"


def test_a_reader_that_has_enough():
    """Output into a pipe that nobody reads any more is no error."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as out:
        done = subprocess.run(
            [sys.executable, "-c", CHATTY], stdout=out, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (0, "")


CHATTY = """
import sys, types
from driftline.cli import main, COMMANDS
sys.modules["chatty"] = types.SimpleNamespace(add_arguments=id, run=lambda a: print("x" * 100_000) or 1)
COMMANDS["demo"] = COMMANDS["demo"]._replace(module="chatty")
sys.exit(main(["demo"]))
"""


def test_ctrl_c(monkeypatch):
    """Ctrl-C ends a command as shells expect, without a traceback."""

    def run(arguments):
        raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "interrupted", types.SimpleNamespace(add_arguments=id, run=run))
    monkeypatch.setitem(COMMANDS, "demo", COMMANDS["demo"]._replace(module="interrupted"))
    assert main(["demo"]) == 130
