"""ONNX Runtime: the ways to call a session."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

import driftline
from frameworks.subjects import X, session

ROWS = X.astype(np.float32)


def watched(model, receiver):
    return driftline.instrument(model, name="m", version="1", endpoint=receiver.endpoint)


@pytest.mark.parametrize(
    "form",
    [dict, lambda feed: {name: onnxruntime.OrtValue.ortvalue_from_numpy(v) for name, v in feed.items()}],
)
def test_arguments_by_name(receiver, form):
    """Inputs and outputs may go by name, as arrays or as the runtime's own values."""
    model = watched(session("classifier", zipmap=False), receiver)
    (probabilities,) = model.run(output_names=["probabilities"], input_feed=form({"X": ROWS}))
    assert driftline.flush()
    assert receiver.values("@score") == probabilities[:, 1].tolist()
    assert receiver.rows() == len(ROWS)
    assert "@prediction" not in receiver.batches[0].columns


def test_other_ways_are_the_session_s(receiver):
    """What is called besides run is as before, and not recorded."""
    model = watched(session("regressor"), receiver)
    assert model.get_inputs()[0].name == "X"
    binding = model.io_binding()
    binding.bind_cpu_input("X", ROWS)
    binding.bind_output("variable")
    model.run_with_iobinding(binding)
    assert driftline.flush()
    assert receiver.rows() == 0
