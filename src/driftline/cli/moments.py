"""A moment as people write it on a command line."""

from __future__ import annotations

from datetime import UTC, datetime

from driftline.errors import DriftlineError


def moment(option: str, text: str) -> float:
    """Return the seconds since 1970 of *text*, which was given as *option*; UTC unless it says.

    >>> moment("--at", "2026-03-02T12:00"), moment("--at", "2026-03-02T13:00+01:00")
    (1772452800.0, 1772452800.0)

    Raises:
        DriftlineError: It is no moment.
    """
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise DriftlineError(
            f'{option}: "{text}" is no moment, write for instance 2026-03-02T12:00'
        ) from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
