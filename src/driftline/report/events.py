"""What happened: alerts that fired, versions and baselines that came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline import names
from driftline.report.asking import Part, held
from driftline.report.page import Badge, Column, Section, Table
from driftline.report.words import lasting, listed, moment, whole

if TYPE_CHECKING:
    from driftline.report.asking import Asking, Key, Period
    from driftline.report.draw import Points
    from driftline.report.page import Tone

RUNBOOKS = "https://github.com/driftline/driftline/tree/main/alert-rules/runbooks"


def alerts_fired(asking: Asking) -> Part:
    """Return which alerts fired, and which still do."""
    period = asking.period
    by = ("priority", "alertname", "feature", "version")
    alerts = f'ALERTS{{{asking.of}, alertstate="firing"}}'
    found = asking.while_there("alerts that fired", alerts, *by)
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
                moment(times[0]), "" if firing else moment(times[-1]), lasting(held(times, period.step)),
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
            f"Times are to within {lasting(period.reach)}.",
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


def versions(asking: Asking) -> Part:
    """Return which versions and baselines there were, and since when."""
    period = asking.period
    labels = ("version", "state", "baseline", "dataset_version", "deployment_id")
    info = f"{names.MODEL_VERSION_INFO.name}{{{asking.of}}}"
    there = asking.while_there("versions, baselines and data sets", info, *labels)
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
        f"Version {key[0]}, baseline {key[2][:12] or 'none'}, came by {moment(there[key][0][0])}."
        for key in new[:3]
    ]
    learning = sorted({key[0] for key in order if key[1] == "learning"})
    if learning:
        says.append(f"Learning, so without a baseline and not judged: {listed(learning)}.")
    return Part(
        Section(
            "Versions and baselines",
            [f"Times are to within {lasting(period.reach)}."],
            table,
            (),
            asking.asked(),
        ),
        says or ["No version or baseline changed."],
    )


def _first(points: Points, period: Period) -> str:
    return "before it" if points[0][0] <= period.start + 0.5 * period.step else moment(points[0][0])
