import numpy as np
import xgboost

import driftline

rng = np.random.default_rng(0)
rows = rng.normal(size=(500, 2))
train = xgboost.DMatrix(rows, label=rows[:, 0] > 0, feature_names=["amount", "age"])
booster = xgboost.train({"objective": "binary:logistic"}, train, num_boost_round=5)
booster = driftline.instrument(booster, name="fraud", version="1")
print(booster.predict(xgboost.DMatrix(rows[:2], feature_names=["amount", "age"])))  # sent as @score
