"""What goes wrong with driftline itself in the model's process: counted, and the first of each kind logged."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

from opentelemetry import metrics

from driftline import names

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter

_log = logging.getLogger("driftline")
_logged: set[tuple[str, str]] = set()
MOST_LOGGED = 1000


def problem(kind: str, text: str, error: BaseException | None = None, *, of: str = "") -> None:
    """Count one in ``driftline.errors`` and log the first of its *kind*, with what to do about it.

    Args:
        kind: One of a few fixed words, the attribute ``error.type`` of the counter.
        text: What happened, and the remedy.
        error: The exception behind it, shown with its traceback.
        of: The model it concerns: the first of each is logged.
    """
    try:
        remark(kind, f"{text} (said once; driftline.errors counts the rest)", error, of=of)
        _counter().add(1, {names.ATTR_ERROR_TYPE: kind})
    except Exception:  # noqa: BLE001, S110 - the last resort: a broken meter or log must not reach the model
        pass


def remark(kind: str, text: str, error: BaseException | None = None, *, of: str = "") -> None:
    """Log *text*, the first time for its kind and model; nothing is wrong."""
    if (kind, of) not in _logged and len(_logged) < MOST_LOGGED:
        _logged.add((kind, of))
        _log.warning("%s", text, exc_info=error)


@cache
def _counter() -> Counter:
    return metrics.get_meter(names.SCOPE).create_counter(
        names.METRIC_ERRORS,
        unit="{error}",
        description="What went wrong with driftline in the model's process.",
    )
