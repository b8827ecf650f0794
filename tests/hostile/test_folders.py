"""Hostile files in every folder that a sidecar reads or writes: baselines, state, configuration."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hostile.target import Target
from stack.processes import eventually
from watched import baseline

MIB = 1 << 20


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    with Target(tmp_path_factory.mktemp("target")) as running:
        yield running


# --- baselines --------------------------------------------------------------------------------


def later(path):
    document = json.loads(baseline().to_json())
    document["format"] = 2
    path.write_text(json.dumps(document))


def loop(path):
    path.symlink_to(path)


BASELINES = {
    "a pipe": (os.mkfifo, "cannot be read: is no file"),
    "a folder": (Path.mkdir, "cannot be read: Is a directory"),
    "a link to itself": (loop, "cannot be read: Too many levels of symbolic links"),
    "a link to nothing": (lambda path: path.symlink_to("nothing"), "cannot be read: No such file"),
    "a link to what never ends": (lambda path: path.symlink_to("/dev/zero"), "cannot be read: is no file"),
    "a link to a secret": (lambda path: path.symlink_to("/etc/passwd"), "is no JSON"),
    "nothing": (Path.touch, "is no JSON"),
    "cut": (lambda path: path.write_text(baseline().to_json()[:-100]), "is no JSON"),
    "no UTF-8": (lambda path: path.write_bytes(b'{"format": "\xff"}'), "it is not UTF-8"),
    "a key twice": (lambda path: path.write_text('{"format": 1, "format": 1}'), "holds 'format' twice"),
    "lists in each other": (lambda path: path.write_bytes(b"[" * 100_000), "is nested too deeply"),
    "a later format": (later, "is of format 2, this driftline reads 1: upgrade driftline"),
    "the same model again": (lambda path: path.write_text(baseline().to_json()), "both are for model fraud"),
    "a pickle": (lambda path: path.write_bytes(b"\x80\x04cposix\nsystem\n"), "it is not UTF-8"),
    "30 MiB of lists": (lambda path: path.write_bytes(b"[" + b"[]," * 10 * MIB + b"[]]"), "lists and objects"),
    "more than it may be": (lambda path: path.write_bytes(bytes(33 * MIB)), "is larger than 33554432 bytes"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BASELINES)
def test_hostile_baselines(target, kind):
    """A bad file beside good ones is named and counted once; the good ones go on, and it may be taken away."""
    make, says = BASELINES[kind]
    path = target.folder / "baselines" / "hostile.json"
    outcome = "driftline_sidecar_reloads_total{{outcome={}}}"
    with target.unharmed({outcome.format("failed"): 1, outcome.format("loaded"): 1}):
        before = len(target.said())
        if make is loop:
            loop(path)
        else:  # at once: a tick might see the beginning of a large file
            make(target.folder / "aside")
            (target.folder / "aside").rename(path)
        line = eventually(lambda: next((s for s in target.said()[before:].split("\n") if says in s), ""))
        assert "the old ones are kept" in line
        assert "hostile.json" in line
        path.rmdir() if says.endswith("Is a directory") else path.unlink()
        eventually(lambda: "baselines: reloaded, 1 are known now" in target.said()[before:])


# --- state ------------------------------------------------------------------------------------


def npz(path, says, *, compressed=False, **columns):
    encoded = np.frombuffer(json.dumps({"format": 1, **says}).encode(), np.uint8)
    (np.savez_compressed if compressed else np.savez)(path, says=encoded, **columns)


def lying(path):
    """Write a table whose header promises a billion numbers."""
    npz(path, {}, centres=np.zeros(1))
    raw = io.BytesIO()
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(raw, "w") as new:
        new.writestr("says.npy", old.read("says.npy"))
        new.writestr("centres.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
    path.write_bytes(raw.getvalue())


LAYOUTS = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "bomb": lambda path: npz(path, {}, compressed=True, centres=np.zeros(4 * MIB)),
    "lying": lying,
    "named by a number": lambda path: npz(path, {"model": 7, "version": "1"}, centres=np.zeros(1)),
    "named by a list": lambda path: npz(path, {"model": ["a"] * 1000, "version": "1"}, centres=np.zeros(1)),
    "deep": lambda path: path.write_bytes(b"[" * MIB),
    "an object": lambda path: np.savez(path, says=np.array([{}], object)),
    "huge": lambda path: (path.touch(), os.truncate(path, 300 * MIB)),
}


@pytest.fixture
def folder(tmp_path):
    """A sidecar's folder, and beside it what is none of its business."""
    (tmp_path / "outside").mkdir()
    for name in ("precious", "layout.npz", "open.npz"):
        (tmp_path / "outside" / name).write_text("precious")
    inside = tmp_path / "inside"
    (inside / "state").mkdir(parents=True)
    yield inside
    assert {path.read_text() for path in (tmp_path / "outside").iterdir()} == {"precious"}
    assert len([*(tmp_path / "outside").iterdir()]) == 3


