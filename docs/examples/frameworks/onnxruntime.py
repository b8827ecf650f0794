import numpy as np
import onnxruntime
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

import driftline

rows = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
trained = to_onnx(LogisticRegression().fit(rows, rows[:, 0] > 0), rows[:1], options={"zipmap": False})
session = onnxruntime.InferenceSession(trained.SerializeToString())
session = driftline.instrument(session, name="fraud", version="1", feature_names=["amount", "age"])
print(session.run(None, {"X": rows[:2]}))  # labels sent as @prediction, probabilities as @score
