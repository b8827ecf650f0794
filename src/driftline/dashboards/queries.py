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


def shifted(model: str = ONE, more: str = VERSIONS) -> str:
    """Return the PSI of what ModelFeatureDrift compares with its threshold: beyond chance and the calendar."""
    significant = "version_feature:driftline_feature_psi_significant:training"
    return (
        f"({significant}24h{{{model}{more}}}"
        " unless on (environment, model, feature, binning)"
        f" model_feature:driftline_feature_psi_unmoved:lastweek24h{{{model}}}"
        f" or {psi('24h', model, more)}"
        f" and ({significant}7d{{{model}{more}}} > {_SAME} {threshold('P3', model, more)}))"
    )


def verdict(model: str = ONE, more: str = VERSIONS) -> str:
    """Return 0 for a feature as in training, 1 above its P3 threshold, 2 above its P2 threshold.

    The green, yellow and red of every dashboard: the alert's own expression, with the threshold series.
    """
    moved = shifted(model, more)
    return (
        "max by (environment, model, version, feature) ("
        f"({moved} > bool {_SAME} {threshold('P3', model, more)})"
        f" + ({moved} > bool {_SAME} {threshold('P2', model, more)} or 0 * {moved})"
        f" or 0 * {psi('24h', model, more)})"
    )


def furthest(scores: str, by: str = "feature", ranked: str = "", most: int = MOST) -> str:
    """Return *scores* over time of the *most* that are largest in *ranked*, or in themselves, at their highest.

    ``topk`` alone would choose anew at every point in time, and draw everything that was ever chosen.
    """
    highest = f"max_over_time(max by ({by}) ({ranked or scores})[$__range:$__interval] @ end())"
    return f"max by ({by}) ({scores}) and on ({by}) topk({most}, {highest})"


def health() -> str:
    """Return by model 0 where nothing fires, 1 where a ticket does (P3, P4), 2 where a page does (P1, P2).

    From the alerts that fire, not from the scores: a fleet of 100 models has 100 of these and 10,000 features.
    """
    firing = f'ALERTS{{{FLEET}, alertstate="firing", priority=~"%s"}}'
    return (
        f"max by (model) (2 * group by (model) ({firing % 'P1|P2'})"
        f" or group by (model) ({firing % 'P3|P4'})"
        f" or 0 * group by (model) (model:driftline_model_owner:info{{{FLEET}}}))"
    )
