import numpy as np

import driftline

train = np.random.default_rng(0).normal(size=(5000, 384)).astype(np.float32)
embedding = driftline.Embedding.of("text", train)  # keep its centroid beside the model: np.save
baseline = driftline.Baseline.build(embedding.columns(train), model="topics", version="1")
model = driftline.instrument(
    lambda vectors: vectors[:, 0] > 0, name="topics", version="1", embedding=embedding
)
model(train[:2])  # sent as text.norm and text.distance; no vector leaves the process
