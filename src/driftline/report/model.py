"""What a Prometheus knows of one model over a period: the verdict, and the numbers it rests on.

Every number is asked for through :class:`Asking`, which keeps the query for the page.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from driftline import names
from driftline.report import draw
from driftline.report.page import Badge, Column, Figure, Page, Query, Section, Table
from driftline.report.prometheus import Prometheus, PrometheusRefused, quoted
from driftline.report.words import PSI, brief, lasting, listed, moment, percent, score, seconds, short, whole

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from driftline.report.draw import Points
    from driftline.report.page import Tone

Key = tuple[str, ...]

MOST = 20
"""Rows of a table."""
FEW = 5
"""Rows of a table of what has not moved."""
DRAWN = 6
"""Features that are drawn."""
STEPS = (60, 300, 900, 1800, 3600, 3 * 3600, 6 * 3600, 86_400)
MANY_LOST = 0.01
BUDGET_DAYS = 30
SERIOUS: tuple[Tone, ...] = ("bad", "none", "warn", "good")
"""The tones of a verdict: what cannot be judged comes before a ticket, for nobody knows how bad it is."""
NOT_MOVED = "Nothing has moved away from training beyond chance, the calendar and its threshold."
RUNBOOKS = "https://github.com/driftline/driftline/tree/main/alert-rules/runbooks"
NOTES = (
    (
        f"{PSI} A feature is called drifting only when its score is above its threshold, above what chance "
        "alone exceeds once in a million looks with dependent rows allowed for, and more than the calendar explains."
    ),
    (
        "Scores, shares and alerts are those that the rules recorded in Prometheus at the time: merged over all sidecars, "
        "never averaged. All times are UTC."
    ),
)


class Period(NamedTuple):
    """The time that a report is about; *text* is its length as Prometheus writes it, such as ``7d``."""

    start: float
    end: float
    text: str

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start

    @property
    def step(self) -> int:
        """The seconds between two points of a drawing: at most 300 points."""
        return next((step for step in STEPS if self.seconds <= 300 * step), STEPS[-1])


class Asking:
    """Questions about one model; what was asked is kept until a section takes it."""

    def __init__(self, prometheus: Prometheus, environment: str, model: str, period: Period) -> None:
        self.period = period
        self.of = f"environment={quoted(environment)}, model={quoted(model)}"
        self._prometheus = prometheus
        self._asked: list[Query] = []

    def now(self, about: str, expr: str, *labels: str) -> dict[Key, float]:
        """Return the values at the end of the period by *labels*, those that are a number."""
        found = self._prometheus.now(expr, self.period.end)
        self._asked.append(Query(about, expr, f"at {moment(self.period.end)}"))
        return {
            tuple(one.labels.get(label, "") for label in labels): one.points[0][1]
            for one in found
            if math.isfinite(one.points[0][1])
        }

    def one(self, about: str, expr: str) -> float | None:
        """Return the only value at the end of the period; None where there is none."""
        return next(iter(self.now(about, expr).values()), None)

    def over(self, about: str, expr: str, *labels: str) -> dict[Key, Points]:
        """Return the values over the period by *labels*."""
        period = self.period
        found = self._prometheus.over(expr, period.start, period.end, period.step)
        self._asked.append(Query(about, expr, f"over the period, every {lasting(period.step)}"))
        return {
            tuple(one.labels.get(label, "") for label in labels): [
                (at, value) for at, value in one.points if math.isfinite(value)
            ]
            for one in found
        }

    def line(self, about: str, expr: str) -> Points:
        """Return the values over the period of the only series; none where there is none."""
        return next(iter(self.over(about, expr).values()), [])

    def asked(self) -> tuple[Query, ...]:
        """Return what was asked since this was last called."""
        asked, self._asked = tuple(self._asked), []
        return asked


class Part(NamedTuple):
    """A section, what it adds to the verdict, and how bad it is."""

    section: Section
    says: Sequence[str] = ()
    tone: Tone = "good"
    headline: str = ""


def report(
    prometheus: Prometheus,
    model: str,
    period: Period,
    *,
    environment: str | None = None,
    borders: Mapping[str, Mapping[str, str]] | None = None,
) -> Page:
    """Return the page about *model* over *period*.

    Args:
        prometheus: Whom to ask; it has to hold the recorded series of alert-rules/.
        model: Its name.
        period: What time it is about.
        environment: Which of the environments the model runs in; None where there is only one.
        borders: By binning and bin, which values a bin holds: Prometheus does not know.

    Raises:
        PrometheusRefused: It cannot be asked, knows no such model, or the model is in several environments.
    """
    environment, owner, tier = _who(prometheus, model, period, environment)
    asking = Asking(prometheus, environment, model, period)
    parts = [
        _drift(asking, borders or {}),
        _faults(asking),
        _volume(asking),
        _service(asking),
        *_segments(asking),
        _alerts(asking),
        _versions(asking),
        _heard(asking),
    ]
    tone = min((part.tone for part in parts), key=SERIOUS.index)
    headlines = {part.tone: part.headline for part in reversed(parts) if part.headline}
    return Page(
        title=f"{model}, {environment}: report",
        facts=(
            ("period, UTC", f"{moment(period.start)} to {moment(period.end)}"),
            ("owner", owner),
            ("tier", tier),
            ("asked", prometheus.url),
        ),
        tone=tone,
        verdict=headlines.get(tone, f"{model} is as expected."),
        says=[sentence for part in parts for sentence in part.says],
        sections=[part.section for part in parts],
        notes=NOTES,
    )  # fmt: skip


def _who(prometheus: Prometheus, model: str, period: Period, environment: str | None) -> tuple[str, str, str]:
    """Return the model's environment, owner and tier."""
    info = f"last_over_time(model:driftline_model_owner:info[{period.text}])"
    found = prometheus.now(f"topk by (environment, model) (1, {info})", period.end)
    if not found:
        raw = prometheus.now(f"group({names.PREDICTIONS.name})", period.end)
        raise PrometheusRefused(
            f"{prometheus.url} holds sidecars' series, but not what the rules record: load alert-rules/ into it"
            if raw
            else f"{prometheus.url} knows no model in the {period.text} to {moment(period.end)}: does it scrape a sidecar?"
        )
    mine = [one.labels for one in found if one.labels.get("model") == model]
    if not mine:
        known = sorted({short(one.labels.get("model", "")) for one in found})
        raise PrometheusRefused(f"no model {model} in this period, there are: {', '.join(known[:MOST])}")
    here = {labels.get("environment", ""): labels for labels in mine}
    if environment is None and len(here) > 1:
        raise PrometheusRefused(
            f"{model} is in several environments, say --environment {' or '.join(sorted(here))}"
        )
    chosen = next(iter(here)) if environment is None else environment
    if chosen not in here:
        raise PrometheusRefused(f"{model} is not in {chosen}, but in {', '.join(sorted(here))}")
    return chosen, here[chosen].get("owner", ""), here[chosen].get("tier", "")


