"""Numbers that scipy gave, for the statistics to be held to. Never imports driftline.

Run by hand: ``python tests/golden/make_golden.py``; the files are committed.
"""

import json
from pathlib import Path

import numpy as np
import scipy
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr
from scipy.stats import chi2_contingency, f, false_discovery_control, ks_2samp, wasserstein_distance

HERE = Path(__file__).parent


def shares(case):
    expected, observed = np.array(case["expected"], float), np.array(case["observed"], float)
    e = (expected + 0.5) / (expected.sum() + 0.5 * len(expected))
    return e, (observed + 10 * e) / (observed.sum() + 10)


def psi(case):
    e, o = shares(case)
    return rel_entr(o, e).sum() + rel_entr(e, o).sum()


def hellinger(case):
    e, o = shares(case)
    return np.sqrt(1 - np.sum(np.sqrt(e * o)))  # by hand: scipy has none


def chi_square(case):
    table = np.array([case["expected"], case["observed"]])
    table = table[:, table.sum(axis=0) > 0]
    return chi2_contingency(table, correction=False).statistic


def kolmogorov_smirnov(case):
    bins = np.arange(len(case["expected"]))
    return ks_2samp(*(np.repeat(bins, case[side]) for side in ("expected", "observed"))).statistic


def means(case, side):
    counts = np.array(case[side], float)
    return np.divide(case[f"{side}_sums"], counts, out=np.zeros(len(counts)), where=counts > 0)


def wasserstein(case):
    sides = means(case, "expected"), means(case, "observed")
    return wasserstein_distance(*sides, case["expected"], case["observed"]) / case["stddev"]


def mean_shift(case):
    expected, observed = (np.average(means(case, s), weights=case[s]) for s in ("expected", "observed"))
    return (observed - expected) / case["stddev"]


def variance(case, side):
    mean = np.average(means(case, side), weights=case[side])
    return np.average((means(case, side) - mean) ** 2, weights=case[side])


def variance_ratio(case):  # by hand: scipy has none; None where there is no ratio to a constant
    before = variance(case, "expected")
    return variance(case, "observed") / before if before else None


STATISTICS = {
    "psi": psi,
    "jensen_shannon": lambda case: jensenshannon(*shares(case), base=2),
    "hellinger": hellinger,
    "chi_square": chi_square,
    "total_variation": lambda case: np.abs(np.subtract(*shares(case))).sum() / 2,
    "l_infinity": lambda case: np.abs(np.subtract(*shares(case))).max(),
    "kolmogorov_smirnov": kolmogorov_smirnov,
    "wasserstein": wasserstein,
    "mean_shift": mean_shift,
    "variance_ratio": variance_ratio,
}


def overdispersion(panes):
    found = chi2_contingency(panes, correction=False)
    return max(1.0, found.statistic / found.dof)


def p_value(statistic, bins, phi, panes):
    return f.sf(statistic / phi / (bins - 1), bins - 1, (panes - 1) * (bins - 1))


def pairs(rng):
    yield [100, 800, 100], [200, 700, 100]
    yield [10_000, 0, 5], [0, 20, 0]
    yield [1], [3]
    for bins in (2, 5, 10, 12, 128):
        weights = rng.dirichlet(np.ones(bins))
        for rows in (3, 200, 100_000):
            yield (
                rng.multinomial(50_000, weights).tolist(),
                rng.multinomial(rows, rng.dirichlet(np.ones(bins))).tolist(),
            )


def cases(rng):
    for expected, observed in pairs(rng):
        low = np.arange(len(expected)) * 2.0 - 5
        yield {
            "expected": expected,
            "observed": observed,
            "expected_sums": (np.array(expected) * (low + rng.random(len(low)) * 2)).tolist(),
            "observed_sums": (np.array(observed) * (low + rng.random(len(low)) * 2)).tolist(),
            "stddev": float(rng.uniform(0.5, 3)),
        }


def write(name, **content):
    document = {"made_with": f"scipy {scipy.__version__}", **content}
    (HERE / f"{name}.json").write_text(json.dumps(document) + "\n")


def main():
    rng = np.random.default_rng(20261120)
    made = list(cases(rng))
    for case in made:
        scores = {name: statistic(case) for name, statistic in STATISTICS.items()}
        case["scores"] = {name: None if score is None else float(score) for name, score in scores.items()}
    write("statistics", cases=made)
    tables = [rng.multinomial(200, rng.dirichlet(np.ones(bins) * 50), 12) for bins in (2, 5, 10)]
    tables += [rng.multinomial(10, np.ones(10) / 10, 24) * 20]
    write("overdispersion", cases=[{"panes": t.tolist(), "value": float(overdispersion(t))} for t in tables])
    arguments = [(40.0, 3, 1.0, 12), (40.0, 3, 20.0, 12), (9.0, 10, 1.0, 8), (300.0, 10, 2.5, 24)]
    families = [rng.uniform(0, 1, number) ** 3 for number in (1, 2, 10, 100)]
    families += [np.array([0.2, 0.01, 0.01, 1.0, 0.0])]
    write(
        "false_discovery",
        cases=[{"p_values": p.tolist(), "value": false_discovery_control(p).tolist()} for p in families],
    )
    write("p_value", cases=[{"arguments": a, "value": float(p_value(*a))} for a in arguments])


if __name__ == "__main__":
    main()