def errors(operation, count):
    return f'driftline_sidecar_state_errors_total{{operation="{operation}"}} {count}.0'


def test_hostile_state(folder):
    """Each bad track is left out, named and counted; the sidecar starts at once, and counts."""
    for name, make in LAYOUTS.items():
        (folder / "state" / name).mkdir()
        make(folder / "state" / name / "layout.npz")
    (folder / "state" / "models.json.17.new").symlink_to(folder.parent / "outside" / "precious")
    with Target(folder, settings={"state": {"path": "state/", "every": "1s"}}) as target:
        assert errors("read", len(LAYOUTS)) in target.page()
        for name in LAYOUTS:
            assert f"{name}/layout.npz" in target.said().replace("\\", "")
        with target.unharmed({}):
            assert eventually((folder / "state" / "models.json").exists)
        assert errors("write", 0) in target.page()


def test_links_out_of_the_state(folder):
    """What a link in the folder leads to is neither written nor deleted; the failure is counted."""
    outside = folder.parent / "outside"
    with Target(folder, settings={"state": {"path": "state/", "every": "1s"}}) as target:
        track = eventually(lambda: next((folder / "state").glob("fraud*"), None))
        eventually((track / "open.npz").exists)
    shutil.rmtree(track)
    track.symlink_to(outside)
    (folder / "state" / "lock").unlink()
    (folder / "state" / "lock").symlink_to(outside / "precious")
    with Target(folder, settings={"state": {"path": "state/", "every": "1s"}}) as target:
        eventually(lambda: f"{track.name} is a link" in target.said())
        assert errors("write", 0) not in target.page()


MODELS = {
    "a pipe": os.mkfifo,
    "objects in each other": lambda path: path.write_bytes(b'{"a":' * 100_000),
    "a clock that is none": lambda path: path.write_text('{"format": 1, "clock": NaN, "wall": 0}'),
    "a clock beyond all time": lambda path: path.write_text('{"format": 1, "clock": 1e300, "wall": -1e308}'),
    "a name that is none": lambda path: path.write_text(
        json.dumps(
            {
                "format": 1,
                "models": {"columns": ["model", "version", "task"], "rows": [["\n" * 500, [], {"a": 1}]]},
                "streams": {"columns": [], "rows": []},
            }
        )
    ),
    "a later format": lambda path: path.write_text('{"format": 2}'),
}


@pytest.mark.parametrize("kind", MODELS)
def test_hostile_models_file(folder, kind):
    """Whatever models.json holds, the sidecar starts, counts one fault, and its pages parse."""
    MODELS[kind](folder / "state" / "models.json")
    with Target(folder, settings={"state": {"path": "state/", "every": "1s"}}) as target:
        assert errors("read", 1) in target.page()
        with target.unharmed({}):
            pass


# --- a disk that is full, or not ours ---------------------------------------------------------


def seen_failing(target, beginning):
    return eventually(
        lambda: [
            s for s in target.said().split("\n") if f"state: {beginning}" in s and "cannot be written" in s
        ]
    )


def test_files_that_may_not_grow(folder):
    """Where no file may grow beyond 4 KiB the windows are not kept, that is counted, and all else goes on."""
    small = ("sh", "-c", 'ulimit -f 8 && exec "$@"', "sh")
    with Target(folder, settings={"state": {"path": "state/", "every": "2s"}}, wrapper=small) as target:
        assert "File too large" in seen_failing(target, folder)[0]
        with target.unharmed({}, born=("fraud",), failing=True):
            pass
        assert not [*(folder / "state").rglob("*.new")]


def test_a_full_disk(folder):
    """On a full file system counting goes on; once there is room the state is written whole."""
    state = folder / "state"
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", state], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"a file system cannot be mounted here: {error}")
    try:
        with Target(folder, settings={"state": {"path": "state/", "every": "1s"}}) as target:
            assert "No space left on device" in seen_failing(target, state)[0]
            with target.unharmed({}, failing=True):
                pass
            subprocess.run(["mount", "-o", "remount,size=8m", state], check=True)
            written = "driftline_sidecar_state_timestamp_seconds"
            eventually(
                lambda: float(target.page().partition(f"\n{written} ")[2].split()[0]) > time.time() - 5
            )
            assert [*state.glob("fraud*/open.npz")]
    finally:
        subprocess.run(["umount", "-l", state], check=True)


