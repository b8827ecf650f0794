"""The gates of ModelFeatureDrift, simulated: how often it fires for nothing, and how soon for something.

``looks`` and ``fires`` are the arithmetic of ``alert-rules/`` in numpy, held against promtool below.
Traffic is 200 values an hour on average, on ten bins, in clusters of equal neighbours (twenty rows of
one customer); what the baseline was built from came in the same clusters.
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

RULES = Path(__file__).parents[2] / "alert-rules"
THRESHOLD, ALONE, MIN_ROWS, DAY, WEEK = 0.1, 0.25, 200, 24, 168
FEATURES, MONTH, HOURLY, BASELINE = 100, 30 * DAY, 200, 10_000
RATIO = np.full((10, 1, 1), 0.1)


def chance(bins):
    """Return what PSI / (1/N + 1/M) exceeds by chance once in a million looks."""
    degrees = bins - 1
    return degrees * (1 - 2 / (9 * degrees) + 4.753424 * np.sqrt(2 / (9 * degrees))) ** 3


def ended(steps, length):
    """Return, for every step, the sum of the last *length*; fewer where fewer have been."""
    sums = np.cumsum(steps, axis=-1)
    sums[..., length:] -= sums[..., :-length].copy()
    return sums


def phi(panes, length):
    """Return the overdispersion of the last *length* panes of each step; NaN under eight."""
    rows = panes.sum(0)
    parts = ended(np.divide(panes**2, rows, out=np.zeros_like(panes), where=rows > 0), length)
    counts, held = ended(panes, length), ended(1.0 * (rows > 0), length)
    degrees = (held - 1) * (np.count_nonzero(counts, axis=0) - 1)
    ratio = np.divide(parts, counts, out=parts, where=counts > 0).sum(0)
    found = counts.sum(0) * (ratio - 1) / np.maximum(degrees, 1)
    return np.where(held >= MIN_PANES, np.maximum(found, 1), np.nan)


def psi(observed, expected):
    return np.sum((observed - expected) * np.log(observed / expected), axis=0)


def pearson(observed, expected):
    return np.sum((observed - expected) ** 2 / expected, axis=0)


def smoothed(counts, ratio):
    return (counts + 10 * ratio) / (counts.sum(0) + 10)


def looks(hours, phi24, phi7d, ratio=RATIO, baseline=BASELINE):
    """Return what the rules record for every feature and hour, from counts of shape (bins, features, hours)."""
    day, week = ended(hours, DAY), ended(hours, WEEK)
    rows, share = day.sum(0), smoothed(day, ratio)
    then, rows_then = np.roll(share, WEEK, axis=-1), np.roll(rows, WEEK, axis=-1)
    then[..., : WEEK + DAY], rows_then[..., : WEEK + DAY] = ratio, 0  # a first day that is not whole is none
    quantile = chance(len(ratio))
    with np.errstate(divide="ignore"):  # no rows: a floor of infinity, as in PromQL
        return {
            "rows": rows,
            "rows_then": rows_then,
            "training24h": psi(share, ratio),
            "pearson24h": pearson(share, ratio),
            "chance24h": phi24 * quantile * (1 / rows + 1 / baseline),
            "lastweek24h": psi(share, then),
            "chance_lastweek": phi24 * quantile * (1 / rows + 1 / rows_then),
            "training7d": psi(smoothed(week, ratio), ratio),
            "chance7d": phi7d * quantile * (1 / week.sum(0) + 1 / baseline),
        }


def fires(hours):
    """Return for every feature and hour whether ModelFeatureDrift's expression holds."""
    ends = np.arange(1, hours.shape[-1] + 1)
    blocks = hours.reshape(*hours.shape[:2], len(ends) // 6, 6).sum(-1)
    phi7d = np.where(ends < 6, np.nan, phi(blocks, 28)[:, ends // 6 - 1])
    look = looks(hours, phi(hours, DAY), phi7d)
    both = np.minimum(look["training24h"], look["pearson24h"])
    significant = (both > look["chance24h"]) & (look["rows"] >= MIN_ROWS)
    moved = (look["lastweek24h"] > look["chance_lastweek"]) & (look["lastweek24h"] > THRESHOLD)
    known = look["rows_then"] >= MIN_ROWS
    by_week = (ends > 6 * DAY) & (look["training7d"] > np.maximum(look["chance7d"], THRESHOLD))
    by_day = significant & np.where(known, moved, look["training24h"] > ALONE)
    return (look["training24h"] > THRESHOLD) & (by_day | by_week)


def traffic(rng, cluster, shift_from=MONTH, shift=0.0):
    """Return a month of hourly counts per bin and feature, moved by *shift* sd from an hour on."""
    trained = rng.dirichlet(BASELINE / cluster * RATIO[:, 0, 0], FEATURES).T[..., None]
    edges = stats.norm.ppf(np.clip(np.cumsum(trained, axis=0), 0, 1))
    moved = np.diff(stats.norm.cdf(edges - shift), prepend=0, axis=0)
    shares = np.where(np.arange(MONTH) >= shift_from, moved, trained)
    return cluster * rng.poisson(HOURLY / cluster * shares).astype(float)


def false_alerts(rng, cluster):
    hours = traffic(rng, cluster)
    scores = psi(smoothed(ended(hours, DAY), RATIO), RATIO)[:, MIN_PANES - 1 :]
    near = (scores > THRESHOLD).any(axis=1)  # no other feature can fire, and without drift few come near
    firing = fires(hours[:, near])
    return np.count_nonzero(np.diff(firing, prepend=False) & firing)


@pytest.mark.parametrize("cluster", [1, 5, 20])
def test_false_alerts(cluster):
    """Without drift, 100 features raise at most 10 alerts in 100 months, clustered or not."""
    with ThreadPoolExecutor() as pool:
        months = np.random.default_rng(cluster).spawn(100)
        alerts = sum(pool.map(false_alerts, months, [cluster] * 100))
    print(f"clusters of {cluster}: {alerts} false alerts in 100 model-months")
    assert alerts <= 10


@pytest.mark.parametrize(("cluster", "within"), [(1, 24), (5, 24), (20, 10 * DAY)])
def test_detection(cluster, within):
    """A lasting shift of 0.4 sd is found in 95 of 100 features: in a day, in clusters of 20 in ten."""
    start = 8 * DAY
    rng = np.random.default_rng(cluster)
    firing = np.concatenate([fires(traffic(rng, cluster, start, 0.4))[:, start:] for _ in range(5)])
    found = np.where(firing.any(axis=1), firing.argmax(axis=1) + 1, np.inf)
    median, late = np.quantile(found, [0.5, 0.95], method="higher")
    print(f"clusters of {cluster}: 0.4 sd found after {median:.0f} h (median), {late:.0f} h (95 %)")
    assert late <= within


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

    feature = 'environment="prod", model="m", version="1", feature="f", binning="a"'
    sums = np.concatenate([np.zeros((1, 4)), np.cumsum(counts, axis=0)])
    quarters = np.concatenate([sums[0][None], *np.linspace(sums[:-1], sums[1:], 5)[1:].transpose(1, 0, 2)])
    series = {
        f'driftline_feature_overdispersion{{{feature}, window="24h"}}': "1.5",
        f'driftline_feature_overdispersion{{{feature}, window="7d"}}': "1.25",
        f"driftline_feature_baseline_values{{{feature}}}": "900",
        'driftline_model_min_rows{environment="prod", model="m", version="1"}': "200",
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
    expected = [
        (f"{of_version}_psi:training24h", feature, look["training24h"]),
        (f"{of_version}_pearson:training24h", feature, look["pearson24h"]),
        (f"{of_version}_chance:training24h", feature, look["chance24h"]),
        (f"{of_model}_psi:lastweek24h", labels, look["lastweek24h"]),
        (f"{of_model}_chance:lastweek24h", labels, look["chance_lastweek"]),
        (f"{of_version}_psi:training7d", feature, look["training7d"]),
        (f"{of_version}_chance:training7d", feature, look["chance7d"]),
    ]
    test = {
        "rule_files": [str(RULES / "recording" / name) for name in ("models.yml", "drift.yml")],
        "evaluation_interval": "1h",
        "group_eval_order": ["driftline.models", "driftline.hour", "driftline.day", "driftline.week"],
        "tests": [
            {
                "interval": "15m",
                "input_series": inputs,
                "promql_expr_test": [
                    {
                        "expr": f"abs({name} - {value!r}) < bool 1e-6",
                        "eval_time": f"{hours + 1}h",  # the rules look at whole hours, up to the last
                        "exp_samples": [{"labels": f"{{{of}}}", "value": 1}],
                    }
                    for name, of, value in [(name, of, float(value)) for name, of, value in expected]
                ],
            }
        ],
    }
    (tmp_path / "gate.yml").write_text(yaml.safe_dump(test))
    command = [binaries.need("promtool"), "test", "rules", "gate.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
