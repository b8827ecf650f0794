"""What holds for every batch and for every body, whatever they contain."""

import json
import math

import numpy as np
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from driftline import names
from driftline.columns import Coded, categories, category_text, clip, is_missing, numbers, of
from driftline.errors import RequestUnreadable
from driftline.wire import Batch, decode, decode_json, encode
from golden.make_wire import fill

TEXT = st.text(max_size=40) | st.text(st.characters(), max_size=200) | st.just("\ud800")
ITEMS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | TEXT
    | st.just(10**400)
    | st.builds(np.float32, st.floats(width=32))
)
DTYPES = ["f4", "f8", "i1", "i2", "i4", "i8", "?", "u1", "u2", "u4", "u8", "f2", ">f4", ">i8"]


@st.composite
def coded(draw, rows):
    """Draw text as codes, of a few or of too many texts for a dictionary."""
    texts = draw(st.lists(TEXT, unique=True, max_size=5))
    if draw(st.booleans()):
        texts += [f"text {number}" for number in range(draw(st.sampled_from([130, 1100])))]
    codes = draw(
        hnp.arrays(draw(st.sampled_from(["i2", "i8"])), rows, elements=st.integers(-1, len(texts) - 1))
    )
    return Coded(codes, tuple(texts))


def column(rows):
    """Draw a column of any kind."""
    return st.one_of(
        st.sampled_from(DTYPES).flatmap(lambda dtype: hnp.arrays(dtype, rows)),
        coded(rows),
        st.lists(ITEMS, min_size=rows, max_size=rows).map(of),
        st.binary(min_size=16 * rows, max_size=16 * rows).map(lambda raw: np.frombuffer(raw, "V16")),
    )


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda name: name[0] != "@"
)
SAID = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@st.composite
def batches(draw, most=40):
    """Draw a batch of any columns."""
    count = draw(st.integers(1, most))
    reserved = st.sampled_from(
        ["@prediction", "@score", "@score.a b", "@latency", "@error", "@time", "@entity"]
    )
    number = st.none() | st.integers(0, 2**63 - 1)
    return Batch(
        model=draw(SAID),
        version=draw(SAID),
        rows=count,
        columns=draw(st.dictionaries(NAMES | reserved, column(count), min_size=1, max_size=5)),
        stream=draw(st.none() | st.binary(min_size=16, max_size=16)),
        sequence=draw(number),
        rows_total=draw(number),
        dropped_rows_total=draw(number),
        left_out_rows_total=draw(number),
        error_rows_total=draw(number),
        sample_rate=draw(st.none() | st.floats(0, 1, exclude_min=True)),
        baseline_id=draw(st.none() | SAID),
        dataset_version=draw(st.none() | SAID),
        task=draw(st.none() | st.sampled_from(names.TASKS)),
        segment=draw(st.none() | SAID.map(lambda text: f"name={text}")),
        resource=draw(st.dictionaries(SAID, SAID, max_size=3)),
    )


def meaning(item):
    """Return what one value means on the wire: its kind and its value, None where it is missing."""
    if is_missing(item):
        return None
    if isinstance(item, str):
        return "text", clip(item)
    if isinstance(item, bool | np.bool_):
        return "boolean", bool(item)
    if isinstance(item, bytes):
        return "id", item
    try:
        return "number", float(item)
    except OverflowError:
        return "number", math.inf


def meanings(column):
    """Return what the values of a column mean, row by row."""
    if isinstance(column, Coded):
        return [None if code < 0 else meaning(column.texts[code]) for code in column.codes.tolist()]
    return [meaning(item) for item in column.tolist()]


def said(batch):
    """Return all of a batch but its columns."""
    return {name: getattr(batch, name) for name in Batch.__slots__ if name != "columns"}


@given(batch=batches())
def test_round_trip(batch):
    """What is sent arrives, value by value, and says the same of itself."""
    request = decode(encode(batch))
    assert not request.rejected
    (read,) = request.batches
    assert said(read) == said(batch)
    assert list(read.columns) == list(batch.columns)
    for name, column in batch.columns.items():
        assert meanings(read.columns[name]) == meanings(column), name


@given(
    column=st.sampled_from(["f4", "f8", "i1", "i2", "i4", "i8", "?"]).flatmap(
        lambda dtype: hnp.arrays(dtype, 5)
    )
)
def test_exact(column):
    """A type that the wire has arrives bit by bit."""
    batch = Batch(model="m", version="1", rows=5, columns={"x": column})
    read = decode(encode(batch)).batches[0].columns["x"]
    assert read.dtype == column.dtype
    assert read.tobytes() == column.tobytes()


