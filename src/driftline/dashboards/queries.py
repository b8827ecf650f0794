"""What several panels ask: whom a dashboard is about, and how far its features have drifted.

Panels read recorded series, which do not grow with the number of sidecars, and show at most ``MOST``
features at a time: a model with 300 features opens as one with three does.
"""

from __future__ import annotations

ONE = 'environment="$environment", model="$model"'
"""The chosen model."""

FLEET = 'environment="$environment", model=~"$model"'
"""The chosen models."""

VERSIONS = ', version=~"$version"'
"""Beside one of the above: the chosen versions."""

FEATURE = ', version=~"$version", feature="$feature"'
"""Beside ``ONE``: the chosen feature of the chosen versions."""

MOST = 20
"""Features in one panel; the ones furthest from training."""

_SAME = "on (environment, model, version, feature) group_left ()"


def of_hour(series: str) -> str:
    """Return *series*, recorded of each bin every ten minutes: not there at every moment, and one round may be missed."""
    return f"last_over_time({series}[25m])"


def of_day(series: str, ago: str = "") -> str:
    """Return *series*, recorded of each bin every half hour, likewise: as it is, or was so long *ago*."""
    return f"last_over_time({series}[75m]{' offset ' if ago else ''}{ago})"


def psi(window: str, model: str = ONE, more: str = VERSIONS) -> str:
    """Return the selector of the recorded PSI against training over *window*: 1h, 24h or 7d."""
    return f"version_feature:driftline_feature_psi:training{window}{{{model}{more}}}"


def threshold(priority: str, model: str = ONE, more: str = VERSIONS) -> str:
    """Return the selector of the score that an alert of *priority* starts at."""
    return (
        "version_feature:driftline_feature_drift_threshold:max"
        f'{{{model}{more}, statistic="psi", priority="{priority}"}}'
    )


def of_threshold(window: str = "24h", model: str = ONE, more: str = VERSIONS) -> str:
    """Return each feature's PSI as a share of its own threshold: 1 is where an alert may start.

    Grafana's colours begin at numbers written in the panel, thresholds are series and differ by feature.
    Divided, one number fits all of them.
    """
    return (
        "max by (environment, model, version, feature) ("
        f"{psi(window, model, more)} / {_SAME} {threshold('P3', model, more)})"
    )


def moved(model: str = ONE, more: str = VERSIONS) -> str:
    """Return the PSI of the features that ModelFeatureDrift tells of: beyond chance, the calendar and the threshold."""
    series = f'version_feature:driftline_feature_psi_moved:training24h{{{model}{more}, priority="P3"}}'
    return f"max by (environment, model, version, feature) ({series})"


def verdict(model: str = ONE, more: str = VERSIONS) -> str:
    """Return 0 for a feature as in training, 1 above its P3 threshold, 2 above its P2 threshold.

    Nothing for one that is not judged yet, in the first eight hours, however far it is. The green, yellow and red of every dashboard: what the alert reads, with the threshold series.
    """
    told = moved(model, more)
    chance = f"version_feature:driftline_feature_chance:training24h{{{model}{more}}}"
    return (
        "max by (environment, model, version, feature) ("
        f"1 + ({told} > bool {_SAME} {threshold('P2', model, more)} or 0 * {told})"
        f" or 0 * ({psi('24h', model, more)} and {chance}))"
    )


def furthest(scores: str, by: str = "feature", ranked: str = "", most: int = MOST) -> str:
    """Return *scores* over time of the *most* that are largest in *ranked*, or in themselves, at their highest.

    ``topk`` alone would choose anew at every point in time, and draw everything that was ever chosen.
    """
    highest = f"max_over_time(max by ({by}) ({ranked or scores})[$__range:$__interval] @ end())"
    return f"max by ({by}) ({scores}) and on ({by}) topk({most}, {highest})"


def week(model: str = ONE, more: str = VERSIONS) -> str:
    """Return the PSI over a week of versions that still answer: the week of one that left says nothing of now."""
    return f"({psi('7d', model, more)} and {psi('24h', model, more)})"


def firing(by: str, model: str) -> str:
    """Return by *by* 1 where a ticket fires (P3, P4), 2 where a page does (P1, P2); nothing where nothing fires."""
    alerts = f'ALERTS{{{model}, alertstate="firing", priority=~"%s"}}'
    return f"max by ({by}) (2 * group by ({by}) ({alerts % 'P1|P2'}) or group by ({by}) ({alerts % 'P3|P4'}))"


def health() -> str:
    """Return by model 0 where nothing fires, 1 where a ticket does (P3, P4), 2 where a page does (P1, P2).

    From the alerts that fire, not from the scores: a fleet of 100 models has 100 of these and 10,000 features.
    """
    return f"({firing('model', FLEET)} or 0 * group by (model) (model:driftline_model_owner:info{{{FLEET}}}))"
