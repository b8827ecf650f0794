"""Values that are missing, unknown, of the wrong type or out of range, beyond what training had."""

from __future__ import annotations

from typing import TYPE_CHECKING

from driftline import names
from driftline.report.asking import MOST, Part
from driftline.report.page import Column, Section, Table
from driftline.report.words import percent, whole

if TYPE_CHECKING:
    from driftline.report.asking import Asking


def faults_of_values(asking: Asking) -> Part:
    """Return the features that had more faults than in training."""
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
