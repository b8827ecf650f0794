"""The demo's screen: lines that stay, and under them a few that change while one watches."""

from __future__ import annotations

import os
import re
import shutil
import textwrap
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

LINE_EVERY = 10.0
"""Seconds between two lines of progress where nothing can be redrawn."""

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
_WIDTH = 100
_BAR = 24
_BAR_END = 0.5


class Screen:
    """Writes to *out*: redraws on a terminal, else writes a line now and then.

    Args:
        out: Where to.
        live: Whether it is a terminal; found out where not given.
    """

    def __init__(self, out: TextIO, *, live: bool | None = None) -> None:
        self._out = out
        self.live = out.isatty() and os.environ.get("TERM") != "dumb" if live is None else live
        self._colour = self.live and not os.environ.get("NO_COLOR")
        self._drawn = 0
        self._shown_at = -LINE_EVERY

    def say(self, line: str = "") -> None:
        """Write a line that stays."""
        self._erase()
        print(line, file=self._out, flush=True)

    def name(self, what: str, text: str, *styles: str) -> None:
        """Write *text* with its name before it, on as many lines as it takes."""
        for line in wrapped(text, f"  {what:12}  ", _WIDTH):
            self.say(self.style(line, *styles))

    def show(self, lines: Sequence[str], short: str) -> None:
        """Redraw *lines*; where nothing can be redrawn, write the line *short*, not too often."""
        if self.live:
            self._erase()
            width = shutil.get_terminal_size().columns
            print(*(_cut(line, width) for line in lines), sep="\n", file=self._out, flush=True)
            self._drawn = len(lines)
        elif time.monotonic() - self._shown_at >= LINE_EVERY:
            self._shown_at = time.monotonic()
            self.say(short)

    def clear(self) -> None:
        """Take away the lines that change."""
        self._erase()
        self._out.flush()

    def style(self, text: str, *styles: str) -> str:
        """Return *text* in bold, dim or a colour, where the screen has them."""
        if not styles or not self._colour:
            return text
        return f"\x1b[{';'.join(_STYLES[style] for style in styles)}m{text}\x1b[0m"

    def _erase(self) -> None:
        if self._drawn:
            self._out.write(f"\x1b[{self._drawn}F\x1b[J")
            self._drawn = 0


def bar(score: float, threshold: float) -> str:
    """Return a bar for a score from 0 to 0.5, a tick at its threshold.

    >>> bar(0.25, 0.1), bar(0.0, 0.1)
    ('████┃███████            ', '    ┃                   ')
    """
    filled = round(_BAR * min(score, _BAR_END) / _BAR_END)
    tick = round(_BAR * threshold / _BAR_END) - 1
    cells = ["█" if cell < filled else " " for cell in range(_BAR)]
    cells[tick] = "┃"
    return "".join(cells)


def wrapped(text: str, first: str, width: int) -> list[str]:
    """Return *text* in lines of at most *width*, after *first* and then below where it began.

    >>> wrapped("one two three", "a: ", 10)
    ['a: one two', '   three']
    """
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )


def clock(seconds: float) -> str:
    """Return minutes and seconds.

    >>> clock(64.4)
    '1:04'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _cut(line: str, width: int) -> str:
    """Return *line* if it fits on one line of the terminal, else its beginning without styles."""
    plain = re.sub("\x1b\\[[0-9;]*m", "", line)
    return line if len(plain) < width else plain[: max(0, width - 1)]
