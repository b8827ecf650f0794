"""What moved: scores, thresholds, since when, and how the values are spread."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from driftline import names
from driftline.report import draw
from driftline.report.asking import MOST, Part, since
from driftline.report.page import Badge, Column, Figure, Section, Table
from driftline.report.prometheus import quoted
from driftline.report.words import listed, moment, score, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftline.report.asking import Asking, Key
    from driftline.report.draw import Points
    from driftline.report.page import Tone

FEW = 5
"""Rows of a table of what has not moved."""
DRAWN = 6
"""Features that are drawn."""
NOT_MOVED = "Nothing is known to have moved away from training beyond chance, the calendar and its threshold."


def what_moved(asking: Asking, borders: Mapping[str, Mapping[str, str]]) -> Part:
    """Return what has moved away from training, and by how much."""
    of, by = asking.of, ("feature",)
    psi = "version_feature:driftline_feature_psi:training24h"
    threshold = "version_feature:driftline_feature_drift_threshold:max"
    moved = "version_feature:driftline_feature_psi_moved:training24h"
    scores = asking.now("PSI of the last 24 hours against training", f"max by (feature) ({psi}{{{of}}})", *by)
    starts, pages = (
        asking.now(
            f"PSI above which {what}",
            f'max by (feature) ({threshold}{{{of}, statistic="psi", priority="{priority}"}})', *by,
        )
        for what, priority in (("a ticket is opened", "P3"), ("it has moved far", "P2"))
    )  # fmt: skip
    lastweek = asking.now(
        "PSI of the last 24 hours against the same hours of last week",
        f"max by (feature) (model_feature:driftline_feature_psi:lastweek24h{{{of}}})", *by,
    )  # fmt: skip
    chance = asking.now(
        "PSI that chance alone exceeds once in a million looks",
        f"max by (feature) (version_feature:driftline_feature_chance:training24h{{{of}}})", *by,
    )  # fmt: skip
    values = asking.now(
        "values of the last 24 hours",
        f"sum by (feature) (version_feature:driftline_feature_values:increase24h{{{of}}})", *by,
    )  # fmt: skip
    now = asking.now("drifting", f"group by (feature) ({moved}{{{of}}})", *by)
    history = asking.while_there("drifting over time", f"{moved}{{{of}}}", *by)
    drifting = {feature for (feature,) in now}
    far = {key[0] for key in now if scores.get(key, 0.0) > pages.get(key, math.inf)}
    large = {key for key in scores if scores[key] > starts.get(key, math.inf) and key[0] not in drifting}
    unknown = {key for key in large if key not in chance}  # how far rows come in clusters is not known yet

    def verdict(key: Key) -> Badge:
        if key[0] in drifting:
            return Badge("drifting far", "bad") if key[0] in far else Badge("drifting", "warn")
        if key in unknown or key not in scores:
            return Badge("not judged yet" if key in unknown else "no score", "none")
        if key not in large:
            return Badge("as in training", "good")
        as_ever = lastweek.get(key, math.inf) <= starts[key]
        return Badge("as last week", "good") if as_ever else Badge("not beyond doubt", "none")

    def urgency(key: Key) -> tuple[bool, bool, float]:
        return key[0] in drifting, key in history, scores.get(key, 0.0) / starts.get(key, math.inf)

    order = sorted({*scores, *history}, key=urgency, reverse=True)
    notable = [key[0] for key in order if key[0] in drifting or key in history]
    shown = min(MOST, len(notable) + FEW)
    rows: list[tuple[str | Badge, ...]] = [
        (
            key[0],
            verdict(key),
            *(score(of_key[key]) if key in of_key else "" for of_key in (scores, starts, lastweek)),
            whole(values[key]) if key in values else "",
            *since(history.get(key, []), asking.period),
        )
        for key in order[:shown]
    ]  # fmt: skip
    says, tone, headline = _drift_in_words(asking, order, drifting, far, scores, starts, history)
    if unknown:
        waiting = listed([key[0] for key in order if key in unknown])
        says.insert(0, f"Above the threshold and not judged yet, which takes eight hours of rows: {waiting}.")
        if not drifting:
            tone, headline = "none", "Drift cannot be judged yet."
    queries = asking.asked()
    drawn = notable[:DRAWN] or [key[0] for key in order[:3]]
    figures = [figure for feature in drawn for figure in _drawn(asking, feature, borders)]
    says_table = ["Scores and values are those of the last 24 hours."]
    if len(order) > shown:
        says_table.append(f"{len(order) - shown} more are watched, and are less far from training.")
    section = Section(
        "What moved",
        says_table,
        Table(
            [
                Column("feature"), Column("verdict"), Column("PSI to training", number=True),
                Column("ticket from", number=True), Column("PSI to last week", number=True),
                Column("values", number=True), Column("drifting since", moment=True), Column("for", number=True),
            ],
            rows,
        ),
        figures,
        (*queries, *asking.asked()),
    )  # fmt: skip
    return Part(section, says, tone, headline)


def _drift_in_words(
    asking: Asking,
    order: Sequence[Key],
    drifting: set[str],
    far: set[str],
    scores: Mapping[Key, float],
    starts: Mapping[Key, float],
    history: Mapping[Key, Points],
) -> tuple[list[str], Tone, str]:
    if not scores:
        why = "no score was recorded in the last 24 hours, for want of a baseline or of rows"
        return [f"Drift is not judged: {why}."], "none", "Drift cannot be judged: there is no score."
    watched = f"{len(scores)} features and outputs are watched."
    if not drifting:
        past = listed([key[0] for key in order if key in history])
        was = f"Nothing is known to drift now; {past} did in this period." if history else NOT_MOVED
        return [f"{was} {watched}"], "good", ""
    these = [key[0] for key in order if key[0] in drifting]
    says = [
        f"{feature}: PSI {score(scores[(feature,)])} of the last 24 hours against training, a ticket from "
        f"{score(starts[(feature,)])}; drifting since {since(history[(feature,)], asking.period)[0]}."
        for feature in these[:3]
        if (feature,) in scores and (feature,) in starts and (feature,) in history
    ]
    if len(these) > 3:
        says.append(f"{len(these) - 3} more are drifting. {watched}")
    has = "has" if len(these) == 1 else "have"
    headline = f"{listed(these, 3)} {has} moved away from training."
    return says, "bad" if far else "warn", headline


def _drawn(asking: Asking, feature: str, borders: Mapping[str, Mapping[str, str]]) -> list[Figure]:
    """Return how *feature* is spread, and its score over time."""
    of = f"{asking.of}, feature={quoted(feature)}"
    share = "version_feature_bin:driftline_feature_share:24h"
    ratio = "version_feature_bin:driftline_feature_baseline_ratio:avg"
    by = ("version", "binning", "bin")
    observed = asking.now(
        f"share of the last 24 hours in each bin of {feature}", f"last_over_time({share}{{{of}}}[75m])", *by
    )
    values = asking.now(
        f"values of {feature}, by version",
        f"version_feature:driftline_feature_values:increase24h{{{of}}}",
        *by[:2],
    )
    expected = asking.now(
        f"share of training in each bin of {feature}", f"last_over_time({ratio}{{{of}}}[25m])", *by
    )
    lastweek = asking.now(
        f"share of the same hours of last week in each bin of {feature}",
        f"last_over_time(model_feature_bin:driftline_feature_share:24h{{{of}}}[75m] offset 1w)", *by[1:],
    )  # fmt: skip
    figures = []
    # after a new baseline the last day still has values on the bins of the one that is gone
    known_bins = {key[:2] for key in expected}
    shown = sorted((key for key in values if values[key] > 0 and key in known_bins), key=values.__getitem__)[
        -1:
    ]
    for version, binning in shown:
        bins = [key[2] for key in expected if key[:2] == (version, binning)]
        bins.sort(
            key=lambda name: (
                name == names.OTHER,
                name if name.isdigit() else "",
                -expected[version, binning, name],
            )
        )
        known = borders.get(binning, {})
        sides = {
            "training": [expected[version, binning, name] for name in bins],
            "the last 24 h": [observed.get((version, binning, name), 0.0) for name in bins],
        }
        if any((binning, name) in lastweek for name in bins):
            sides["last week"] = [lastweek.get((binning, name), 0.0) for name in bins]
        labels = [known.get(name, _ordinal(name, bins)) for name in bins]
        figures.append(draw.spread(feature, labels, sides, f"Version {version}."))
    training = asking.line(
        f"PSI of {feature} against training",
        f"max(version_feature:driftline_feature_psi:training24h{{{of}}})",
    )
    lastweek_line = asking.line(
        f"PSI of {feature} against last week", f"max(model_feature:driftline_feature_psi:lastweek24h{{{of}}})"
    )
    threshold = asking.line(
        f"PSI above which {feature} is a ticket",
        f'max(version_feature:driftline_feature_drift_threshold:max{{{of}, statistic="psi", priority="P3"}})',
    )
    if training:
        at, highest = max(training, key=lambda point: point[1])
        about = f"PSI over 24 hours; highest against training {score(highest)}, at {moment(at)}."
        figures.append(
            Figure(
                f"{feature} over time", about,
                draw.lines(
                    {"training": training, "last week": lastweek_line}, score, f"{feature}. {about}",
                    start=asking.period.start, end=asking.period.end, allowed={"ticket from": threshold},
                ),
            )
        )  # fmt: skip
    return figures


def _ordinal(name: str, bins: Sequence[str]) -> str:
    """Return what is known of a bin without its borders: 00 holds the lowest values."""
    if not name.isdigit() or name not in (bins[0], bins[-1]):
        return name
    return f"{name}, lowest" if name == bins[0] else f"{name}, highest"
