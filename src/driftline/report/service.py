"""How the model was served: how much, to whom, how fast, what failed, and what the sidecars heard of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline import names
from driftline.report import draw
from driftline.report.asking import MOST, Part
from driftline.report.page import Column, Figure, Section, Table
from driftline.report.words import brief, lasting, listed, moment, percent, score, seconds, whole

if TYPE_CHECKING:
    from driftline.report.asking import Asking

MANY_LOST = 0.01
BUDGET_DAYS = 30


def volume(asking: Asking) -> Part:
    """Return how many predictions there were, beside those of before, and whether the model is silent."""
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
    if asking.known > period.start:
        says.append(
            f"Prometheus knows nothing of it before {moment(asking.known)}: all here is of the time since."
        )
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


def errors_and_duration(asking: Asking) -> Part:
    """Return what failed and how long calls took, by version, and what is left of the promises."""
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
        f" / model:driftline_slo_budget:ratio{{{of}}} * {(period.end - asking.known) / 86_400 / BUDGET_DAYS:g}",
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


def segments(asking: Asking) -> list[Part]:
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


def heard(asking: Asking) -> Part:
    """Return what the sidecars saw of the rows, and what they did not."""
    of, text = asking.of, asking.period.text
    rows = (
        asking.one("predictions in the period", f"sum(increase({names.PREDICTIONS.name}{{{of}}}[{text}]))")
        or 0.0
    )
    unsent, left_out, lost = (
        asking.one(f"rows that were {what}", f"sum(increase({series.name}{{{of}}}[{text}]))") or 0.0
        for series, what in (
            (names.SENDER_DROPPED, "not sent"),
            (names.SENDER_LEFT_OUT, "left out by the sample rate"),
            (names.SENDER_LOST, "sent and did not arrive"),
        )
    )
    undeclared = asking.one(
        "values in columns that no baseline knows",
        f"sum(increase({names.UNDECLARED_COLUMNS.name}{{{of}}}[{text}]))",
    )
    says = []
    if rows:
        asked_for = f", {percent(left_out / rows)} were left out by the sample rate" if left_out else ""
        says.append(
            f"Of {whole(rows)} rows {percent(unsent / rows)} were not sent (a full buffer, sampled uniformly)"
            f"{asked_for} and {percent(lost / rows)} did not arrive. Scores are of the rest."
        )
        if undeclared:
            says.append(
                f"{whole(undeclared)} values were in columns that no baseline knows: they are not judged."
            )
    many = rows > left_out and (unsent + lost) / (rows - left_out) > MANY_LOST
    return Part(Section("What the sidecars saw", says, None, (), asking.asked()), says[:1] if many else [])
