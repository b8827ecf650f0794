"""Files take their place whole or not at all."""

import errno
import os
import stat
import subprocess
import sys

import pytest

from driftline import files


def test_written_whole(tmp_path):
    """What was there gives way to what is written, and nothing else stays."""
    path = tmp_path / "a.json"
    for content in (b"one", b"another"):
        files.write(path, lambda file, content=content: file.write(content))
        assert files.read(path, 100) == content
    assert [*tmp_path.iterdir()] == [path]


def test_a_failure_changes_nothing(tmp_path):
    """Half of a new file is none: the old one is what it was."""
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def half(file):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(OSError, match="no space") as raised:
        files.write(path, half)
    assert raised.value.filename == str(path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


def test_a_death_changes_nothing(tmp_path):
    """Whoever dies in the middle of writing leaves what was there, and no file that is read in its place."""
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    dies = """
import os, pathlib, sys
from driftline import files
files.write(pathlib.Path(sys.argv[1]), lambda file: (file.write(b"half"), file.flush(), os._exit(9)))
"""
    assert subprocess.run([sys.executable, "-c", dies, path], check=False).returncode == 9
    assert path.read_bytes() == b"old"
    (left,) = {*tmp_path.iterdir()} - {path}
    assert left.suffix == ".new"


def test_who_may_read_it(tmp_path):
    """Whoever could read the old file, and nobody else, can read the new one."""
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    for mode in (0o640, 0o604, 0o600):
        path.chmod(mode)
        files.write(path, lambda file: file.write(b"new"))
        assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_whose_it_is(tmp_path):
    """What root writes anew still belongs to whom it belonged: a program that is not root reads it."""
    path = tmp_path / "a.json"
    path.write_bytes(b"old")
    os.chown(path, 12, 34)
    files.write(path, lambda file: file.write(b"new"))
    assert (path.stat().st_uid, path.stat().st_gid) == (12, 34)


@pytest.mark.parametrize("to", ["outside", "a.json", "nothing"])
def test_a_link_in_its_place(tmp_path, to):
    """It gives way to the file, wherever it leads; whose that is, and who may read it, is no matter."""
    path, outside = tmp_path / "a.json", tmp_path / "outside"
    outside.write_bytes(b"precious")
    outside.chmod(0o4777)
    path.symlink_to(tmp_path / to)
    files.write(path, lambda file: file.write(b"new"))
    assert (path.read_bytes(), path.is_symlink(), outside.read_bytes()) == (b"new", False, b"precious")
    assert not path.stat().st_mode & stat.S_ISUID


@pytest.mark.parametrize("left", ["a link", "a file"])
def test_what_is_in_the_way(tmp_path, left):
    """A link that a stranger put there is not followed, and what an earlier death left makes room."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    path = tmp_path / "a.json"
    aside = tmp_path / f"a.json.{os.getpid()}.new"
    aside.symlink_to(outside) if left == "a link" else aside.write_bytes(b"left behind")
    files.write(path, lambda file: file.write(b"new"))
    assert (path.read_bytes(), outside.read_bytes()) == (b"new", b"precious")
    assert not path.is_symlink()
    assert not os.path.lexists(aside)
