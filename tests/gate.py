"""The gates of the drift alerts in numpy: what the rules in ``alert-rules/`` decide of counts, hour by hour.

Held against promtool in ``laws/test_gate.py``, and run over hundreds of months in ``benchmarks/test_detection.py``.
Counts have the shape (bins, features, hours); a baseline's *ratio* is (bins, features, 1), or broadcasts to it.
"""

import numpy as np
from scipy import stats

from driftline.statistics.overdispersion import MIN_PANES

THRESHOLD, ALONE, MIN_ROWS, DAY, WEEK = 0.1, 0.25, 200, 24, 168
FEATURES, MONTH, HOURLY, BASELINE = 100, 30 * DAY, 200, 10_000
RATIO = np.full((10, 1, 1), 0.1)


ONCE_IN_A_MILLION, ONCE_IN_A_HUNDRED_MILLION = 4.753424, 5.612001  # the normal quantiles


def chance(bins, quantile=ONCE_IN_A_MILLION):
    """Return what PSI / (1/N + 1/M) exceeds by chance so seldom: chi-square's quantile, as the rules take it."""
    degrees = bins - 1
    return degrees * (1 - 2 / (9 * degrees) + quantile * np.sqrt(2 / (9 * degrees))) ** 3


def ended(steps, length):
    """Return, for every step, the sum of the last *length*; fewer where fewer have been."""
    sums = np.cumsum(steps, axis=-1)
    sums[..., length:] -= sums[..., :-length].copy()
    return sums


def phi(panes, length):
    """Return the overdispersion of the last *length* panes of each step; NaN under eight."""
    rows = panes.sum(0)
    parts = ended(np.divide(panes**2, rows, out=np.zeros_like(panes), where=rows > 0), length)
    counts, held = ended(panes, length), ended(1.0 * (rows > 0), length)
    degrees = (held - 1) * (np.count_nonzero(counts, axis=0) - 1)
    ratio = np.divide(parts, counts, out=parts, where=counts > 0).sum(0)
    found = counts.sum(0) * (ratio - 1) / np.maximum(degrees, 1)
    return np.where(held >= MIN_PANES, np.maximum(found, 1), np.nan)


def psi(observed, expected):
    return np.sum((observed - expected) * np.log(observed / expected), axis=0)


def pearson(observed, expected):
    return np.sum((observed - expected) ** 2 / expected, axis=0)


def smoothed(counts, ratio):
    return (counts + 10 * ratio) / (counts.sum(0) + 10)


def looks(hours, phi24, phi7d, ratio=RATIO, baseline=BASELINE):
    """Return what the rules record for every feature and hour, from counts of shape (bins, features, hours)."""
    day, week = ended(hours, DAY), ended(hours, WEEK)
    rows, share = day.sum(0), smoothed(day, ratio)
    then, rows_then = np.roll(share, WEEK, axis=-1), np.roll(rows, WEEK, axis=-1)
    then[..., : WEEK + DAY], rows_then[..., : WEEK + DAY] = ratio, 0  # a first day that is not whole is none
    quantile = chance(len(ratio))
    with np.errstate(divide="ignore"):  # no rows: a floor of infinity, as in PromQL
        return {
            "rows": rows,
            "rows_then": rows_then,
            "training24h": psi(share, ratio),
            "pearson24h": pearson(share, ratio),
            "chance24h": phi24 * quantile * (1 / rows + 1 / baseline),
            "lastweek24h": psi(share, then),
            "chance_lastweek": phi24 * quantile * (1 / rows + 1 / rows_then),
            "training7d": psi(smoothed(week, ratio), ratio),
            "chance7d": phi7d * quantile * (1 / week.sum(0) + 1 / baseline),
        }


