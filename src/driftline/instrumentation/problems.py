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
_logged: set[str] = set()


def problem(kind: str, text: str, error: BaseException | None = None) -> None:
    """Count one in ``driftline.errors`` and log the first of its *kind*, with what to do about it.

    Args:
        kind: One of a few fixed words, the attribute ``error.type`` of the counter.
        text: What happened, and the remedy.
        error: The exception behind it, shown with its traceback.
    """
    try:
        if kind not in _logged:
            _logged.add(kind)
            _log.warning("%s (said once; driftline.errors counts the rest)", text, exc_info=error)
        _counter().add(1, {names.ATTR_ERROR_TYPE: kind})
    except Exception:  # noqa: BLE001, S110 - the last resort: a broken meter or log must not reach the model
        pass


@cache
def _counter() -> Counter:
    return metrics.get_meter(names.SCOPE).create_counter(
        names.METRIC_ERRORS,
        unit="{error}",
        description="What went wrong with driftline in the model's process.",
    )
