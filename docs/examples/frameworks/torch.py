import torch

import driftline

model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3), torch.nn.Softmax(dim=1))
model = driftline.instrument(
    model.eval(),  # in training mode a call serves nobody
    name="sentiment",
    version="1",
    task="classification",
    feature_names=["length", "exclamations"],
    classes=["bad", "fair", "good"],
)
print(model(torch.ones(2, 2)))  # sent as @score.bad, @score.fair, @score.good
