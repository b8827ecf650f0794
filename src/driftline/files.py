"""Files that others may have put there: read whole or not at all, and never waited for."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
