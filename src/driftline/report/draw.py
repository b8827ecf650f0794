"""Drawings as SVG inside a page: small enough for a phone, in colours that also differ in brightness."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from driftline.report import page
from driftline.report.words import percent, short, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.axes import Axes

Points: TypeAlias = Sequence[tuple[float, float]]
"""Moments and values, the earliest first."""

WIDTH = 4.2
INK, SOFT, LINE = "#1b1f24", "#57606a", "#d0d7de"
BEFORE, NOW, ELSE = "#9aa4ae", "#0a58ca", "#c2410c"
BAND = "#cdd6df"
LINES = (NOW, ELSE, "#14803c", "#7a3e9d")
STYLES = ("-", "-.", ":", "--")
HOUR, DAY = 3600, 86_400
TICKS = (HOUR // 4, HOUR, 3 * HOUR, 6 * HOUR, DAY // 2, DAY, 2 * DAY, 7 * DAY, 28 * DAY)
_RC: Any = {
    "font.size": 9.0,
    "svg.fonttype": "none",  # text stays text: found, read aloud, in the page's own font
    "svg.hashsalt": "driftline",  # the same data draw the same file
    "text.parse_math": False,  # a feature may be called $x$
    "axes.edgecolor": LINE,
    "axes.labelcolor": SOFT,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#eaeef2",
    "axes.axisbelow": True,
}


def spread(
    feature: str, bins: Sequence[str], sides: Mapping[str, Sequence[float]], about: str = ""
) -> page.Figure:
    """Return the drawing of how *feature* is spread, and in words where the first two *sides* differ most."""
    (before, was), (after, now) = list(sides.items())[:2]
    most = max(range(len(bins)), key=lambda number: abs(now[number] - was[number]))
    told = f"Most of all: {short(bins[most])}, {percent(was[most])} in {before}, {percent(now[most])} in {after}."
    about = f"{about} {told}".strip()
    return page.Figure(feature, about, shares(bins, sides, f"{feature}. {about}"))


def shares(bins: Sequence[str], sides: Mapping[str, Sequence[float]], about: str) -> Markup:
    """Draw the share of each bin: the first of *sides* as grey bars, the second as blue ones, a third as marks."""
    (before, *rest) = sides.items()
    places = [float(-number) for number in range(len(bins))]
    height = 0.62 + 0.27 * len(bins)

    def draw(axes: Axes) -> list[Any]:
        thick = 0.4
        above, below = ([place + off for place in places] for off in (thick / 2, -thick / 2))
        drawn: list[Any] = [axes.barh(above, before[1], thick, color=BEFORE, label=before[0])]
        for name, values in rest[:1]:
            drawn.append(axes.barh(below, values, thick, color=NOW, label=name))
        for name, values in rest[1:]:
            drawn += axes.plot(values, places, "D", color=ELSE, markersize=4, label=name)
        axes.set_yticks(places, [short(text) for text in bins])
        axes.tick_params(axis="y", length=0)
        axes.grid(visible=False, axis="y")
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value * 100:.3g} %"))
        return drawn

    return _drawn(height, draw, about)


def lines(
    series: Mapping[str, Points],
    written: Callable[[float], str],
    about: str,
    *,
    start: float,
    end: float,
    allowed: Mapping[str, Points] | None = None,
    band: tuple[str, Points, Points] | None = None,
) -> Markup:
    """Draw *series* over time; dashed, what is *allowed*, and shaded the *band* between two others."""

    def draw(axes: Axes) -> list[Any]:
        drawn: list[Any] = []
        if band:
            name, low, high = band
            highest = dict(high)
            both = [(at, value, highest[at]) for at, value in low if at in highest]
            moments, least, most = (
                [at for at, _, _ in both],
                [b[1] for b in both],
                [b[2] for b in both],
            )
            drawn.append(axes.fill_between(moments, least, most, color=BAND, linewidth=0, label=name))
        for number, (name, points) in enumerate(series.items()):
            style: Any = {"color": LINES[number % len(LINES)], "linestyle": STYLES[number % len(STYLES)]}
            drawn += axes.plot(*_gapped(points), linewidth=1.6, label=short(name), **style)
            axes.plot(*_alone(points), "o", color=style["color"], markersize=3)
        for name, points in (allowed or {}).items():
            drawn += axes.plot(
                *_gapped(points), color=INK, linewidth=1, linestyle=(0, (5, 4)), label=short(name)
            )
        axes.set_xlim(start, end)
        axes.set_ylim(bottom=0)
        tick = next((tick for tick in TICKS if end - start <= 6 * tick), TICKS[-1])
        axes.xaxis.set_major_locator(MultipleLocator(tick))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value, days=tick >= DAY)))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: written(value)))
        return drawn

    return _drawn(2.2, draw, about)


def _drawn(height: float, draw: Callable[[Axes], list[Any]], about: str) -> Markup:
    with mpl.rc_context(_RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph", UserWarning)  # the page's font may well have it
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.subplots()
        figure.legend(
            handles=draw(axes), loc="outside lower left", ncols=3, frameon=False, fontsize=8.5, borderpad=0.2
        )
        written = io.StringIO()
        canvas: Any = FigureCanvasSVG(figure)
        canvas.print_svg(written, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    text = written.getvalue()
    # ids of groups are the same in every drawing, and nothing refers to them
    plain = re.sub(r'<g id="[^"]*">', "<g>", text[text.index("<svg") :])
    named = Markup('<svg role="img" aria-label="{}"').format(visible(about))
    return named + Markup(plain.removeprefix("<svg"))  # noqa: S704 - matplotlib escapes what it writes


def _gapped(points: Points) -> tuple[list[float], list[float]]:
    """Return moments and values, a line being broken where more than two of its steps are missing."""
    step = min((later[0] - earlier[0] for earlier, later in pairwise(points)), default=0)
    moments: list[float] = []
    values: list[float] = []
    last = None
    for at, value in points:
        if last is not None and at - last > 3 * step:
            moments.append(last + step)
            values.append(float("nan"))
        moments.append(at)
        values.append(value)
        last = at
    return moments, values


def _alone(points: Points) -> tuple[list[float], list[float]]:
    """Return the points that no line goes through, with gaps on both sides or nothing else there."""
    moments, values = _gapped(points)
    seen = [False, *(value == value for value in values), False]  # noqa: PLR0124 - False of what is not a number
    alone = [
        number for number, here in enumerate(seen) if here and not seen[number - 1] and not seen[number + 1]
    ]
    return [moments[number - 1] for number in alone], [values[number - 1] for number in alone]


def _tick(timestamp: float, *, days: bool) -> str:
    at = datetime.fromtimestamp(timestamp, UTC)
    return f"{at.day} {at:%b}" if days else f"{at:%H:%M}"
