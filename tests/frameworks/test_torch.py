"""PyTorch: what a module does besides being called."""

from __future__ import annotations

import io
import logging

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import driftline
from driftline.instrumentation import problems

ROWS = torch.arange(8.0).reshape(4, 2)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout(0.5), torch.nn.Linear(3, 1)).eval()


def watched(model, receiver, **more):
    return driftline.instrument(model, name="m", version="1", endpoint=receiver.endpoint, **more)


class Operations(TorchDispatchMode):
    """The operations that torch runs."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        self.names.append(str(operation))
        return operation(*args, **(kwargs or {}))


def test_training_serves_nobody(receiver, model, caplog, monkeypatch):
    """Calls in training mode with gradients on are not recorded, which is said once; all others are."""
    monkeypatch.setattr(problems, "_logged", set())
    watched(model, receiver)
    model.train()
    with caplog.at_level(logging.WARNING, "driftline"):
        for _ in range(3):
            model(ROWS)
    assert [record.message.split(";")[0] for record in caplog.records] == [
        "a torch model in training mode serves nobody"
    ]
    with torch.no_grad():
        model(ROWS[:1])  # dropout at serving, as some do
    model.eval()
    model(ROWS[:2])
    assert driftline.flush()
    assert receiver.rows() == 3


def test_gradients_flow(receiver, model):
    """A recorded call is differentiated as before, with respect to its input too."""
    gradients = []
    for instrumented in (False, True):
        if instrumented:
            watched(model, receiver)
        rows = ROWS.clone().requires_grad_()
        model.zero_grad()
        model(rows).sum().backward()
        gradients.append([rows.grad, *(parameter.grad.clone() for parameter in model.parameters())])
    assert all(map(torch.equal, *gradients))
    assert driftline.flush()
    assert receiver.rows() == 4


def test_nothing_is_computed_or_copied(receiver, model):
    """Recording runs no operation of torch but views and the question where a tensor lies."""
    with Operations() as plain:
        model(ROWS)
    watched(model, receiver)
    with Operations() as recorded:
        model(ROWS)
    added = set(recorded.names) - set(plain.names)
    assert added <= {"aten.detach.default", "aten.alias.default", "aten.is_pinned.default"}
    assert driftline.flush()
    assert receiver.rows() == 4


def test_a_device_is_left_alone(receiver, model):
    """Of tensors on a device nothing is copied; their rows count."""
    watched(model.to("meta"), receiver)
    with Operations() as recorded:
        found = model(ROWS.to("meta"))
    assert found.device.type == "meta"
    assert not [name for name in recorded.names[1:] if "copy" in name]
    assert driftline.flush()
    assert receiver.rows() == 4
    assert receiver.batches[0].columns.keys() == {"@latency"}


def test_saved_and_loaded(receiver, model):
    """What torch saves of an instrumented module, whole or its state, is the plain one's."""
    expected = model(ROWS)
    watched(model, receiver)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    assert b"driftline" not in buffer.getvalue()
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    assert type(loaded) is torch.nn.Sequential
    assert torch.equal(loaded(ROWS), expected)
    loaded.load_state_dict(model.state_dict())
    assert driftline.flush()
    assert receiver.rows() == 0


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize(
    "graph",
    [
        torch.jit.script,
        lambda model: torch.jit.trace(model, ROWS, check_trace=False),  # the check calls the model
        lambda model: torch.compile(model, backend="eager", fullgraph=True),
        lambda model: torch.export.export(model, (ROWS,)).module(),
    ],
    ids=["script", "trace", "compile", "export"],
)
def test_graphs_are_drawn_of_the_plain_model(receiver, model, graph):
    """An instrumented module is scripted, traced, compiled and exported as before; what comes of it is plain."""
    expected = model(ROWS)
    made = graph(watched(model, receiver))
    assert torch.equal(made(ROWS), expected)
    assert driftline.flush()
    assert receiver.rows() == 0


def test_hooks_run_once(receiver, model):
    """A forward hook runs once a call, and sees the instrumented module."""
    seen = []
    watched(model, receiver).register_forward_hook(lambda module, *_: seen.append(module))
    model(ROWS)
    assert seen == [model]


def test_named_inputs_and_logits(receiver):
    """Tensors by name are columns; a module that returns its outputs by name has its logits read."""

    class Named(torch.nn.Module):
        def forward(self, *, age, amount):
            return {"loss": None, "logits": torch.stack([age, amount, age + amount], 1)}

    model = watched(Named().eval(), receiver, task="classification", classes=["a", "b", "c"])
    age, amount = torch.tensor([1.0, 2.0]), torch.tensor([3, 4])
    model(age=age, amount=amount)
    assert driftline.flush()
    assert receiver.values("age") == [1.0, 2.0]
    assert receiver.values("amount") == [3, 4]
    assert receiver.values("@score.c") == [4.0, 6.0]


def test_what_numpy_lacks(receiver):
    """A bfloat16 tensor is not converted: its rows count, and the model is as quick as before."""
    model = watched(torch.nn.Linear(2, 1, dtype=torch.bfloat16).eval(), receiver)
    model(ROWS.bfloat16())
    assert driftline.flush()
    assert receiver.rows() == 4
    assert receiver.batches[0].columns.keys() == {"@latency"}


def test_a_method_of_a_module(receiver):
    """A module's own predict is one call, though it calls the module."""

    class Predicting(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(2, 1)

        def forward(self, rows):
            return self.linear(rows)

        def predict(self, rows):
            return (self(rows)[:, 0] > 0).int()

    model = watched(Predicting().eval(), receiver)
    found = model.predict(ROWS)
    assert driftline.flush()
    assert receiver.values("@prediction") == found.tolist()
    assert receiver.rows() == 4