@given(batch=batches(most=10))
def test_json_means_the_same(batch):
    """A request in JSON, as protobuf writes it, is read like the same in protobuf."""
    raw = encode(batch)
    written = MessageToJson(ExportLogsServiceRequest.FromString(raw))
    (one,) = decode(raw).batches
    (other,) = decode_json(written.encode()).batches
    assert said(one) == said(other)
    for name, column in one.columns.items():
        assert meanings(other.columns[name]) == meanings(column), name


@given(batches=st.lists(batches(most=3), max_size=4), data=st.data())
def test_damage_is_contained(batches, data):
    """However a body is damaged, it is read or said to be unreadable, and refusals have listed reasons."""
    body = bytearray(b"".join(encode(batch) for batch in batches))
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, max(len(body) - 1, 0)), st.integers(0, 255)))
    ):
        if body:
            body[place] = byte
    cut = data.draw(st.integers(0, len(body)))
    for raw in (bytes(body), bytes(body[:cut])):
        try:
            request = decode(raw)
        except RequestUnreadable:
            continue
        assert {error.reason for error in request.rejected} <= set(names.REJECTED_REASONS)
        for batch in request.batches:
            assert all(len(column) == batch.rows for column in batch.columns.values())
            encode(batch)


FIELDS = (
    "resourceLogs resource scopeLogs logRecords log_records attributes key value values arrayValue "
    "kvlistValue doubleValue intValue bytesValue eventName"
)
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda trees: (
        st.lists(trees, max_size=4) | st.dictionaries(st.sampled_from(FIELDS.split()), trees, max_size=4)
    ),
    max_leaves=20,
)


@given(tree=TREES)
def test_any_json_is_contained(tree):
    """Whatever JSON arrives is read or said to be unreadable."""
    for body in (tree, {"resourceLogs": [{"scopeLogs": [{"logRecords": [tree]}]}]}):
        try:
            request = decode_json(json.dumps(body).encode())
        except RequestUnreadable:
            continue
        assert request.batches == ()


@given(
    items=st.lists(st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | TEXT, min_size=1)
)
def test_rows_together_mean_the_same(items):
    """One-row records hold the same whether they come in one request or each in its own."""
    request = ExportLogsServiceRequest()
    apart = []
    for item in items:
        raw = encode(Batch(model="m", version="1", rows=1, columns={"x": of([item])}))
        one = ExportLogsServiceRequest.FromString(raw)
        record = one.resource_logs[0].scope_logs[0].log_records[0]
        for attribute in record.attributes:  # as a stock SDK would send it
            if attribute.key == names.ATTR_DATA:
                value = attribute.value.kvlist_value.values[0].value
                value.Clear()
                fill(value, clip(item) if isinstance(item, str) else item)
        del record.attributes[5:]  # the dictionaries
        apart += meanings(decode(one.SerializeToString()).batches[0].columns["x"])
        request.MergeFrom(one)
    for resource_logs in request.resource_logs[1:]:
        request.resource_logs[0].scope_logs.extend(resource_logs.scope_logs)
    del request.resource_logs[1:]
    (batch,) = decode(request.SerializeToString()).batches
    assert (batch.rows, batch.records) == (len(items), len(items))
    assert meanings(batch.columns["x"]) == apart


@given(items=st.lists(ITEMS))
def test_every_value_is_counted_once(items):
    """Each row is a value, missing or of the wrong type, read as numbers and as categories."""
    column = of(items)
    for read in (numbers(column), categories(column)):
        values = len(read.codes) if hasattr(read, "codes") else len(read.values)
        assert values + read.missing + read.wrong_type == len(items)
        assert read.rows is None or (len(read.rows) == values and (np.diff(read.rows) > 0).all())
        assert read.missing == sum(map(is_missing, items))


@given(items=st.lists(ITEMS))
def test_narrowing_keeps_the_category(items):
    """The narrowest column has the categories of its items, one by one."""
    read = categories(of(items))
    plain = [item.item() if isinstance(item, np.generic) else item for item in items]
    held = [item for item in plain if category_text(item) is not None]
    if not any(isinstance(item, int) and abs(item) > 2**53 for item in held):
        assert [read.texts[code] for code in read.codes] == [category_text(item) for item in held]


@given(text=st.text() | st.text(min_size=120, max_size=300))
def test_clip_fits(text):
    """A text, once cut, fits, can be written and is not cut again."""
    cut = clip(text)
    assert len(cut.encode()) <= 128
    assert clip(cut) == cut
