"""Files, whole or not at all: read though others may have put them there, written though we may be killed."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any, BinaryIO


def read(path: Path, most: int) -> bytes:
    """Return what the file *path* holds; links are followed, as Kubernetes mounts files by links.

    Raises:
        OSError: It cannot be read, holds more than *most* bytes, or is no file: a pipe would be waited for, a
            device may never end. ``strerror`` says which.
    """
    try:
        # Not to wait for one who writes into a pipe; of no consequence for a file.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a zero byte, which no name may hold
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    with open(descriptor, "rb") as file:  # noqa: PTH123 - pathlib opens no descriptor
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "is no file", str(path))
        raw = file.read(most + 1)
    if len(raw) > most:
        raise OSError(errno.EFBIG, f"is larger than {most} bytes", str(path))
    return raw


def write(path: Path, content: Callable[[BinaryIO], Any]) -> None:
    """Write what *content* puts into the file that it is given: aside, to the disk, then into its place at *path*.

    Two processes may write the same one: the last is what stays. The name that it has until then ends in
    neither ``.json`` nor ``.npz``, so that nobody reads it; one that a death left behind makes room. Who may read
    it stays as it was.

    Raises:
        OSError: It cannot be written; what was there is as it was. ``filename`` is *path*.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        aside.unlink(missing_ok=True)
        with aside.open("xb") as file:  # never through a link that somebody put there
            _belongs_as(path, file.fileno())
            content(file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException as error:
        aside.unlink(missing_ok=True)
        if isinstance(error, OSError):  # of a full disk it would name none, else the one aside
            error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Write *text* in UTF-8, as :func:`write` does."""
    write(path, lambda file: file.write(text.encode()))


def _belongs_as(path: Path, descriptor: int) -> None:
    """Give an open file the owner and the rights of the one at *path*, as far as that is ours to do.

    Not those of what a link there leads to: who put it there would choose them.
    """
    try:
        was = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISREG(was.st_mode):
        return
    with contextlib.suppress(PermissionError):
        os.fchown(descriptor, was.st_uid, was.st_gid)
    with contextlib.suppress(PermissionError):
        os.fchmod(descriptor, stat.S_IMODE(was.st_mode))
