"""What ``compare`` found, as a page: which features moved, and how they were and are spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline.report import draw
from driftline.report.page import Badge, Column, Page, Section, Table
from driftline.report.words import PSI, listed, percent, score, whole

if TYPE_CHECKING:
    from driftline.compare import Comparison, Verdict
    from driftline.report.page import Figure, Tone

DRAWN = 12
"""Features that are drawn."""
NOTES = (
    (
        f"{PSI} KS is the largest gap between the cumulated shares, W1 how far values moved on average, in "
        "standard deviations of what was expected; categories have neither."
    ),
    (
        "By chance: how often chance alone moves a feature so far. phi says how many times more the stretches of the rows "
        "differ than independent rows would: 1 is no more; rows that are sorted or come in clusters count as fewer."
    ),
)


def comparison(
    found: Comparison, *, expected: str, expected_rows: int, observed: str, threshold: float
) -> Page:
    """Return the page of *found*, which compares the rows called *observed* with those called *expected*."""
    drifted, faulty = found.drifted, found.faulty
    has = "has" if len(drifted) == 1 else "have"
    verdict = (
        f"{listed([one.feature for one in drifted])} {has} moved."
        if drifted
        else f"Values of {listed([one.feature for one in faulty])} have more faults than before."
        if faulty
        else "Nothing has moved more than chance explains and the threshold allows."
    )
    says = [f"{len(drifted)} of {len(found.verdicts)} features and outputs have moved."] if drifted else []
    says += [f"{one.feature}: {_faults(one)}." for one in faulty[:5]]
    return Page(
        title=f"{observed} against {expected}",
        facts=(
            ("expected", f"{expected}, {whole(expected_rows)} rows"),
            ("observed", f"{observed}, {whole(found.rows)} rows"),
            ("threshold", f"PSI {threshold:g}"),
        ),
        tone="warn" if drifted or faulty else "good",
        verdict=verdict,
        says=[*says, *found.notes],
        sections=[Section("Features", (), _table(found)), Section("Spread", *_figures(found))],
        notes=NOTES,
    )


def _figures(found: Comparison) -> tuple[list[str], None, list[Figure]]:
    """Draw what moved, or where nothing did, what came nearest to it."""
    moved = [verdict for verdict in found.verdicts if verdict.found and verdict.spread]
    chosen = moved or [verdict for verdict in found.verdicts if verdict.spread][:4]
    says = [f"The {DRAWN} that moved furthest, of {len(moved)}."] if len(moved) > DRAWN else []
    if not moved:
        says = ["Nothing moved; these came nearest to it."]
    figures = [
        draw.spread(
            one.feature, one.spread.bins, {"expected": one.spread.expected, "observed": one.spread.observed}
        )
        for one in chosen[:DRAWN]
        if one.spread
    ]
    return says, None, figures


def _table(found: Comparison) -> Table:
    columns = [
        Column("feature"),
        Column("verdict"),
        *(Column(name, number=True) for name in ("PSI", "KS", "W1, sd")),
    ]
    columns += [Column("by chance", number=True), Column("phi", number=True), Column("faults")]
    return Table(columns, [_row(verdict) for verdict in found.verdicts])


def _row(one: Verdict) -> tuple[str | Badge, ...]:
    tone: Tone = "warn" if one.found else "none" if one.says in ("no values", "too few rows") else "good"
    scores = (
        score(one.scores[name]) if name in one.scores else ""
        for name in ("psi", "kolmogorov_smirnov", "wasserstein")
    )
    chance = "" if one.p_value is None else "< 1e-6" if one.p_value < 1e-6 else f"{one.p_value:.2g}"
    phi = "" if one.overdispersion is None else f"{one.overdispersion:.1f}"
    return (one.feature, Badge(one.says, tone), *scores, chance, phi, _faults(one))


def _faults(one: Verdict) -> str:
    return ", ".join(f"{percent(share)} {fault.replace('_', ' ')}" for fault, share in one.faults.items())
