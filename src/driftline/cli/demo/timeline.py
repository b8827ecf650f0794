"""What the demo saw, in the order it happened, and whether it was what should have happened."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from driftline.cli.demo.screen import clock, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from driftline.cli.demo.phone import Call

LARGE = 0.25
"""PSI from which a shift must be told: large by the rule of thumb, and the threshold of P2."""

SMALL = 0.1
"""PSI under which a shift must not be told: the threshold of P3. Between the two, either is right."""

WATCHDOG = "deadman"
"""The receiver that is called all the time, by design."""


@dataclass
class Timeline:
    """Moments, as ``time.time()`` tells them; None for what has not happened.

    Attributes:
        began: The first row.
        shift: t0, the first row of the other population.
        crossed: t1, the first feature whose merged PSI was above the threshold.
        pending: t2, its alert waits.
        firing: t3, it fires.
        rang: When the phone told of each feature; the first is t4.
        call: The first call about a feature.
        early: What the phone told of a model before t0.
        beside: What it told of driftline itself, at any time: a second in which a busy machine answers no
            scrape is twelve minutes on the demo's clock, and an alert that is right about them.
    """

    began: float
    shift: float | None = None
    crossed: tuple[float, str] | None = None
    pending: tuple[float, str] | None = None
    firing: tuple[float, str] | None = None
    rang: dict[str, float] = field(default_factory=dict)
    call: Call | None = None
    early: list[str] = field(default_factory=list)
    beside: set[str] = field(default_factory=set)
    _heard: int = 0

    def note(
        self, at: float, psi: Mapping[str, float], states: Mapping[str, str], calls: Sequence[Call]
    ) -> None:
        """Take in what is so at the moment *at*.

        Args:
            at: Now.
            psi: The merged score by feature.
            states: ``pending`` or ``firing`` by feature.
            calls: Everything the phone has received so far.
        """
        for call in calls[self._heard :]:
            self._hear(call)
        self._heard = len(calls)
        if self.shift is None:
            return
        above = [feature for feature, score in psi.items() if score > SMALL]
        if self.crossed is None and above:
            self.crossed = (at, max(above, key=psi.__getitem__))
        for state in ("pending", "firing"):
            # what fires now has waited before, between two looks
            found = [feature for feature, now in states.items() if now in (state, "firing")]
            if found and getattr(self, state) is None:
                setattr(self, state, (at, max(found, key=lambda feature: psi.get(feature, 0.0))))

    def _hear(self, call: Call) -> None:
        if call.receiver == WATCHDOG:
            return
        for alert in call.alerts:
            labels = alert["labels"]
            name, feature = labels["alertname"], labels.get("feature")
            if "model" not in labels:
                self.beside.add(name)
            elif self.shift is None or call.at < self.shift:
                self.early.append(f"{name} {feature or ''}".strip())
            elif name == "ModelFeatureDrift" and feature:
                self.call = self.call or call
                self.rang.setdefault(feature, call.at)

    def lines(self, later: str, factor: float) -> list[str]:
        """Return the story, a line a moment, then when the phone told of each feature.

        Args:
            later: What was served from t0 on.
            factor: How much faster than the day the demo's clock runs.
        """
        lines = [_line(self.began, self.began, "", "the first row")]
        if self.shift is None:
            return lines
        shift = self.shift
        lines.append(_line(self.began, shift, "t0", f"the shift begins: {later}"))
        for name, moment, text in (
            ("t1", self.crossed, "fleet PSI of {} above " + str(SMALL)),
            ("t2", self.pending, "ModelFeatureDrift pending: {}"),
            ("t3", self.firing, "ModelFeatureDrift firing: {}"),
        ):
            if moment:
                at, feature = moment
                lines.append(_line(self.began, at, name, f"+{at - shift:.0f} s  {text.format(feature)}"))
        if self.call:
            after = self.call.at - shift
            hours = f"{after * factor / 3600:.0f} h after the shift on the demo's clock"
            rings = f"+{after:.0f} s  the phone rings ({self.call.receiver}), {hours}:"
            lines.append(_line(self.began, self.call.at, "t4", rings))
            lines += wrapped(self.call.alerts[0]["annotations"]["description"], " " * 19, 100)
            rang = ", ".join(f"{feature} +{at - shift:.0f}" for feature, at in self.rang.items())
            lines += wrapped(f"it rang for {rang} s", " " * 19, 100)
        return lines


def faults(timeline: Timeline, beforehand: Mapping[str, float]) -> list[str]:
    """Return what should not have been, nothing when all is well.

    Args:
        timeline: What was seen.
        beforehand: PSI by feature of all later rows against the baseline, known before any was served.
    """
    rang = set(timeline.rang)
    found = [f"the phone rang before the shift: {what}" for what in timeline.early]
    found += [
        f"no alert about {f}, whose PSI is {beforehand[f]:.2f}" for f in expected(beforehand) if f not in rang
    ]
    return found + [
        f"an alert about {f}, whose PSI is {beforehand.get(f, 0.0):.2f}" for f in rang & _small(beforehand)
    ]


def expected(beforehand: Mapping[str, float]) -> list[str]:
    """Return the features that must be told of, the most moved first."""
    return [feature for feature in by_score(beforehand) if beforehand[feature] >= LARGE]


def by_score(scores: Mapping[str, float]) -> list[str]:
    """Return the features of *scores*, the highest first."""
    return sorted(scores, key=lambda feature: -scores[feature])


def named(features: Iterable[str], scores: Mapping[str, float]) -> str:
    """Return features with their scores, as text."""
    return ", ".join(f"{feature} {scores[feature]:.2f}" for feature in features) or "none"


def _small(beforehand: Mapping[str, float]) -> set[str]:
    return {feature for feature, score in beforehand.items() if score < SMALL}


def _line(began: float, at: float, name: str, text: str) -> str:
    return f"  {clock(at - began):>5}  {name:>2}  {text}"
