import numpy as np

import driftline

train = np.random.default_rng(0).normal(size=(5000, 384)).astype(np.float32)
baseline = driftline.Baseline.build({"text": train}, model="topics", version="1")  # holds the centroid
model = driftline.instrument(
    lambda vectors: vectors[:, 0] > 0, name="topics", version="1", embedding=baseline.embeddings["text"]
)
model(train[:2])  # sent as text.norm and text.distance; no vector leaves the process
