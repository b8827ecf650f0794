import keras
import numpy as np

import driftline

model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)])
model = driftline.instrument(
    model, name="demand", version="1", task="regression", feature_names=["price", "weekday"]
)
print(model.predict(np.ones((2, 2)), verbose=0))  # sent as @prediction
