"""The drift statistics, one a file; these tables are all there is to registering one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftline.statistics.chi_square import chi_square
from driftline.statistics.hellinger import hellinger
from driftline.statistics.jensen_shannon import jensen_shannon
from driftline.statistics.kolmogorov_smirnov import kolmogorov_smirnov
from driftline.statistics.l_infinity import l_infinity
from driftline.statistics.mean_shift import mean_shift
from driftline.statistics.psi import psi
from driftline.statistics.total_variation import total_variation
from driftline.statistics.variance_ratio import variance_ratio
from driftline.statistics.wasserstein import wasserstein

if TYPE_CHECKING:
    from collections.abc import Callable

    from driftline.histogram import Histogram

    Statistic = Callable[[Histogram, Histogram], Any]

ON_FOLD: dict[str, Statistic] = {
    "psi": psi,
    "jensen_shannon": jensen_shannon,
    "hellinger": hellinger,
    "chi_square": chi_square,
    "total_variation": total_variation,
    "l_infinity": l_infinity,
}
"""``statistic(expected, observed)`` on the few bins that are exported, for every kind of feature."""

ON_FINE: dict[str, Statistic] = {
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "wasserstein": wasserstein,
    "mean_shift": mean_shift,
    "variance_ratio": variance_ratio,
}
"""The same on the fine bins and their sums, for what has an order: numbers and lengths of text."""

STATISTICS: dict[str, Statistic] = ON_FOLD | ON_FINE
"""Every statistic by the name it has in a series."""
