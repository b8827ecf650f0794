"""Drift of 100,000 rows against 100,000, by one peer: microseconds of CPU a feature. `peer_drift.py PEER`."""

import logging
import sys
from importlib.metadata import version

import numpy as np
import peers

ROWS, NUMBERS, TEXTS = 100_000, 4, 2
PEER = sys.argv[1]
logging.disable(logging.WARNING)
rng = np.random.default_rng(20261120)


def frames(shift):
    import pandas as pd

    names = np.array([f"category_{number:02d}" for number in range(50)])
    numbers = pd.DataFrame({f"f{n}": rng.normal(shift, 1, ROWS) for n in range(NUMBERS)})
    texts = pd.DataFrame({f"c{n}": names[rng.integers(0, 50, ROWS)].astype(object) for n in range(TEXTS)})
    return numbers, texts


def evidently():
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    def dataset(frame, **kinds):
        return Dataset.from_pandas(frame, data_definition=DataDefinition(**kinds))

    numbers, texts = (
        [dataset(frame, **{kind: list(frame)}) for frame in pair]
        for kind, pair in zip(
            ("numerical_columns", "categorical_columns"), zip(*both, strict=True), strict=True
        )
    )
    for what, method in (("psi", "psi"), ("ks", "ks"), ("w1", "wasserstein"), ("js", "jensenshannon")):
        columns = [f"f{n}" for n in range(NUMBERS)]
        yield (
            what,
            NUMBERS,
            lambda m=method, c=columns: Report([ValueDrift(column=k, method=m) for k in c]).run(
                numbers[1], numbers[0]
            ),
        )
    columns = [f"c{n}" for n in range(TEXTS)]
    yield (
        "text",
        TEXTS,
        lambda: Report([ValueDrift(column=k, method="psi") for k in columns]).run(texts[1], texts[0]),
    )


def nannyml():
    import nannyml as nml

    (numbers, texts), (numbers_now, texts_now) = both
    for what, method in (("ks", "kolmogorov_smirnov"), ("w1", "wasserstein"), ("js", "jensen_shannon")):
        made = nml.UnivariateDriftCalculator(
            column_names=list(numbers), continuous_methods=[method], chunk_size=ROWS
        ).fit(numbers)
        yield what, NUMBERS, lambda made=made: made.calculate(numbers_now)
    made = nml.UnivariateDriftCalculator(
        column_names=list(texts),
        treat_as_categorical=list(texts),
        categorical_methods=["l_infinity"],
        chunk_size=ROWS,
    ).fit(texts)
    yield "text", TEXTS, lambda: made.calculate(texts_now)


def whylogs():
    import whylogs as why
    from whylogs.viz.drift.column_drift_algorithms import KS, calculate_drift_scores

    (numbers, _), (numbers_now, texts_now) = both
    before = why.log(pandas=numbers).view()

    def ks():
        calculate_drift_scores(
            why.log(pandas=numbers_now).view(), before, drift_map={k: KS() for k in numbers}
        )

    yield "ks", NUMBERS, ks
    yield "text", TEXTS, lambda: why.log(pandas=texts_now).view()


def scouter():
    from scouter import Drifter, PsiDriftConfig

    numbers, numbers_now = (pair[0].to_numpy() for pair in both)  # it knows no type of a DataFrame's columns
    drifter = Drifter()
    profile = drifter.create_drift_profile(numbers, PsiDriftConfig(space="s", name="m", version="0.0.1"))
    yield "psi", NUMBERS, lambda: drifter.compute_drift(numbers_now, profile)


both = [frames(0.0), frames(0.1)]
found = {}
for what, features, work in {f.__name__: f for f in (evidently, nannyml, whylogs, scouter)}[PEER]():
    (told,) = peers.cpu({what: work}, 3).values()
    found[what] = told if isinstance(told, str) else told / features
installed = {name: version(name) for name in (peers.PEERS[PEER][0].partition("[")[0], "numpy")}
peers.say(versions=installed, reference=peers.reference(), figures=found)
