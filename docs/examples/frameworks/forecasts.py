import numpy as np
from sklearn.linear_model import LinearRegression

import driftline

past = np.random.default_rng(0).normal(size=(500, 4))
model = LinearRegression().fit(past, past @ np.ones((4, 2)))  # two steps at once
model = driftline.instrument(model, name="demand", version="1", task="forecasting", classes=["h1", "h7"])
model.predict(past[:2])  # sent as @score.h1 and @score.h7

horizons = ["horizon=1", "horizon=7"]  # or a row a step, a segment a horizon
with driftline.observe("sales", "1", [{"stock": 3.0}] * 2, segments=horizons) as call:
    call.prediction = model.predict(past[:1])[0]
