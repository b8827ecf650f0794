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


def test_a_sparse_tensor_is_left_alone(receiver):
    """It is not made dense; its rows count."""

    class Summing(torch.nn.Module):
        def forward(self, rows):
            return torch.sparse.sum(rows, 1).to_dense()

    model = watched(Summing().eval(), receiver)
    rows = ROWS.to_sparse()
    with Operations() as plain:
        driftline.uninstrument(model)(rows)
    with Operations() as recorded:
        watched(model, receiver)(rows)
    assert recorded.names.count("aten._to_dense.default") == plain.names.count("aten._to_dense.default")
    assert driftline.flush()
    assert receiver.rows() == 4
    assert receiver.batches[0].columns.keys() == {"@latency", "@prediction"}


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


GRAPHS = {
    "script": torch.jit.script,
    "trace": lambda model: torch.jit.trace(model, ROWS, check_trace=False),  # the check calls the model
    "compile": lambda model: torch.compile(model, backend="eager", fullgraph=True),
    "export": lambda model: torch.export.export(model, (ROWS,)).module(),
}


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_graphs_are_drawn_of_the_plain_model(receiver, model, graph, recorded):
    """An instrumented module is scripted, traced, compiled and exported as before; what comes of it is plain."""
    expected = model(ROWS)
    made = graph(recorded(model))
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


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(2, 1)

    def forward(self, rows):
        return self.inner(rows)


def test_a_method_of_a_module(receiver):
    """A module's own predict is one call, though it calls the module."""

    class Predicting(Net):
        def predict(self, rows):
            return (self(rows)[:, 0] > 0).int()

    model = watched(Predicting().eval(), receiver)
    found = model.predict(ROWS)
    assert driftline.flush()
    assert receiver.values("@prediction") == found.tolist()
    assert receiver.rows() == 4


def test_modules_have_no_common_name(receiver, zero_code, caplog):
    """Where no class is named no module is touched: of hundreds in a process few are models. The log says so, once."""
    before = dict(vars(torch.nn.Module))
    zero_code(DRIFTLINE_MODEL_NAME="m")
    assert dict(vars(torch.nn.Module)) == before
    Net().eval()(ROWS)
    assert driftline.flush()
    assert receiver.rows() == 0
    assert caplog.text.count("DRIFTLINE_MODELS, such as Net=fraud@2.3.1") == 1


def test_only_named_modules_are_touched(receiver, zero_code):
    """A module inside a named one, or beside it, pays nothing; it is of a class that nobody named."""
    zero_code(DRIFTLINE_MODELS="Net=m")
    plain = torch.nn.Module.__call__
    assert torch.nn.Linear.__call__ is torch.nn.MSELoss.__call__ is plain is not Net.__call__
    net = Net().eval()
    net(ROWS)
    net.inner(ROWS)
    assert driftline.flush()
    assert receiver.rows() == 4


def test_a_module_that_is_trained_here(receiver, zero_code, caplog):
    """Neither its training nor its validation is recorded, which is said once; a module that only serves is."""
    zero_code(DRIFTLINE_MODELS="Net=m")
    net, other = Net(), Net().eval()
    optimizer = torch.optim.SGD(net.parameters())
    for _ in range(2):
        net.train()
        (net(ROWS) ** 2).mean().backward()
        optimizer.step()
        net.eval()
        with torch.no_grad():
            net(ROWS)
    other(ROWS[:1])
    assert driftline.flush()
    assert receiver.rows() == 1
    assert caplog.text.count("a model that is trained in this process is not recorded") == 1
    driftline.instrument(net, name="by hand", version="1")(ROWS[:3])
    assert driftline.flush()
    assert (receiver.rows("by hand"), receiver.rows()) == (3, 4)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_scripts_and_compiled_modules_by_name(receiver, zero_code, model):
    """What is loaded from a file or compiled goes by the name of torch's own class."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(model), file)
    file.seek(0)
    zero_code(DRIFTLINE_MODELS="RecursiveScriptModule=loaded, OptimizedModule=compiled, Sequential=inside")
    torch.jit.load(file)(ROWS)
    torch.compile(model, backend="eager")(ROWS[:2])
    assert driftline.flush()
    assert (receiver.rows("loaded"), receiver.rows("compiled"), receiver.rows()) == (4, 2, 6)