# --- what moved -------------------------------------------------------------------------------


def _drift(asking: Asking, borders: Mapping[str, Mapping[str, str]]) -> Part:
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
    values = asking.now(
        "values of the last 24 hours",
        f"sum by (feature) (version_feature:driftline_feature_values:increase24h{{{of}}})", *by,
    )  # fmt: skip
    now = asking.now("drifting", f"group by (feature) ({moved}{{{of}}})", *by)
    history = asking.over("drifting over time", f"group by (feature) ({moved}{{{of}}})", *by)
    drifting = {feature for (feature,) in now}
    far = {key[0] for key in now if scores.get(key, 0.0) > pages.get(key, math.inf)}

    def urgency(key: Key) -> tuple[bool, bool, float]:
        return key[0] in drifting, key in history, scores.get(key, 0.0) / starts.get(key, math.inf)

    order = sorted({*scores, *history}, key=urgency, reverse=True)
    notable = [key[0] for key in order if key[0] in drifting or key in history]
    shown = min(MOST, len(notable) + FEW)
    rows: list[tuple[str | Badge, ...]] = [
        (
            key[0],
            _verdict(key, drifting, far, scores),
            *(score(of_key[key]) if key in of_key else "" for of_key in (scores, starts, lastweek)),
            whole(values[key]) if key in values else "",
            *_while(history.get(key, []), asking.period),
        )
        for key in order[:shown]
    ]  # fmt: skip
    says, tone, headline = _drift_in_words(asking, order, drifting, far, scores, starts, history)
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


