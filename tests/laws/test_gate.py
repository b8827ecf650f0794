"""The gates of the drift alerts, simulated: how often they fire for nothing, and how soon for something.

``gate`` has the arithmetic of ``alert-rules/`` in numpy; it is held against promtool below. Traffic is 200 values
an hour on average, on ten bins, in clusters of equal neighbours (twenty rows of one customer); what the
baseline was built from came in the same clusters. Many more months, and other tools beside it: make bench-quality.
"""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from driftline.cli import binaries
from driftline.statistics.overdispersion import MIN_PANES, overdispersion
from gate import (
    DAY,
    MONTH,
    RATIO,
    THRESHOLD,
    WEEK,
    chance,
    ended,
    fires,
    looks,
    looks_of_hours,
    phi,
    psi,
    smoothed,
    sudden_phi,
    traffic,
    weekly_phi,
)

RULES = Path(__file__).parents[2] / "alert-rules"


def false_alerts(rng, cluster):
    hours = traffic(rng, cluster)
    scores = psi(smoothed(ended(hours, DAY), RATIO), RATIO)[:, MIN_PANES - 1 :]
    near = (scores > THRESHOLD).any(axis=1)  # no other feature can fire, and without drift few come near
    firing = fires(hours[:, near])
    return np.count_nonzero(np.diff(firing, prepend=False) & firing)


@pytest.mark.parametrize("cluster", [1, 5, 20])
def test_false_alerts(cluster):
    """Without drift, 100 features raise at most 3 alerts in 30 months, clustered or not."""
    with ThreadPoolExecutor() as pool:
        months = np.random.default_rng(cluster).spawn(30)
        alerts = sum(pool.map(false_alerts, months, [cluster] * 30))
    assert alerts <= 3


@pytest.mark.parametrize(("cluster", "within"), [(1, 24), (5, 24), (20, 10 * DAY)])
def test_detection(cluster, within):
    """A lasting shift of 0.4 sd is found in 95 of 100 features: in a day, in clusters of 20 in ten."""
    start = 8 * DAY
    rng = np.random.default_rng(cluster)
    firing = np.concatenate([fires(traffic(rng, cluster, start, 0.4))[:, start:] for _ in range(5)])
    found = np.where(firing.any(axis=1), firing.argmax(axis=1) + 1, np.inf)
    assert np.quantile(found, 0.95, method="higher") <= within


def test_chance_is_never_low():
    """The floor is chi2's quantile of 1 - 1e-6, up to 15 % too high at two bins, 2.6 % at ten."""
    bins = np.arange(2, 12)
    error = chance(bins) / stats.chi2.isf(1e-6, bins - 1) - 1
    assert error.min() > 0
    assert error[0] == pytest.approx(0.149, abs=1e-3)
    assert error[8] == pytest.approx(0.026, abs=1e-3)


@pytest.mark.parametrize("cluster", [1, 20])
def test_phi_is_the_sidecars(cluster):
    """The simulation measures overdispersion as the sidecar does."""
    hours = traffic(np.random.default_rng(7), cluster)[:, :5]
    found = phi(hours, DAY)
    for feature, end in [(0, 8), (1, 20), (2, 24), (3, 25), (4, MONTH)]:
        expected = overdispersion(hours[:, feature, max(end - DAY, 0) : end].T)
        assert found[feature, end - 1] == pytest.approx(expected, rel=1e-9)
    assert np.isnan(found[:, : MIN_PANES - 1]).all()


@pytest.mark.stack("promtool")
def test_rules_are_the_simulation(tmp_path):
    """From the same counts the shipped rules record the same scores and floors, to 1e-6."""
    ratio, hours = np.array([0.4, 0.3, 0.2, 0.1]), WEEK + 30
    rng = np.random.default_rng(3)
    counts = rng.poisson(50 * rng.dirichlet([8, 6, 4, 2], hours)).astype(float)
    look = {
        name: values[0, -1]
        for name, values in looks(counts.T[:, None], 1.5, 1.25, ratio[:, None, None], 900).items()
    }
    widened = np.roll(sudden_phi(counts.T[:, None]), 1, axis=-1)  # of the round of days before this hour
    sudden = {
        name: values[0, -1]
        for name, values in looks_of_hours(counts.T[:, None], widened, ratio[:, None, None]).items()
    }

    feature = 'environment="prod", model="m", version="1", feature="f", binning="a"'
    sums = np.concatenate([np.zeros((1, 4)), np.cumsum(counts, axis=0)])
    quarters = np.concatenate([sums[0][None], *np.linspace(sums[:-1], sums[1:], 5)[1:].transpose(1, 0, 2)])
    series = {
        f'driftline_feature_overdispersion{{{feature}, window="24h"}}': "1.5",
        f'driftline_feature_overdispersion{{{feature}, window="7d"}}': "1.25",
        f"driftline_feature_baseline_values{{{feature}}}": "900",
        'driftline_model_min_rows{environment="prod", model="m", version="1"}': "100",
        **{f'driftline_feature_baseline_ratio{{{feature}, bin="{b}"}}': f"{q}" for b, q in enumerate(ratio)},
    }
    inputs = [{"series": name, "values": f"{value}x{4 * hours + 4}"} for name, value in series.items()] + [
        {
            "series": f'driftline_feature_values_total{{{feature}, bin="{b}"}}',
            "values": " ".join(map(repr, [*quarters[:, b].tolist(), *[float(sums[-1, b])] * 4])),
        }
        for b in range(4)
    ]
    of_version, of_model = "version_feature:driftline_feature", "model_feature:driftline_feature"
    labels = feature.replace('version="1", ', "")
    day = f"{hours + 1}h"  # the windows of days look at whole hours, up to the last
    expected = [
        (f"{of_version}_psi:training24h", feature, look["training24h"], day),
        (f"{of_version}_pearson:training24h", feature, look["pearson24h"], day),
        (f"{of_version}_chance:training24h", feature, look["chance24h"], day),
        (f"{of_model}_psi:lastweek24h", labels, look["lastweek24h"], day),
        (f"{of_model}_chance:lastweek24h", labels, look["chance_lastweek"], day),
        (f"{of_version}_psi:training7d", feature, look["training7d"], day),
        (f"{of_version}_chance:training7d", feature, look["chance7d"], day),
        (f"{of_model}_overdispersion:lastweek", labels, weekly_phi(counts.T[:, None])[0, -1], f"{hours}h"),
        (f"{of_model}_psi:lastweek3h", labels, sudden["psi"], f"{hours}h"),
        (f"{of_model}_chance:lastweek3h", labels, sudden["chance"], f"{hours}h"),
    ]
    test = {
        "rule_files": [str(RULES / "recording" / name) for name in ("models.yml", "drift.yml")],
        "evaluation_interval": "1h",
        "group_eval_order": [
            f"driftline.{name}" for name in ("models", "bins.hour", "bins.day", "bins.week", "day", "shift")
        ],
        "tests": [
            {
                "interval": "15m",
                "input_series": inputs,
                "promql_expr_test": [
                    {
                        "expr": f"abs({name} - {float(value)!r}) < bool 1e-6",
                        "eval_time": at,
                        "exp_samples": [{"labels": f"{{{of}}}", "value": 1}],
                    }
                    for name, of, value, at in expected
                ],
            }
        ],
    }
    (tmp_path / "gate.yml").write_text(yaml.safe_dump(test))
    command = [binaries.need("promtool"), "test", "rules", "gate.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