# Root may read and write everything unless it lets go of CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
OBEDIENT = """
import ctypes, os, sys
for capability in (1, 2):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def path(tmp_path):
    yield tmp_path
    for folder in (tmp_path, tmp_path / "baselines", tmp_path / "state"):
        folder.chmod(0o755)


def test_permission_denied(path):
    """A folder that may not be read or written any more is told and counted; nothing stops for it."""
    wrapper = (sys.executable, "-c", OBEDIENT)
    (path / "state").mkdir()
    (path / "state").chmod(0o555)
    with Target(path, settings={"state": {"path": "state/", "every": "2s"}}, wrapper=wrapper) as target:
        assert "Permission denied" in seen_failing(target, path)[0]
        failed = "driftline_sidecar_reloads_total{outcome=failed}"
        with target.unharmed({failed: 1, "driftline_sidecar_last_reload_successful": -1}, failing=True):
            (path / "baselines").chmod(0)
            eventually(lambda: f"{path / 'baselines'}: cannot be read: Permission denied" in target.said())
        loaded = "driftline_sidecar_reloads_total{outcome=loaded}"
        with target.unharmed({failed: 1, loaded: 1}, failing=True):
            (path / "baselines").chmod(0o755)
            eventually(lambda: "baselines: reloaded, 1 are known now" in target.said())
            path.chmod(0)
            eventually(lambda: target.said().count("cannot be read: Permission denied") == 2)


# --- the configuration ------------------------------------------------------------------------

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)
CONFIGURATIONS = {
    "a pipe": (os.mkfifo, "is no file"),
    "a folder": (Path.mkdir, "Is a directory"),
    "what never ends": (lambda path: path.symlink_to("/dev/zero"), "is no file"),
    "a link to itself": (loop, "Too many levels of symbolic links"),
    "more than a megabyte": (lambda path: path.write_bytes(b"#" * (MIB + 1)), "is larger than 1048576 bytes"),
    "a bomb of aliases": (BOMB, "line 2: aliases are not allowed"),
    "lists in each other": ("environment: " + "[" * 100_000, "driftline.yaml: "),
    "a tag that runs": ("environment: !!python/object/apply:os.system [id]", "could not determine a constructor"),
    "no UTF-8": (lambda path: path.write_bytes(b"environment: \xff"), "driftline.yaml: "),
    "a zero": (lambda path: path.write_bytes(b"environment: a\0b"), "driftline.yaml: "),
    "a zero in a path": ('environment: a\nbaselines: ["x\\0.json"]', "holds a zero byte"),
    "a zero in the state's path": ('environment: a\nstate: {path: "x\\0"}', "holds a zero byte"),
    "half a surrogate pair": ('environment: "\\ud800"', "environment: "),
    "a host that is none": (
        'environment: a\nlisten: {http: "a..b:0", grpc: null, insecure: true}', "listen.http: a..b:0 cannot be bound",
    ),
    "a token that never ends": ("environment: a\nlisten: {token_file: /dev/zero}", "/dev/zero cannot be read as a token"),
}  # fmt: skip


def test_a_socket_where_a_file_is(tmp_path):
    """A mistaken path for a socket costs nobody a file."""
    (tmp_path / "precious").write_text("precious")
    text = (
        f'environment: a\nlisten: {{grpc: null, http: "unix://{tmp_path}/precious", metrics: "127.0.0.1:0"}}'
    )
    (tmp_path / "driftline.yaml").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "driftline.cli", "sidecar", "--config", tmp_path / "driftline.yaml"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"listen.http: unix://{tmp_path}/precious cannot be bound" in done.stderr
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("kind", CONFIGURATIONS)
def test_hostile_configurations(tmp_path, kind):
    """It does not start, says what is wrong in one line, and takes neither long nor much to find out."""
    make, says = CONFIGURATIONS[kind]
    path = tmp_path / "driftline.yaml"
    path.write_text(make) if isinstance(make, str) else make(path)
    command = f'ulimit -v {2 << 20} && exec "$@"'  # of addresses, most of which are never used
    done = subprocess.run(
        ["sh", "-c", command, "sh", sys.executable, "-m", "driftline.cli", "sidecar", "--config", path],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
