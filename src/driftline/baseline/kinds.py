"""What a column is that nobody said anything about, and whether it is a feature at all."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from driftline.columns import Coded, categories, is_missing, numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from driftline.baseline.feature import Kind
    from driftline.columns import Column

MAX_DISTINCT_TEXTS = 1024
MAX_DISTINCT_SHARE = 0.05

_ID_NAME = re.compile(r"(^|[_\-. ])(id|ids|uuid|guid)$|[a-z0-9](Id|ID|Uuid|UUID|Guid|GUID)$", re.ASCII)
_LOOKS = {
    "e-mail addresses": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "ids": re.compile(r"\{?[0-9a-fA-F]{8}(-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}\}?|[0-9a-fA-F]{24,}"),
    "time stamps": re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?", re.DOTALL),
}
_SURE = 0.9
_ENOUGH = 50
"""Under so many rows, values that all differ say nothing about what they are."""
_YEAR_2000, _YEAR_2050 = 946_684_800, 2_524_608_000


class Unfit(Exception):
    """A column cannot be watched; the text is the end of a sentence that begins with its name."""


def kind_of(column: Column) -> Kind:
    """Return how *column* is read: text is categories where it repeats itself enough, else its length."""
    if is_text(column):
        read = categories(column)
        few = max(2, min(MAX_DISTINCT_TEXTS, MAX_DISTINCT_SHARE * len(read.codes)))
        return "categorical" if len(np.unique(read.codes)) <= few else "text_length"
    if isinstance(column, np.ndarray) and (column.dtype.kind == "b" or _share(column, bool) == 1):
        return "boolean"
    return "numeric"


def is_text(column: Column) -> bool:
    """Tell whether most of what *column* holds is text."""
    return isinstance(column, Coded) or _share(column, str) > 0.5


def _share(column: NDArray[Any], form: type) -> float:
    if column.dtype.kind != "O":
        return 0.0
    present = [item for item in column.tolist() if not is_missing(item)]
    return sum(isinstance(item, form) for item in present) / max(len(present), 1)


def refuse_personal(name: str, column: Column, share: float = 1.0) -> None:
    """Refuse what looks like ids, e-mail addresses or time stamps: none has a distribution to compare.

    The order of the rows tells nothing here, as a baseline may not depend on it.

    Args:
        name: The column's name.
        column: Its values, or a sample of them.
        share: The share of its rows that *column* holds: of two equal values a sample has both so rarely
            that far fewer repetitions are to be expected in it.

    Raises:
        Unfit: It looks like one of these.
    """
    look = _look_of_text if is_text(column) else _look_of_numbers
    why = look(name, column, share)
    if why:
        raise Unfit(f"looks like {why}; name it in features to watch it all the same")


def _look_of_text(name: str, column: Column, share: float) -> str | None:
    read = categories(column)
    used = [read.texts[code] for code in np.unique(read.codes).tolist()]
    for look, form in _LOOKS.items():
        if used and sum(bool(form.fullmatch(text)) for text in used) >= _SURE * len(used):
            return look
    if len(read.codes) < _ENOUGH or len(used) <= MAX_DISTINCT_SHARE * len(read.codes):
        return None
    words = sum(not re.search(r"\s", text) for text in used)
    if len(used) >= (1 - 0.05 * share) * len(read.codes) and words >= _SURE * len(used):
        return "ids: nearly every row has a text of its own"
    return f"ids: by its name, and by its {len(used)} different texts" if _ID_NAME.search(name) else None


def _look_of_numbers(name: str, column: Column, share: float) -> str | None:
    values = numbers(column).values
    distinct = np.unique(values)
    if len(values) < _ENOUGH or len(distinct) < (1 - 0.5 * share) * len(values):
        return None
    thousands = round((math.log10(max(float(distinct[-1]), 1.0)) - 9) / 3)
    unit = 1000.0**thousands  # seconds, or their thousandths, millionths, billionths
    if 0 <= thousands <= 3 and _YEAR_2000 * unit <= distinct[0] and distinct[-1] < _YEAR_2050 * unit:
        return "time stamps: numbers of seconds since 1970, or of parts of them"
    if (distinct % 1).any() or len(distinct) < (1 - 0.01 * share) * len(values):
        return None
    if distinct[-1] - distinct[0] < 1.5 * len(values) / share:
        return "ids: whole numbers that run on from row to row"
    return "ids: by its name, and as every row has another" if _ID_NAME.search(name) else None
