from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import driftline

flowers = load_iris(as_frame=True)
model = make_pipeline(StandardScaler(), LogisticRegression())
model.fit(flowers.data, flowers.target_names[flowers.target])
model = driftline.instrument(model, name="iris", version="1")
print(model.predict(flowers.data[:2]))  # sent as @prediction
print(model.predict_proba(flowers.data[:2]))  # sent as @score.setosa, @score.versicolor, @score.virginica
