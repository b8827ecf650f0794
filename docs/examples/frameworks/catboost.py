import pandas as pd
from catboost import CatBoostClassifier

import driftline

rows = pd.DataFrame({"plan": ["basic", "pro"] * 50, "seats": range(100)})
model = CatBoostClassifier(iterations=5, verbose=0, allow_writing_files=False)
model.fit(rows, [1, 0] * 50, cat_features=["plan"])
model = driftline.instrument(model, name="churn", version="1")
print(model.predict(rows[:2]), model.predict_proba(rows[:2]))  # sent as @prediction, as @score
