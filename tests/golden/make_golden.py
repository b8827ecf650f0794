"""Numbers that scipy gave, for the statistics to be held to. Never imports driftline.

Run by hand: ``python tests/golden/make_golden.py``; the files are committed.
"""

import json
from pathlib import Path

import numpy as np
import scipy
from scipy.special import rel_entr
from scipy.stats import chi2_contingency

HERE = Path(__file__).parent


def shares(expected, observed):
    e = (expected + 0.5) / (expected.sum() + 0.5 * len(expected))
    return e, (observed + 10 * e) / (observed.sum() + 10)


def psi(expected, observed):
    e, o = shares(expected, observed)
    return float(rel_entr(o, e).sum() + rel_entr(e, o).sum())


def overdispersion(panes):
    found = chi2_contingency(panes, correction=False)
    return max(1.0, float(found.statistic / found.dof))


def pairs(rng):
    yield [100, 800, 100], [200, 700, 100]
    yield [10_000, 0, 5], [0, 20, 0]
    yield [1], [3]
    for bins in (2, 5, 10, 12):
        weights = rng.dirichlet(np.ones(bins))
        for rows in (3, 200, 100_000):
            yield (
                rng.multinomial(50_000, weights).tolist(),
                rng.multinomial(rows, rng.dirichlet(np.ones(bins))).tolist(),
            )


def main():
    rng = np.random.default_rng(20261120)
    tables = [rng.multinomial(200, rng.dirichlet(np.ones(bins) * 50), 12) for bins in (2, 5, 10)]
    tables += [rng.multinomial(10, np.ones(10) / 10, 24) * 20]
    documents = {
        "psi": [
            {"expected": e, "observed": o, "value": psi(np.array(e, float), np.array(o, float))}
            for e, o in pairs(rng)
        ],
        "overdispersion": [{"panes": t.tolist(), "value": overdispersion(t)} for t in tables],
    }
    for name, cases in documents.items():
        document = {"made_with": f"scipy {scipy.__version__}", "cases": cases}
        (HERE / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
