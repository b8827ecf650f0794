import lightgbm
import numpy as np

import driftline

rng = np.random.default_rng(0)
rows = rng.normal(size=(500, 2))
model = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(rows, rows[:, 0])
model = driftline.instrument(model, name="price", version="1", feature_names=["area", "age"])
print(model.predict(rows[:2]))  # sent as @prediction; an array has no names, so they are given
