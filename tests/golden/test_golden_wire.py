"""The committed requests are read as the files beside them say; other implementations hold themselves to them too."""

import json
from pathlib import Path

import numpy as np
import pytest

from driftline.columns import Coded
from driftline.wire import decode, decode_json

HERE = Path(__file__).parent / "wire"
REQUESTS = sorted(HERE.glob("*.request.*"))


def read_column(column):
    """Return a column as the expectations are written."""
    if isinstance(column, Coded):
        texts = [None if code < 0 else column.texts[code] for code in column.codes.tolist()]
        return {"kind": "text", "values": texts}
    if column.dtype.kind == "V":
        return {"kind": "id", "values": [item.hex() for item in column.tolist()]}
    if column.dtype.kind in "bO":
        return {"kind": "boolean" if column.dtype.kind == "b" else "mixed", "values": column.tolist()}
    special = {np.inf: "Infinity", -np.inf: "-Infinity"}
    # a float32 is written as the shortest number that reads back as one
    values = [float(str(item)) for item in column] if column.dtype.kind == "f" else column.tolist()
    return {
        "kind": "number",
        "values": [None if np.isnan(item) else special.get(item, item) for item in values],
    }


def read_batch(batch):
    """Return a batch as the expectations are written: without what the record did not say."""
    said = {name: getattr(batch, name) for name in batch.__slots__ if name not in ("columns", "records")}
    if batch.stream is not None:
        said["stream"] = batch.stream.hex()
    if batch.counts is not None:
        said["counts"] = {name: counted.tolist() for name, counted in batch.counts.items()}
    said = {name: value for name, value in said.items() if value not in (None, {})}
    return said | {"columns": {name: read_column(column) for name, column in batch.columns.items()}}


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: path.name)
def test_requests_are_read_as_written(path):
    """Every vector is read as expected, rejections by reason and in order."""
    expected = json.loads((HERE / f"{path.name.split('.')[0]}.expected.json").read_text())
    request = (decode_json if path.suffix == ".json" else decode)(path.read_bytes())
    assert [read_batch(batch) for batch in request.batches] == expected["batches"]
    assert [error.reason for error in request.rejected] == expected["rejected"]
    assert request.ignored == expected["ignored"]


def test_there_are_vectors():
    """Each form of the contract has a vector."""
    assert [path.name for path in REQUESTS] == [
        "arrays.request.bin",
        "counts.request.bin",
        "flat.request.bin",
        "json.request.json",
        "packed.request.bin",
        "refused.request.bin",
    ]
