"""The service of compose.yaml: a model of PC prices, asked ten times a second, later by PCs that it does not know.

    python service.py BASELINES

writes the model's baseline into the folder BASELINES, as a training job would, and serves until it is stopped.
"""

import os
import signal
import sys
import time

import driftline
from driftline.cli.demo.population import FEATURES, PREDICTION, load, train

NAME, VERSION = "pc-price", "1"


def main(folder):
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    population = load()
    plain = train(population.training)
    learned = population.training[list(FEATURES)]
    driftline.Baseline.build(
        learned.assign(**{PREDICTION: plain.predict(learned)}), model=NAME, version=VERSION, prediction=PREDICTION
    ).save(folder)
    model = driftline.instrument(plain, name=NAME, version=VERSION)
    shift = time.monotonic() + float(os.environ.get("SHIFT_AFTER", "1800"))
    while True:
        asked = population.held_out if time.monotonic() < shift else population.later
        model.predict(asked[list(FEATURES)].sample(3))
        time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1])
