"""What waits to be sent: kept rows, and the model that they are of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from driftline.baseline import Baseline
    from driftline.instrumentation.parts import Part


@dataclass(eq=False, slots=True)
class Model:
    """What calls are recorded for.

    Attributes:
        key: Its name and version.
        task: One of ``names.TASKS``, or None.
        baseline: On whose bins its rows are counted before they leave; None where values leave.
        extra_bytes: What a row held beyond its ``row_bytes``, on average, when the sender last looked: its
            outputs, text and foreign objects. The service's thread is spared looking at each value.
    """

    key: tuple[str, str]
    task: str | None = None
    baseline: Baseline | None = None
    extra_bytes: float = 32.0


@dataclass(eq=False, slots=True)
class Entry:
    """The kept rows of one call, or of some that were alike.

    Attributes:
        model: Whose call.
        rows: How many rows were kept, at least 1.
        rate: The share of rows that was to be kept.
        size: The bytes that were reserved for them.
        parts: Features, prediction, score, None for what there is not; then what else is said of the rows.
        seconds: What each call took; for one call it stands on the first of the kept rows.
        error: The type of the exception that ended it, or None.
    """

    model: Model
    rows: int
    rate: float
    size: int
    parts: tuple[Part | None, ...]
    seconds: Sequence[float]
    error: str | None
