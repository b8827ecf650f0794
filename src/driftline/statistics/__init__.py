"""The drift statistics, one a file; this table is all there is to registering one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline.statistics.psi import psi

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftline.histogram import Histogram

STATISTICS: dict[str, Callable[[Histogram, Histogram], float]] = {
    "psi": psi,
}
"""Statistic by the name it has in a series: ``statistic(expected, observed) -> score``."""
