"""What a process has of driftline: its senders, made anew after a fork, ended with the process."""

from __future__ import annotations

import atexit
import os
import threading
import time
from typing import TYPE_CHECKING

from driftline.instrumentation.problems import problem
from driftline.instrumentation.sender import EXIT_SECONDS, Sender

if TYPE_CHECKING:
    from driftline.instrumentation.settings import Settings


class Outlet:
    """The way out of this process for one :class:`Settings`.

    ``sender`` is None until something is recorded, and again in a forked child and after a shutdown.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.sender: Sender | None = None

    def open(self) -> Sender:
        """Return the sender, with its thread running."""
        with _lock:
            if self.sender is None:
                sender = Sender(self.settings)
                sender.start()
                # At exit the last registered goes first: our last durations go before the SDK's last export.
                atexit.unregister(shutdown)
                atexit.register(shutdown)
                self.sender = sender
            return self.sender


_lock = threading.RLock()  # a signal's handler may predict while its thread opens the way out
_outlets: dict[Settings, Outlet] = {}
_inherited: list[Sender] = []


def outlet(settings: Settings) -> Outlet:
    """Return the one outlet for *settings*."""
    with _lock:
        return _outlets.setdefault(settings, Outlet(settings))


def flush(timeout: float = EXIT_SECONDS) -> bool:
    """Wait until every row recorded so far is sent or given up.

    Args:
        timeout: Seconds to wait at most.

    Returns:
        False when the time did not do; the rows that wait go on being sent.
    """
    end = time.monotonic() + timeout
    senders = [each.sender for each in tuple(_outlets.values()) if each.sender is not None]
    done = [sender.flush(max(0.0, end - time.monotonic())) for sender in senders]
    return all(done)


def shutdown(timeout: float = EXIT_SECONDS) -> bool:
    """Send what is buffered and end driftline's threads and connections; at exit this happens by itself.

    A prediction made afterwards begins anew.

    Args:
        timeout: Seconds to wait at most; what was not sent by then is lost.

    Returns:
        False when the time did not do.
    """
    end = time.monotonic() + timeout
    senders = []
    for each in tuple(_outlets.values()):
        sender, each.sender = each.sender, None
        if sender is not None:
            senders.append(sender)
    done = [sender.stop(max(0.0, end - time.monotonic())) for sender in senders]
    return all(done)


def _forked() -> None:
    """In a forked child: the inherited rows, connection and stream are the parent's."""
    global _lock  # noqa: PLW0603 - a thread that does not exist here may hold the old one
    _lock = threading.RLock()
    for each in _outlets.values():
        sender, each.sender = each.sender, None
        if sender is not None:
            _inherited.append(sender)  # never finalised, see Transport.abandon
            try:
                sender.abandon()
            except Exception as error:  # noqa: BLE001 - a fork must not fail for our sake
                problem("fork", "driftline could not close the parent's connection", error)


os.register_at_fork(after_in_child=_forked)
