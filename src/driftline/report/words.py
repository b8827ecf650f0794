"""How names, numbers and times are written for people; all times are UTC."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORT = 22
PSI = (
    "PSI, the population stability index, says how far a distribution has moved: 0 is not at all, by rule of thumb 0.1 "
    "moderately, 0.25 far."
)


def visible(text: str) -> str:
    r"""Return *text* without what a page would obey or hide: a category may be anything a stranger typed.

    >>> visible("a\u202eb\x00c")
    'a�b�c'
    """
    return "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co") else c for c in text)


def short(text: str) -> str:
    """Return *text* as a label that fits beside a bar.

    >>> short("a category with quite a long name")
    'a category with quite…'
    """
    seen = visible(text)
    return seen if len(seen) <= SHORT else seen[: SHORT - 1] + "…"


def listed(items: Sequence[str], most: int = 5) -> str:
    """Return *items* as a sentence lists them.

    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=1)
    ('a, b and c', 'a and 2 more')
    """
    shown = [*items[:most], *([f"{len(items) - most} more"] if len(items) > most else [])]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else "none"


def score(value: float) -> str:
    """Return a drift score.

    >>> score(0.104), score(0.0004)
    ('0.10', '0.00')
    """
    return f"{value:.2f}"


def percent(share: float) -> str:
    """Return a share; one too small to be seen so is not written as none.

    >>> percent(0.1234), percent(0.0004), percent(0.0)
    ('12.3 %', '0.04 %', '0 %')
    """
    if share == 0:
        return "0 %"
    return f"{share * 100:.1f} %" if abs(share) >= 0.001 else f"{share * 100:.2g} %"


def whole(value: float) -> str:
    """Return a count.

    >>> whole(12345.6)
    '12,346'
    """
    return f"{value:,.0f}"


def brief(value: float) -> str:
    """Return a count for an axis.

    >>> brief(1200), brief(2_500_000), brief(20)
    ('1.2k', '2.5M', '20')
    """
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}"


def seconds(value: float) -> str:
    """Return a duration of a call, to two digits.

    >>> seconds(0.0183), seconds(0.25), seconds(1.25), seconds(75), seconds(0)
    ('18 ms', '250 ms', '1.2 s', '75 s', '0 s')
    """
    if value == 0:
        return "0 s"
    if abs(value) < 1:
        return f"{value * 1000:.{1 if abs(value) < 0.01 else 0}f} ms"
    return f"{value:.1f} s" if abs(value) < 10 else f"{value:.0f} s"


def lasting(value: float) -> str:
    """Return how long something was so.

    >>> lasting(1800), lasting(5 * 3600), lasting(60 * 3600)
    ('30 min', '5 h', '2.5 days')
    """
    if value < 3600:
        return f"{value / 60:.0f} min"
    return f"{value / 3600:.3g} h" if value < 2 * 86_400 else f"{value / 86_400:.3g} days"


def moment(timestamp: float) -> str:
    """Return a moment, UTC.

    >>> moment(1772452800.0)
    '2026-03-02 12:00'
    """
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d %H:%M")
