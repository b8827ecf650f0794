"""Files take their place whole or not at all."""

import os
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
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        files.write(path, half)
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