def _verdict(key: Key, drifting: set[str], far: set[str], scores: Mapping[Key, float]) -> Badge:
    if key[0] in drifting:
        return Badge("drifting far", "bad") if key[0] in far else Badge("drifting", "warn")
    return Badge("as in training", "good") if key in scores else Badge("no score", "none")


def _while(points: Points, period: Period) -> tuple[str, str]:
    """Return since when something was so for the last time, and for how long in all."""
    if not points:
        return "", ""
    times = [at for at, _ in points]
    began = next(
        (later for later, earlier in pairwise(reversed(times)) if later - earlier > 1.5 * period.step),
        times[0],
    )  # fmt: skip
    before = "before " if began <= period.start else ""
    return before + moment(began), lasting(_time(times, period.step))


def _time(times: Sequence[float], step: float) -> float:
    """Return how many of the seconds between *times* something was so, a step at least."""
    return max(
        step, sum(later - earlier for earlier, later in pairwise(times) if later - earlier < 1.5 * step)
    )


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
        was = f"Nothing is drifting now; {past} did in this period." if history else NOT_MOVED
        return [f"{was} {watched}"], "good", ""
    these = [key[0] for key in order if key[0] in drifting]
    says = [
        f"{feature}: PSI {score(scores[(feature,)])} of the last 24 hours against training, a ticket from "
        f"{score(starts[(feature,)])}; drifting since {_while(history[(feature,)], asking.period)[0]}."
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
    observed = asking.now(f"share of the last 24 hours in each bin of {feature}", f"{share}{{{of}}}", *by)
    values = asking.now(
        f"values of {feature}, by version",
        f"version_feature:driftline_feature_values:increase24h{{{of}}}",
        *by[:2],
    )
    expected = asking.now(f"share of training in each bin of {feature}", f"{ratio}{{{of}}}", *by)
    lastweek = asking.now(
        f"share of the same hours of last week in each bin of {feature}",
        f"model_feature_bin:driftline_feature_share:24h{{{of}}} offset 1w", *by[1:],
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


# --- faults -----------------------------------------------------------------------------------


def _faults(asking: Asking) -> Part:
    of, by, text = asking.of, ("feature", "fault"), asking.period.text
    faults, rows = (
        "version_feature_fault:driftline_feature_faults:increase1h",
        "version_feature:driftline_feature_rows:increase1h",
    )
    significant = f"version_feature_fault:driftline_feature_faults_significant:ratio1h{{{of}}}"
    hours = asking.now(
        "hours with more faults than in training, beyond chance",
        f"sum_over_time(group by (feature, fault) ({significant})[{text}:1h])", *by,
    )  # fmt: skip
    highest = asking.now(
        "highest share of an hour", f"max by (feature, fault) (max_over_time({significant}[{text}]))", *by
    )
    day = asking.now(
        "share of the last 24 hours",
        f"sum by (feature, fault) (sum_over_time({faults}{{{of}}}[24h:1h]))"
        f" / on (feature) group_left () (sum by (feature) (sum_over_time({rows}{{{of}}}[24h:1h])) > 0)", *by,
    )  # fmt: skip
    training = asking.now(
        "share in training",
        f"max by (feature, fault) (version_feature_fault:driftline_feature_baseline_fault_ratio:avg{{{of}}})", *by,
    )  # fmt: skip
    order = sorted(hours, key=lambda key: -highest.get(key, 0.0))
    table = Table(
        [
            Column("feature"), Column("fault"), Column("last 24 h", number=True), Column("training", number=True),
            Column("highest hour", number=True), Column("hours beyond chance", number=True),
        ],
        [
            (
                feature, fault.replace("_", " "),
                *(percent(shares.get((feature, fault), 0.0)) for shares in (day, training, highest)),
                whole(hours[feature, fault]),
            )
            for feature, fault in order[:MOST]
        ],
    )  # fmt: skip
    many = [key for key in order if day.get(key, 0.0) > max(0.01, 2 * training.get(key, 0.0))]
    says = [
        f"{percent(day[key])} of {key[0]} was {_fault_in_words(key[1])} in the last 24 hours, "
        f"{percent(training.get(key, 0.0))} in training."
        for key in many[:3]
    ]
    none = "No feature had more faults than in training, beyond chance."
    if not training:
        none = "Faults are not judged: nothing is known of training."
    few = "No feature has many more faults than in training." if order else none
    return Part(
        Section("Faults of values", [] if order else [none], table, (), asking.asked()), says or [few]
    )


def _fault_in_words(fault: str) -> str:
    return {
        names.MISSING: "missing",
        names.UNSEEN: "unknown to training",
        names.WRONG_TYPE: "of the wrong type",
        names.OUT_OF_RANGE: "out of training's range",
    }.get(fault, fault)


# --- volume, errors, duration -----------------------------------------------------------------


def _volume(asking: Asking) -> Part:
    of, period = asking.of, asking.period
    rose = f"sum(increase({names.PREDICTIONS.name}{{{of}}}[{period.text}]"
    rows = asking.one("predictions in the period", f"{rose}))") or 0.0
    before = asking.one(f"predictions in the {period.text} before", f"{rose} offset {period.text}))")
    last = asking.one("the last prediction", f"max({names.LAST_PREDICTION.name}{{{of}}})")
    allowed = asking.one("silence that is allowed", f"max({names.SILENCE_THRESHOLD.name}{{{of}}})")
    hourly = asking.line("predictions of each hour", f"model:driftline_predictions:increase1h{{{of}}}")
    least, most = (
        asking.line(f"the {word} of the same hours of past weeks", f"model:driftline_predictions_past_weeks:{name}1h{{{of}}}")
        for word, name in (("least", "min"), ("most", "max"))
    )  # fmt: skip
    change = f", {_change(rows / before - 1)} the {lasting(period.seconds)} before" if before else ""
    says = [f"{whole(rows)} predictions in {lasting(period.seconds)}{change}."]
    silent = last is not None and allowed is not None and period.end - last > allowed
    if last is None:
        says.append("No sidecar has heard of this model at the end of the period.")
    elif silent:
        says.append(f"Silent since {moment(last)}, for {lasting(period.end - last)}.")
    figures = []
    if hourly:
        about = f"Rows of each hour, from {whole(min(v for _, v in hourly))} to {whole(max(v for _, v in hourly))}."
        figures = [
            Figure(
                "Predictions an hour", about,
                draw.lines(
                    {"now": hourly}, brief, about, start=period.start, end=period.end,
                    band=("past weeks, least to most", least, most) if least and most else None,
                ),
            )
        ]  # fmt: skip
    section = Section("Volume", says, None, figures, asking.asked())
    return Part(section, says, "bad" if silent else "good", "The model is silent." if silent else "")


def _change(by: float) -> str:
    if abs(by) < 0.005:
        return "as many as in"
    return f"{percent(abs(by))} {'more' if by > 0 else 'fewer'} than in"


def _service(asking: Asking) -> Part:
    of, period = asking.of, asking.period
    counted, failed = (
        f"{series.name}{{{of}}}[{period.text}]" for series in (names.PREDICTIONS, names.PREDICTION_ERRORS)
    )
    rows = asking.now("rows by version", f"sum by (version) (increase({counted}))", "version")
    errors = asking.now("rows that failed, by version", f"sum by (version) (increase({failed}))", "version")
    kinds = asking.now(
        "rows that failed, by error", f"topk(5, sum by (error_type) (increase({failed})) > 0)", "error_type"
    )
    p50, p95, p99 = (
        asking.now(
            f"duration that {quantile:.0%} of the calls do not exceed",
            f"histogram_quantile({quantile}, sum by (version, le) "
            f"(increase({names.PREDICTION_DURATION.name}_bucket{{{of}}}[{period.text}])))",
            "version",
        )
        for quantile in (0.5, 0.95, 0.99)
    )
    lines = {
        name: asking.line(
            f"{name} of each hour, the slowest version",
            f"max(version:driftline_prediction_duration_seconds:{name}_1h{{{of}}})",
        )
        for name in ("p95", "p99")
    }
    allowed = {
        f"allowed, {name}": asking.line(
            f"{name} that is allowed", f"model:driftline_prediction_duration_threshold_seconds:{name}{{{of}}}"
        )
        for name in ("p95", "p99")
    }
    failing = asking.line(
        "share of each hour's rows that failed, the worst version",
        f"max(version:driftline_prediction_errors:ratio1h{{{of}}})",
    )
    used = asking.now(
        f"part of {BUDGET_DAYS} days' error budget that the period used",
        f"sum_over_time(model:driftline_slo_bad_events:increase5m{{{of}}}[{period.text}:5m])"
        f" / (sum_over_time(model:driftline_slo_events:increase5m{{{of}}}[{period.text}:5m]) > 0)"
        f" / model:driftline_slo_budget:ratio{{{of}}} * {period.seconds / 86_400 / BUDGET_DAYS:g}",
        "slo",
    )
    order = [key for key in sorted(rows, key=lambda key: -rows[key]) if rows[key] >= 0.5]
    table = Table(
        [
            Column("version"), Column("predictions", number=True), Column("failed", number=True),
            *(Column(f"{name} of calls within", number=True) for name in ("50 %", "95 %", "99 %")),
        ],
        [
            (
                key[0], whole(rows[key]), percent(errors.get(key, 0.0) / rows[key]),
                *(seconds(of_key[key]) if key in of_key else "" for of_key in (p50, p95, p99)),
            )
            for key in order
        ],
    )  # fmt: skip
    total = sum(rows.values())
    text = (
        [f"Errors: {listed([f'{kind} {whole(count)}' for (kind,), count in kinds.items()])}."]
        if kinds
        else []
    )
    text += [
        f"The promise {slo}: {percent(share)} of {BUDGET_DAYS} days' error budget used in this period."
        for (slo,), share in sorted(used.items())
    ]
    figures = []
    if any(lines.values()):
        about = "What 95 % and 99 % of each hour's calls do not exceed, in the slowest version."
        shown = {name: points for name, points in allowed.items() if points}
        figures.append(
            Figure(
                "Duration of calls", about,
                draw.lines(lines, seconds, about, start=period.start, end=period.end, allowed=shown),
            )
        )  # fmt: skip
    if any(value for _, value in failing):
        about = f"Share of each hour's rows whose call raised an error, at most {percent(max(v for _, v in failing))}."
        figures.append(
            Figure(
                "Predictions failed", about,
                draw.lines({"failed": failing}, percent, about, start=period.start, end=period.end),
            )
        )  # fmt: skip
    says = [f"{percent(sum(errors.values()) / total)} of them failed."] if total else []
    slowest = max(p99.values(), default=None)
    if says and slowest is not None:
        says = [f"{says[0][:-1]}; 99 % of the calls took at most {seconds(slowest)}."]
    return Part(Section("Errors and duration", text, table, figures, asking.asked()), says)


def _segments(asking: Asking) -> list[Part]:
    """Return the section about the declared segments, where there are any."""
    of, text, by = asking.of, asking.period.text, ("segment",)
    rose = f"sum by (segment) (increase({names.SEGMENT_PREDICTIONS.name}{{{of}}}[{text}]"
    rows = asking.now("predictions in the period, by segment", f"{rose}))", *by)
    before = asking.now(f"predictions in the {text} before, by segment", f"{rose} offset {text}))", *by)
    failed = asking.now(
        "rows that failed, by segment",
        f"sum by (segment) (increase({names.SEGMENT_ERRORS.name}{{{of}}}[{text}]))",
        *by,
    )
    psi = asking.now(
        "PSI of the last 24 hours against last week, by segment and feature",
        f"max by (segment, feature) (segment_feature:driftline_segment_feature_psi:lastweek24h{{{of}}})", "segment", "feature",
    )  # fmt: skip
    furthest = {
        segment: (feature, value) for (segment, feature), value in sorted(psi.items(), key=lambda one: one[1])
    }
    queries = asking.asked()
    order = sorted((key for key in rows if rows[key] >= 0.5), key=lambda key: -rows[key])
    if not order:
        return []
    table = Table(
        [
            Column("segment"), Column("predictions", number=True), Column("period before", number=True),
            Column("failed", number=True), Column("moved most"), Column("PSI to last week", number=True),
        ],
        [
            (
                key[0], whole(rows[key]), whole(before[key]) if key in before else "", percent(failed.get(key, 0.0) / rows[key]),
                *((furthest[key[0]][0], score(furthest[key[0]][1])) if key[0] in furthest else ("", "")),
            )
            for key in order[:MOST]
        ],
    )  # fmt: skip
    more = [f"The {MOST} largest of {len(order)}."] if len(order) > MOST else []
    return [Part(Section("Segments", more, table, (), queries))]


# --- alerts, versions, losses -----------------------------------------------------------------


def _alerts(asking: Asking) -> Part:
    period = asking.period
    by = ("priority", "alertname", "feature", "version")
    alerts = f'ALERTS{{{asking.of}, alertstate="firing"}}'
    # an alert of minutes lies between two points of a week
    fired = f"present_over_time({alerts}[{period.step}s])"
    found = asking.over("alerts that fired", f"group by ({', '.join(by)}) ({fired})", *by)
    now = asking.now("alerts that fire at the end", f"group by ({', '.join(by)}) ({alerts})", *by)
    kinds: dict[Key, dict[str, Points]] = {}
    for (priority, alert, feature, version), points in found.items():
        kinds.setdefault((priority, alert), {})[_about(feature, version)] = points
    open_now: dict[Key, set[str]] = {}
    for priority, alert, feature, version in now:
        open_now.setdefault((priority, alert), set()).add(_about(feature, version))
    rows: list[tuple[str | Badge, ...]] = []
    for kind, members in sorted(kinds.items()):
        times = sorted({at for points in members.values() for at, _ in points})
        firing = open_now.get(kind, set())
        tone: Tone = "good" if not firing else "bad" if kind[0] in ("P1", "P2") else "warn"
        rows.append(
            (
                kind[0], kind[1], Badge(f"{len(firing)} firing" if firing else "over", tone),
                listed(sorted(members, key=lambda about: (about not in firing, about))),
                moment(times[0]), "" if firing else moment(times[-1]), lasting(_time(times, period.step)),
            )
        )  # fmt: skip
    table = Table(
        [
            Column("priority"), Column("alert"), Column("at the end"), Column("about"), Column("first", moment=True),
            Column("last", moment=True), Column("fired for", number=True),
        ],
        rows,
    )  # fmt: skip
    paging = [f"{alert} ({priority})" for priority, alert in open_now if priority in ("P1", "P2")]
    waiting = [f"{alert} ({priority})" for priority, alert in open_now if priority not in ("P1", "P2")]
    firing_now = f"firing at the end: {listed([*paging, *waiting])}" if open_now else "none at the end"
    says = (
        [f"{len(kinds)} kinds of alert fired in this period, {firing_now}."] if kinds else ["No alert fired."]
    )
    text = (
        [
            f"P1 and P2 page somebody, P3 and P4 wait as tickets. What each means and what to do: {RUNBOOKS}.",
            f"Times are to within {lasting(period.step)}.",
        ]
        if kinds
        else ["No alert of this model fired in this period."]
    )
    tone = "bad" if paging else "warn" if waiting else "good"
    headline = (
        f"{listed([*paging, *waiting], 3)} {'is' if len(open_now) == 1 else 'are'} firing."
        if open_now
        else ""
    )
    return Part(Section("Alerts", text, table, (), asking.asked()), says, tone, headline)


def _about(feature: str, version: str) -> str:
    return " ".join(filter(None, (feature, version))) or "the model"


def _versions(asking: Asking) -> Part:
    period = asking.period
    labels = ("version", "state", "baseline", "dataset_version", "deployment_id")
    info = f"group by ({', '.join(labels)}) ({names.MODEL_VERSION_INFO.name}{{{asking.of}}})"
    there = asking.over("versions, baselines and data sets", info, *labels)
    rows = asking.now(
        "predictions in the period",
        f"sum by (version) (increase({names.PREDICTIONS.name}{{{asking.of}}}[{period.text}]))", "version",
    )  # fmt: skip
    order = sorted(there, key=lambda key: there[key][0][0])
    table = Table(
        [
            Column("version"), Column("state"), Column("baseline"), Column("data set"), Column("deployment"),
            Column("first in this period", moment=True), Column("last", moment=True), Column("predictions", number=True),
        ],
        [
            (
                version, Badge(state, "good" if state == "ready" else "warn"), baseline[:12] or "none", data, deployment,
                _first(there[version, state, baseline, data, deployment], period),
                moment(there[version, state, baseline, data, deployment][-1][0]),
                whole(rows.get((version,), 0.0)),
            )
            for version, state, baseline, data, deployment in order
        ],
    )  # fmt: skip
    new = [key for key in order if there[key][0][0] > period.start + 1.5 * period.step]
    says = [
        f"Version {key[0]}, baseline {key[2][:12] or 'none'}, came at {moment(there[key][0][0])}."
        for key in new[:3]
    ]
    learning = sorted({key[0] for key in order if key[1] == "learning"})
    if learning:
        says.append(f"Learning, so without a baseline and not judged: {listed(learning)}.")
    return Part(
        Section("Versions and baselines", (), table, (), asking.asked()),
        says or ["No version or baseline changed."],
    )


def _first(points: Points, period: Period) -> str:
    return "before it" if points[0][0] <= period.start + 0.5 * period.step else moment(points[0][0])


def _heard(asking: Asking) -> Part:
    of, text = asking.of, asking.period.text
    rows = (
        asking.one("predictions in the period", f"sum(increase({names.PREDICTIONS.name}{{{of}}}[{text}]))")
        or 0.0
    )
    unsent, lost = (
        asking.one(f"rows that were {what}", f"sum(increase({series.name}{{{of}}}[{text}]))") or 0.0
        for series, what in (
            (names.SENDER_DROPPED, "not sent"),
            (names.SENDER_LOST, "sent and did not arrive"),
        )
    )
    undeclared = asking.one(
        "values in columns that no baseline knows",
        f"sum(increase({names.UNDECLARED_COLUMNS.name}{{{of}}}[{text}]))",
    )
    says = []
    if rows:
        says.append(
            f"Of {whole(rows)} rows {percent(unsent / rows)} were not sent (a full buffer, sampled uniformly) and "
            f"{percent(lost / rows)} did not arrive. Scores are of the rest."
        )
        if undeclared:
            says.append(
                f"{whole(undeclared)} values were in columns that no baseline knows: they are not judged."
            )
    many = rows > 0 and (unsent + lost) / rows > MANY_LOST
    return Part(Section("What the sidecars saw", says, None, (), asking.asked()), says[:1] if many else [])