def significant(hours, ratio=RATIO):
    """Return the looks, and for every feature and hour whether the day differs from training beyond chance."""
    ends = np.arange(1, hours.shape[-1] + 1)
    blocks = hours.reshape(*hours.shape[:2], len(ends) // 6, 6).sum(-1)
    phi7d = np.where(ends < 6, np.nan, phi(blocks, 28)[:, ends // 6 - 1])
    look = looks(hours, phi(hours, DAY), phi7d, ratio)
    both = np.minimum(look["training24h"], look["pearson24h"])
    return look, (both > look["chance24h"]) & (look["rows"] >= MIN_ROWS)


def fires(hours, ratio=RATIO):
    """Return for every feature and hour whether ModelFeatureDrift's expression holds."""
    look, beyond = significant(hours, ratio)
    ends = np.arange(1, hours.shape[-1] + 1)
    moved = (look["lastweek24h"] > look["chance_lastweek"]) & (look["lastweek24h"] > THRESHOLD)
    known = look["rows_then"] >= MIN_ROWS
    by_week = (ends > 6 * DAY) & (look["training7d"] > np.maximum(look["chance7d"], THRESHOLD))
    by_day = beyond & np.where(known, moved, look["training24h"] > ALONE)
    return (look["training24h"] > THRESHOLD) & (by_day | by_week)


def early(hours, ratio=RATIO):
    """Return for every feature and hour whether the early notice holds: beyond chance, a fifth of the threshold or more."""
    look, beyond = significant(hours, ratio)
    known = look["rows_then"] >= MIN_ROWS
    moved = look["lastweek24h"] > look["chance_lastweek"]
    return beyond & known & moved & (look["training24h"] > 0.2 * THRESHOLD)


def weekly_phi(hours):
    """Return how much more an hour differs from the same of last week than chance explains: the median of 7 d.

    Told three hours late, so that a shift does not hide itself; NaN where there are fewer than 24 pairs.
    """
    then = np.roll(hours, WEEK, axis=-1)
    then[..., :WEEK] = 0
    rows, rows_then, both = hours.sum(0), then.sum(0), hours + then
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = np.where(both > 0, (hours / rows - then / rows_then) ** 2 / both, 0).sum(0) * rows * rows_then
    parts[~((rows > 0) & (rows_then > 0))] = np.nan
    degrees = len(hours) - 1
    late = np.concatenate([np.full((len(parts), WEEK + 2), np.nan), parts[:, :-3]], axis=-1)
    ranges = np.lib.stride_tricks.sliding_window_view(late, WEEK, axis=-1)
    held = np.count_nonzero(~np.isnan(ranges), axis=-1)
    median = np.full(held.shape, np.nan)
    for found, told in ((np.median, held == WEEK), (np.nanmedian, (held >= 24) & (held < WEEK))):
        if told.any():
            median[told] = found(ranges[told], axis=-1)
    return np.maximum(median / (degrees * (1 - 2 / (9 * degrees)) ** 3), 1)


def sudden_phi(hours):
    """Return the phi of the last three hours: that of pairs of weeks, or of the day where there are too few pairs."""
    weekly = weekly_phi(hours)
    return np.where(np.isnan(weekly), phi(hours, DAY), weekly)


def looks_of_hours(hours, widened, ratio=RATIO, ago=WEEK):
    """Return what the rules record of the last three hours against the three that ended *ago* hours before.

    *widened* is their phi, as :func:`sudden_phi` returns it.
    """
    now = ended(hours, 3)
    rows, share = now.sum(0), smoothed(now, ratio)
    then, rows_then = np.roll(share, ago, axis=-1), np.roll(rows, ago, axis=-1)
    then[..., :ago], rows_then[..., :ago] = ratio, 0
    with np.errstate(divide="ignore", invalid="ignore"):
        return {
            "rows": rows,
            "rows_then": rows_then,
            "psi": psi(share, then),
            "pearson": pearson(share, then),
            "chance": widened * chance(len(ratio), ONCE_IN_A_HUNDRED_MILLION) * (1 / rows + 1 / rows_then),
            "enough": np.maximum(5 * len(ratio) * widened, MIN_ROWS),
        }


def leaps(hours, ratio=RATIO):
    """Return for every feature and hour whether ModelFeatureShift's expression holds."""
    widened = sudden_phi(hours)
    week = looks_of_hours(hours, widened, ratio)
    beyond = np.minimum(week["psi"], week["pearson"]) > week["chance"]
    unmoved = np.zeros_like(beyond)
    for ago in (2 * WEEK, WEEK - 1, WEEK + 1):
        past = looks_of_hours(hours, widened, ratio, ago)
        changed = (past["psi"] > past["chance"]) & (past["psi"] > THRESHOLD)
        unmoved |= (past["rows_then"] >= past["enough"]) & ~changed
    enough = np.minimum(week["rows"], week["rows_then"]) >= week["enough"]
    return enough & (week["psi"] > ALONE) & beyond & ~unmoved


def traffic(rng, cluster, shift_from=MONTH, shift=0.0):
    """Return a month of hourly counts per bin and feature, moved by *shift* sd from an hour on."""
    trained = rng.dirichlet(BASELINE / cluster * RATIO[:, 0, 0], FEATURES).T[..., None]
    edges = stats.norm.ppf(np.clip(np.cumsum(trained, axis=0), 0, 1))
    moved = np.diff(stats.norm.cdf(edges - shift), prepend=0, axis=0)
    shares = np.where(np.arange(MONTH) >= shift_from, moved, trained)
    return cluster * rng.poisson(HOURLY / cluster * shares).astype(float)
