"""What a peer says of a month of rows without drift and with: `peer_verdicts.py PEER ROWS.npz`.

By the day (4,800 rows) every feature and method; by the hour (200 rows) five days of it, for a peer's evaluation of
one feature costs milliseconds.
"""

import logging
import sys
import warnings
from importlib.metadata import version

import numpy as np
import pandas as pd
import peers

PEER, FILE = sys.argv[1:]
DAY, START, HOURS = 4_800, 15, 120
logging.disable(logging.WARNING)
warnings.filterwarnings("ignore")
DATA = np.load(FILE)


def evidently(method, reference, rows, size):
    from evidently.legacy.calculations.stattests import psi_stat_test, wasserstein_stat_test
    from evidently.legacy.core import ColumnType

    test = {"PSI > 0.1": psi_stat_test, "as it comes (W1 > 0.1 sd)": wasserstein_stat_test}[method]
    return np.array(
        [
            [
                test(pd.Series(before), pd.Series(part), ColumnType.Numerical, 0.1).drifted
                for part in column.reshape(-1, size)
            ]
            for before, column in zip(reference.T, rows.T, strict=True)
        ]
    )


def nannyml(method, reference, rows, size):
    import nannyml as nml

    names = [f"f{n}" for n in range(reference.shape[1])]
    made = nml.UnivariateDriftCalculator(column_names=names, continuous_methods=[method], chunk_size=size)
    made.fit(pd.DataFrame(reference, columns=names))
    told = made.calculate(pd.DataFrame(rows, columns=names)).to_df()
    return np.array([told[name, method, "alert"].to_numpy(bool) for name in names])


METHODS = {
    "evidently": (evidently, ("as it comes (W1 > 0.1 sd)", "PSI > 0.1")),
    "nannyml": (nannyml, ("jensen_shannon", "kolmogorov_smirnov")),
}
judge, methods = METHODS[PEER]
verdicts = {}
for name in methods:
    for size, what in ((DAY, "by the day"), (200, "by the hour")):
        quiet = DATA["quiet"] if size == DAY else DATA["quiet"][: 200 * HOURS]
        moved = DATA["moved"][DAY * START : DAY * (START + 1)]
        flagged = judge(name, DATA["reference"], quiet, size)
        alerts = np.count_nonzero(np.diff(flagged, prepend=False, axis=1) & flagged)
        if size != DAY:
            alerts = round(alerts * 720 / HOURS)
        verdicts[f"{name}, {what}"] = {
            "flagged": float(flagged.mean()),
            "alerts": int(alerts),
            "found": float(judge(name, DATA["reference"], moved, size).any(axis=1).mean()),
        }
peers.say(version=version(PEER), verdicts=verdicts)
