"""Weeks of a model with days and weekends, from its rows to its alerts: monitor, exposition and rules are the real ones.

Rows go into a monitor on a clock that jumps a quarter of an hour at a time; what it shows is handed to
promtool, which evaluates the shipped rules of drift over it.
"""

import functools
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

from driftline.baseline import Baseline
from driftline.cli import binaries
from driftline.sidecar.baselines import Baselines
from driftline.wire import Batch
from watched import Clock, Watched

RULES = Path(__file__).parents[2] / "alert-rules"
STEP, HOUR, DAY = 900, 3600, 86_400
pytestmark = [pytest.mark.stack("promtool"), pytest.mark.timeout(600)]
PER_STEP = 100  # rows in a quarter of an hour at the mean of the day
SETTINGS = "{environment: prod, models: {fraud: {owner: payments, tier: '1'}}}"
FIRED = 'count by (alertname, feature) (last_over_time(ALERTS{alertstate="firing"}[5w]))'
SHOWN = (
    "driftline_feature_values_total",
    "driftline_feature_baseline_ratio",
    "driftline_feature_baseline_values",
    "driftline_feature_overdispersion",
    "driftline_feature_drift_threshold",
    "driftline_model_min_rows",
    "driftline_model_info",
    "driftline_predictions_total",
)


def rows(rng, size, at, *, shift=0.0):
    """Return *size* rows at each time of *at* (seconds since a Monday): hours and weekends have their ways."""
    hour = np.repeat(np.asarray(at) % DAY / DAY, size)
    weekend = np.repeat(np.asarray(at) // DAY % 7 >= 5, size)
    amount = rng.normal(0.3 * np.sin(2 * np.pi * hour) + 0.5 * weekend + shift, 1.0)
    answer = amount + rng.normal(0.0, 0.5, len(hour))
    return {"amount": amount, "age": rng.gamma(4.0, 10.0, len(hour)), "answer": answer}


def train(version, **options):
    """Return a baseline of four weeks, weekends included."""
    data = rows(np.random.default_rng(100 + int(version)), 8, np.arange(4 * 7 * DAY // STEP) * STEP)
    return Baseline.build(data, model="fraud", version=version, task="regression", **options)


@functools.cache
def scrapes(until, *, shift_at=None, shift=0.0, releases=(), **options):
    """Return what a sidecar shows every quarter of an hour up to *until*, as {series: value}, once for all promtools."""
    return [*_scrapes(until, shift_at, shift, releases, options)]


def _scrapes(until, shift_at, shift, releases, options):
    clock, rng = Clock(0.0), np.random.default_rng(5)
    known, version = [train("1", **options)], "1"
    watched = Watched(known[0], settings=SETTINGS, clock=clock)
    for moment in range(0, until, STEP):
        clock.now = float(moment)
        if moment in releases:
            version = str(len(known) + 1)
            known.append(train(version, edges_from=known[-1], **options))
            watched.monitor.reload(Baselines([(Path(b.version), b) for b in known]))
        size = round(PER_STEP * (1 + 0.8 * np.sin(2 * np.pi * moment / DAY)))
        moved = shift if shift_at is not None and moment >= shift_at else 0.0
        data = rows(rng, size, [moment], shift=moved)
        data["@prediction"] = data.pop("answer")
        watched.monitor.observe(Batch(model="fraud", version=version, rows=size, columns=data))
        watched.monitor.tick()
        text = watched.exposition.render().decode()
        yield dict(line.rsplit(" ", 1) for line in text.splitlines() if line.startswith(SHOWN))


def through_the_rules(folder, shown, questions, *, every):
    """Let promtool answer *questions*, (seconds, expression, [(labels, value)]), on what was *shown*."""
    series = {}
    for moment, samples in enumerate(shown):
        for name, value in samples.items():
            series.setdefault(name, ["_"] * moment).append(value)
        for values in series.values():
            values.extend(["_"] * (moment + 1 - len(values)))
    # Recordings before alerts: what was recorded a step ago is older than a query looks back.
    files = [RULES / file for file in ("recording/models.yml", "recording/drift.yml", "alerting/drift.yml")]
    test = {
        "rule_files": [str(file) for file in files],
        "evaluation_interval": every,
        "group_eval_order": [g["name"] for f in files for g in yaml.safe_load(f.read_text())["groups"]],
        "tests": [
            {
                "interval": "15m",
                "input_series": [{"series": s, "values": " ".join(v)} for s, v in series.items()],
                "promql_expr_test": [
                    {
                        "expr": expression,
                        "eval_time": f"{at}s",
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in expected],
                    }
                    for at, expression, expected in questions
                ],
            }
        ],
    }
    (folder / "seasons.yml").write_text(json.dumps(test))
    command = [binaries.need("promtool"), "test", "rules", "seasons.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-15000:] + done.stderr[-3000:]


def test_weekends_raise_nothing_and_a_shift_on_the_second_is_told_within_two_hours(tmp_path):
    """Saturday noon of the second week everything but age moves by 1.5 sd: P2 before two, and nothing ever before."""
    moved = 12 * DAY + 12 * HOUR
    told = moved + 2 * HOUR
    sudden = 'ALERTS{alertname="ModelFeatureShift",alertstate="firing",priority="P2"}'
    weekend = (
        'max_over_time(version_feature:driftline_feature_psi:training24h{feature="amount"}[12d:1h]) > 0.2'
    )
    through_the_rules(
        tmp_path,
        scrapes(told + STEP, shift_at=moved, shift=1.5, prediction="answer"),
        [
            (
                moved - STEP,
                f"count({weekend})",
                [("{}", 1)],
            ),  # it is a weekend that training would call drift
            (moved, FIRED, []),
            (
                told,
                f"count by (feature) ({sudden})",
                [('{feature="@prediction"}', 1), ('{feature="amount"}', 1)],
            ),
        ],
        every="30m",
    )


def test_retrains_keep_last_week(tmp_path):
    """A new version twice a week, with the edges of the one before: last week stays a reference."""
    until = 3 * 7 * DAY
    releases = tuple(day * DAY for day in (7, 10, 14, 17))
    # of the bins that are served on: those of a version that is gone are like last week's, too
    reference = (
        "model_feature:driftline_feature_psi:lastweek24h < 0.02"
        " and model_feature:driftline_feature_values:increase24h > 1000"
    )
    versions = "group by (version) (version_feature:driftline_feature_values:increase1h > 0)"
    through_the_rules(
        tmp_path,
        scrapes(until, releases=releases, features=("amount",)),
        [
            *[(at + 2 * DAY, f"count({reference})", [("{}", 1)]) for at in releases],
            *[(at + 2 * DAY, versions, [(f'{{version="{n}"}}', 1)]) for n, at in enumerate(releases, 2)],
            (until - HOUR, FIRED, []),
        ],
        every="1h",
    )
