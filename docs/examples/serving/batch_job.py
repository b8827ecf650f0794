import sys

import driftline
import pandas as pd

for rows in pd.read_csv(sys.argv[1], chunksize=10_000):
    with driftline.observe("taxi", "1", rows) as call:
        call.prediction = 9.5 + rows["km"]
    driftline.flush(timeout=60)  # without it a job that is faster than its sender is sampled
