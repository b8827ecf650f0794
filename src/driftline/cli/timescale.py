"""The shipped rules and timers, run faster: every duration of a YAML text divided by one factor.

The demo and the stack tests watch a day go by in two minutes with the very rules that production
loads. Scaling the text, not a parsed tree, keeps the comments, and needs no PromQL parser: a duration
only ever stands in the places named below.
"""

from __future__ import annotations

import re

from driftline.config import parse_duration

SHORTEST = 1.0
"""Seconds: under a second, an evaluation overtakes the last one."""
SHORTEST_RANGE = 3.0
"""Seconds: a range that bridges a round holds two of the shortest, and what the second takes."""

_DURATION = r"(?:\d+(?:ms|[wdhms]))+"
_PLACES = (
    r"(?<=\[){d}(?=\]|:)",  # x[1h], x[24h:1h]
    r"(?<=:){d}(?=\])",
    r"(?<=\boffset ){d}\b",
    r"(?<=\boffset -){d}\b",
    r'(?<=\bwindow="){d}(?=")',  # the sidecar names a window by its duration
    r"(?:(?<=\bfor: )|(?<=_for: )|(?<=interval: )|(?<=_wait: )|(?<=_timeout: )|(?<=_offset: )){d}\b",
)
_ANYWHERE = re.compile("|".join(place.format(d=_DURATION) for place in _PLACES))


def scaled(text: str, factor: float) -> str:
    """Return rules, a Prometheus or an Alertmanager configuration in which time runs *factor* times faster.

    Scaled are ranges, subqueries and their steps, ``offset``, ``window="..."``, ``for``,
    ``keep_firing_for`` and every key that ends in ``interval``, ``_wait``, ``_timeout`` or ``_offset``.
    Nothing becomes shorter than a second, no range than three; 0 stays 0. Names such as ``increase1h`` stay, for they are names.

    >>> scaled('sum_over_time(x[24h:1h] offset 1w) and y{window="24h"}', 720)
    'sum_over_time(x[2m:5s] offset 14m) and y{window="2m"}'
    >>> scaled("for: 15m", 720), scaled("last_over_time(x[10m])", 720)
    ('for: 1s250ms', 'last_over_time(x[3s])')

    Raises:
        ValueError: *factor* is not above 0.
    """
    if not factor > 0:
        raise ValueError(f"a factor of {factor} makes no clock, give a number above 0, for instance 720")

    def shorter(found: re.Match[str]) -> str:
        ends = text[found.end() : found.end() + 1] == "]" and text[found.start() - 1] == "["
        return scaled_duration(found[0], factor, SHORTEST_RANGE if ends else SHORTEST)

    return _ANYWHERE.sub(shorter, text)


def scaled_duration(text: str, factor: float, shortest: float = SHORTEST) -> str:
    """Return the duration *text* divided by *factor*, as :func:`scaled` writes it.

    The windows of a scaled ``driftline.yaml`` are named by it, so that rules and sidecar agree.

    >>> scaled_duration("24h", 720), scaled_duration("5m", 720), scaled_duration("7d", 1)
    ('2m', '1s', '7d')
    """
    if factor == 1 or not re.search("[1-9]", text):
        return text  # as written: 24h and 1d are one duration, but two names of a window
    return format_duration(max(shortest, parse_duration(text) / factor))


def format_duration(seconds: float) -> str:
    """Return *seconds*, to the millisecond, as Prometheus writes durations, hours first.

    >>> format_duration(90), format_duration(86400), format_duration(0.25)
    ('1m30s', '24h', '250ms')
    """
    rest = round(seconds * 1000)
    text = ""
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        number, rest = divmod(rest, size)
        text += f"{number}{unit}" if number else ""
    return text or "0s"
