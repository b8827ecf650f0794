"""How often drift is told for nothing, and how much of it is found. `make bench-quality` prints it.

With DRIFTLINE_WRITE=1 the tables of docs/detection.md are written. Seeds are fixed: the figures are the same on
every machine, but for the peers', whose releases move. A quarter of an hour.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import gate
from benchmarks.peers import Refused, measure
from driftline.baseline import Baseline

DOCUMENT = Path(__file__).parents[2] / "docs" / "detection.md"
CLUSTERS = {1: "independent", 5: "clusters of 5", 20: "clusters of 20"}
GATES = {"ModelFeatureDrift": gate.fires, "ModelFeatureShift": gate.leaps, "early notice": gate.early}
MONTHS = 100
START = 15 * gate.DAY
ROWS, REFERENCE, FEATURES = gate.HOURLY, 20_000, 10
PEER_VERDICTS = Path(__file__).with_name("peer_verdicts.py")


def starts(firing):
    """Return how many alerts begin."""
    return np.count_nonzero(np.diff(firing, prepend=False) & firing)


def false_alerts(rng, cluster):
    """Return how many alerts of each kind a month of a model without drift raises."""
    hours = gate.traffic(rng, cluster)
    scores = gate.psi(gate.smoothed(gate.ended(hours, gate.DAY), gate.RATIO), gate.RATIO)
    near = (scores > gate.THRESHOLD)[:, gate.MIN_PANES - 1 :].any(axis=1)  # no other feature can fire
    return starts(gate.fires(hours[:, near])), starts(gate.leaps(hours)), starts(gate.early(hours))


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.timeout(1800)
def test_false_alerts(cluster):
    """Without drift, 100 features raise at most one alert in ten months, clustered or not."""
    with ThreadPoolExecutor() as pool:
        months = np.random.default_rng(cluster).spawn(MONTHS)
        drift, shift, early = np.sum([*pool.map(false_alerts, months, [cluster] * MONTHS)], axis=0)
    tell("false", f"{CLUSTERS[cluster]:14} | {drift} | {shift} | {early}")
    assert drift + shift <= MONTHS / 10


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.timeout(1800)
def test_found(cluster):
    """A shift of .4 sd is found in a day in 95 of 100 features unless rows come in twenties; .3 is noticed in one or three."""
    shares, after = {}, {}
    for sd in (0.3, 0.4, 0.8):
        rng = np.random.default_rng(1000 + cluster)
        months = [gate.traffic(rng, cluster, START, sd) for _ in range(10)]
        for name, gates in GATES.items():
            firing = np.concatenate([gates(hours)[:, START:] for hours in months])
            shares[name, sd] = firing[:, : gate.DAY + 1].any(axis=1).mean()
            found = np.where(firing.any(axis=1), firing.argmax(axis=1) + 1, np.inf)
            after[name, sd] = np.quantile(found, [0.5, 0.95], method="higher")
    for (name, sd), share in shares.items():
        median, late = ("-" if hours == np.inf else f"{hours:.0f} h" for hours in after[name, sd])
        tell(
            "found",
            f"{CLUSTERS[cluster]:14} | {sd} | {name} | {share:.0%} | {median} | {late}",
        )
    if cluster < 20:
        assert shares["ModelFeatureDrift", 0.4] >= 0.95
        assert after["early notice", 0.3][1] <= {1: gate.DAY, 5: 3 * gate.DAY}[cluster]


# --- beside the peers, on the same rows ---------------------------------------------------------


def rows(cluster, size, rng, shift=0.0):
    """Return normal rows of FEATURES columns, in clusters of equal neighbours."""
    return np.repeat(rng.normal(shift, 1.0, (size // cluster, FEATURES)), cluster, axis=0)


def ours(reference, month):
    """Return for every feature and hour whether driftline's alert of drift holds."""
    names = [f"f{n}" for n in range(FEATURES)]
    built = Baseline.build(dict(zip(names, reference.T, strict=True)), model="m", version="1")
    hours = (
        np.stack(
            [
                [np.bincount(f.fold, f.count(hour).values, len(f.bins)) for hour in column.reshape(-1, ROWS)]
                for f, column in zip((built.features[name] for name in names), month.T, strict=True)
            ]
        )
        .transpose(2, 0, 1)
        .astype(float)
    )
    ratio = np.stack([built.features[name].ratios for name in names]).T[..., None]
    return gate.fires(hours, ratio) | gate.leaps(hours, ratio)


@pytest.mark.parametrize("cluster", CLUSTERS)
@pytest.mark.timeout(3600)
def test_beside_the_peers(cluster, tmp_path):
    """The same rows to Evidently and NannyML, as their documentation has it: day by day, and hour by hour."""
    rng = np.random.default_rng(42 + cluster)
    reference, quiet = rows(cluster, REFERENCE, rng), rows(cluster, ROWS * gate.MONTH, rng)
    moved = np.vstack([quiet[: ROWS * START], rows(cluster, ROWS * (gate.MONTH - START), rng, 0.4)])
    np.savez(tmp_path / "rows.npz", reference=reference, quiet=quiet, moved=moved)
    firing = ours(reference, quiet)
    found = ours(reference, moved)[:, START : START + gate.DAY + 1].any(axis=1).mean()
    tell(
        "peers",
        f"{CLUSTERS[cluster]:14} | driftline, by the hour | {firing.mean():.2%} | {starts(firing) * 10} | {found:.0%}",
    )
    for peer in ("evidently", "nannyml"):
        try:
            answer = measure(peer, PEER_VERDICTS, peer, tmp_path / "rows.npz", within=3000)
        except Refused as refused:
            tell("peers", f"{CLUSTERS[cluster]:14} | {peer}: {refused} | | |")
            continue
        for name, told in answer["verdicts"].items():
            tell(
                "peers",
                f"{CLUSTERS[cluster]:14} | {peer} {answer['version']}, {name} | {told['flagged']:.2%} | {told['alerts'] * 10} | {told['found']:.0%}",
            )
    assert starts(firing) <= 1


TOLD: dict[str, list[str]] = {}
HEADS = {
    "false": "| rows | ModelFeatureDrift | ModelFeatureShift | early notice |\n| --- | --- | --- | --- |",
    "found": "| rows | shift, sd | told by | in a day | median | 95 % |\n| --- | --- | --- | --- | --- | --- |",
    "peers": "| rows | judged by | looks that say drift | alerts a month, 100 features | 0.4 sd found in a day |\n| --- | --- | --- | --- | --- |",
}


def tell(table, line):
    print(line)
    TOLD.setdefault(table, []).append(f"| {' | '.join(part.strip() for part in line.split('|'))} |")


def teardown_module():
    """Write the tables where they are asked for, each between its two marks."""
    if os.environ.get("DRIFTLINE_WRITE") != "1":
        return
    text = DOCUMENT.read_text()
    for table, lines in TOLD.items():
        mark, end = f"<!-- {table}: made by make bench-quality -->\n", "<!-- end -->"
        before, _, rest = text.partition(mark)
        after = rest.partition(end)[2]
        text = f"{before}{mark}\n{HEADS[table]}\n" + "\n".join(lines) + f"\n\n{end}{after}"
    DOCUMENT.write_text(text)
