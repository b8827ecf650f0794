"""Become a program that ends with its parent: ``python tied.py PARENT PROGRAM [ARGUMENT ...]``.

The parent's own tidying covers Ctrl-C and errors; this covers a parent that is killed. Asked of the
kernel by the child itself, between fork and exec of the program, and without `preexec_fn`, which may
deadlock a parent that has threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):  # the parent ended before the kernel knew
        sys.exit(1)
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - that is the point
