"""The contract on the wire: what a record may hold, in each of its forms, and why one is refused."""

import base64
import enum
import json
import math
import struct

import numpy as np
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from driftline import names
from driftline.columns import Coded, of
from driftline.errors import RequestUnreadable
from driftline.wire import Batch, decode, decode_json, encode

NAN = math.nan
UNSET = enum.Enum("Sent", "UNSET").UNSET
CODES = {"f4": 1, "f8": 2, "i1": 3, "i2": 4, "i4": 5, "i8": 6, "V16": 7}


def packed(values, dtype):
    """Return values in the packed form, written down here once more from the contract."""
    array = np.array(values, np.dtype(dtype).newbyteorder("<"))
    return b"DL" + struct.pack("<BBI", 1, CODES[dtype], len(array)) + array.tobytes()


def fill(value, item):
    """Write a Python value into an AnyValue: dict is a map, list an array, UNSET nothing."""
    if item is UNSET:
        return
    if isinstance(item, dict):
        item = list(item.items())
        value.kvlist_value.SetInParent()
        for key, held in item:
            fill(value.kvlist_value.values.add(key=key).value, held)
    elif isinstance(item, tuple):  # a map whose keys may repeat
        value.kvlist_value.SetInParent()
        for key, held in item:
            fill(value.kvlist_value.values.add(key=key).value, held)
    elif isinstance(item, list):
        value.array_value.SetInParent()
        for held in item:
            fill(value.array_value.values.add(), held)
    else:
        kind = {bool: "bool", int: "int", float: "double", str: "string", bytes: "bytes"}[type(item)]
        setattr(value, f"{kind}_value", item)


def attributes(rows=1, **more):
    """Return the required attributes of a record, with one column, and *more* by their last name."""
    said = {
        names.ATTR_CONTRACT_VERSION: 1,
        names.ATTR_MODEL_NAME: "fraud",
        names.ATTR_MODEL_VERSION: "1",
        names.ATTR_ROWS: rows,
        names.ATTR_DATA: {"x": 1.0 if rows == 1 else [1.0, 1.0]},
    }
    said |= {getattr(names, f"ATTR_{name.upper()}"): value for name, value in more.items()}
    return {key: value for key, value in said.items() if value is not None}


def body(*records, event=names.EVENT_BATCH, dropped=0):
    """Return a serialised request of records, each a dict of attributes."""
    request = ExportLogsServiceRequest()
    scope_logs = request.resource_logs.add().scope_logs.add()
    for said in records:
        record = scope_logs.log_records.add(event_name=event, dropped_attributes_count=dropped)
        for key, item in said.items() if isinstance(said, dict) else said:
            fill(record.attributes.add(key=key).value, item)
    return request.SerializeToString()


def columns(data, rows, **more):
    """Return the columns that a record of *data* is read into."""
    request = decode(body(attributes(rows, data=data, **more)))
    assert not request.rejected, request.rejected
    return request.batches[0].columns


def rejection(sent):
    """Return the reason and the text with which the only record of a request is refused."""
    request = decode(sent)
    assert (request.batches, request.ignored, len(request.rejected)) == ((), 0, 1)
    return request.rejected[0].reason, str(request.rejected[0])


def same(column, expected):
    """Assert that a column is *expected*, type included."""
    if isinstance(expected, Coded):
        assert (column.codes.tolist(), column.texts) == (expected.codes.tolist(), expected.texts)
    else:
        np.testing.assert_array_equal(column, expected)
        assert column.dtype == expected.dtype


# --- forms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i2", "i4", "i8"])
def test_packed(dtype):
    """Packed numbers come back in their own type, as a view of the message."""
    column = columns({"x": packed([1, 2, 3], dtype)}, 3)["x"]
    same(column, np.array([1, 2, 3], dtype))
    assert not column.flags.owndata


def test_packed_ids():
    """Packed ids are 16 bytes each."""
    ids = np.frombuffer(bytes(range(32)), "V16")
    same(columns({"@id": packed(ids, "V16")}, 2)["@id"], ids)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4"])
def test_codes(dtype):
    """Codes stand for the texts of their dictionary, -1 for a missing one."""
    found = columns({"x": packed([1, -1, 0], dtype)}, 3, dictionaries={"x": ["a", ""]})["x"]
    same(found, Coded(np.array([1, -1, 0]), ("a", "")))


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([1.5, 2.0], np.array([1.5, 2.0])),
        ([NAN, math.inf], np.array([NAN, math.inf])),
        ([1, -(2**63)], np.array([1, -(2**63)])),
        ([1, 2.5], np.array([1.0, 2.5])),
        ([2.5, UNSET], np.array([2.5, NAN])),
        ([UNSET, 1], np.array([NAN, 1.0])),
        ([UNSET, UNSET], np.array([NAN, NAN])),
        ([True, False], np.array([True, False])),
        ([True, UNSET], np.array([True, None], object)),
        ([True, 1.0], np.array([True, 1.0], object)),
        (["b", "a", "b", UNSET, ""], Coded(np.array([0, 1, 0, -1, 2]), ("b", "a", ""))),
        (["a", 1.0, UNSET], np.array(["a", 1.0, None], object)),
        ([1.0, "a"], np.array([1.0, "a"], object)),
    ],
    ids=str,
)
def test_array(items, expected):
    """An array becomes the narrowest column that holds it."""
    same(columns({"x": items}, len(items))["x"], expected)


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (1.5, np.array([1.5])),
        (2, np.array([2])),
        (True, np.array([True])),
        ("a", Coded(np.array([0]), ("a",))),
        (UNSET, np.array([NAN])),
    ],
)
def test_scalar(item, expected):
    """A record of one row may hold plain values."""
    same(columns({"x": item}, 1)["x"], expected)


def test_unset_column():
    """A column with nothing set is missing in every row."""
    same(columns({"x": UNSET, "y": [1, 2, 3]}, 3)["x"], np.array([NAN, NAN, NAN]))


def test_forms_mix():
    """One record may hold every form, in the map and flat."""
    said = attributes(2, data={"p": packed([1, 2], "f4"), "a": ["u", "v"]}) | {"driftline.data.f": [1, 2]}
    found = decode(body(said)).batches[0].columns
    assert list(found) == ["p", "a", "f"]
    same(found["f"], np.array([1, 2]))


def test_flat_alone():
    """SDKs without maps send every column as an attribute of its own."""
    said = attributes(data=None) | {"driftline.data.a.b": 1.0, "driftline.data.@score": 0.5}
    assert list(decode(body(said)).batches[0].columns) == ["a.b", "@score"]


def test_reserved_columns():
    """Reserved columns that this version knows are read, others ignored whatever they hold."""
    known = [
        "@prediction",
        "@score",
        "@score.a b",
        "@latency",
        "@error",
        "@id",
        "@time",
        "@entity",
        "@segment",
    ]
    data = dict.fromkeys(known, 1.0) | {"@weight": {"deep": [1]}, "@": 1.0, "@scores": 1.0}
    assert list(columns(data, 1)) == known


def test_unused_dictionary():
    """A dictionary of a column that is not there is no fault."""
    assert list(columns({"x": 1.0}, 1, dictionaries={"y": ["a"]})) == ["x"]


# --- what a record says of itself -------------------------------------------------------------


def test_everything_said():
    """Every attribute of the contract arrives."""
    said = attributes(
        stream="00112233445566778899AABBCCDDEEFF",
        sequence=7,
        rows_total=100,
        dropped_rows_total=2,
        left_out_rows_total=1,
        error_rows_total=1,
        sample_rate=0.5,
        baseline_id="b1",
        dataset_version="d1",
        task="regression",
        segment="country=de",
    ) | {"com.example.own": [1]}
    batch = decode(body(said)).batches[0]
    assert batch == Batch(
        model="fraud",
        version="1",
        rows=1,
        columns=batch.columns,
        stream=bytes.fromhex("00112233445566778899aabbccddeeff"),
        sequence=7,
        rows_total=100,
        dropped_rows_total=2,
        left_out_rows_total=1,
        error_rows_total=1,
        sample_rate=0.5,
        baseline_id="b1",
        dataset_version="d1",
        task="regression",
        segment="country=de",
    )


def test_said_otherwise():
    """A stream may be bytes; JavaScript's 1 is a sample rate; what is unset or empty was not said."""
    said = attributes(stream=b"x" * 16, sample_rate=1, sequence=UNSET, baseline_id="", task=UNSET)
    batch = decode(body(said)).batches[0]
    assert (batch.stream, batch.sample_rate) == (b"x" * 16, 1.0)
    assert (batch.sequence, batch.baseline_id, batch.task) == (None, None, None)


def test_long_text_is_cut():
    """Free text about the batch is bounded like any text."""
    assert len(decode(body(attributes(dataset_version="x" * 1000))).batches[0].dataset_version) == 128


def test_resource():
    """The resource's texts come along, what is no text does not."""
    message = ExportLogsServiceRequest.FromString(body(attributes()))
    for key, item in {"service.name": "shop", "process.pid": 7}.items():
        fill(message.resource_logs[0].resource.attributes.add(key=key).value, item)
    assert decode(message.SerializeToString()).batches[0].resource == {"service.name": "shop"}


# --- which records are ours -------------------------------------------------------------------


def test_without_event_name():
    """A record without event name is a batch if it says the contract's version, else none of ours."""
    request = decode(body(attributes(), {"message": "hello"}, event=""))
    assert (len(request.batches), request.ignored) == (1, 1)


def test_other_events_are_ignored():
    """Other people's events are ignored and counted, whatever their attributes."""
    request = decode(body(attributes(), {}, event="checkout.done"))
    assert (request.batches, request.rejected, request.ignored) == ((), (), 2)


@pytest.mark.parametrize("event", [*names.RESERVED_EVENTS, "driftline.unheard.of", "driftline."])
def test_unsupported_events(event):
    """An event of driftline's that this version does not know is refused by its name."""
    reason, text = rejection(body(attributes(), event=event))
    assert reason == "unsupported_event"
    assert repr(event) in text
    assert ("reserved" in text) == (event in names.RESERVED_EVENTS)


@pytest.mark.parametrize("event", [names.EVENT_BATCH, "driftline.ground_truth.batch", "checkout.done"])
def test_event_name_for_an_older_class(monkeypatch, event):
    """Where the class has no field for the event's name, it is found among the unknown ones."""
    message = ExportLogsServiceRequest.FromString(body(attributes(), event=""))
    unknown = b"\xfa\x7f" + bytes([len(event)]) + event.encode()  # field 2047, which no class has
    message.resource_logs[0].scope_logs[0].log_records[0].MergeFromString(unknown)
    monkeypatch.setattr("driftline.wire.form._EVENT_NAME", None)
    monkeypatch.setattr("driftline.wire.form._EVENT_NAME_NUMBER", 2047)
    request = decode(message.SerializeToString())
    counts = len(request.batches), len(request.rejected), request.ignored
    assert counts == {"driftline.p": (1, 0, 0), "driftline.g": (0, 1, 0)}.get(event[:11], (0, 0, 1))


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"contract_version": "1"}, "driftline.contract.version must be an integer"),
        ({"contract_version": UNSET}, "driftline.contract.version is required"),
        ({"model_name": None}, "driftline.model.name is required"),
        ({"model_name": ""}, "driftline.model.name is required"),
        ({"model_name": 7}, "driftline.model.name must be a string, not 7"),
        ({"model_name": "ü" * 65}, "driftline.model.name is longer than 128 bytes: 'ü"),
        ({"model_version": None}, "driftline.model.version is required"),
        ({"rows": None}, "driftline.batch.rows is required"),
        ({"rows": 0}, "driftline.batch.rows must be an integer, 1 to 65536, not 0"),
        ({"rows": -1}, "not -1"),
        ({"rows": 65_537}, "not 65537"),
        ({"rows": 1.0}, "not 1.0"),
        ({"rows": "1"}, "not '1'"),
        ({"stream": b"x" * 15}, "driftline.batch.stream must be 16 bytes or 32 hex digits, not bytes"),
        ({"stream": "0" * 31}, "not '0000000000000000000000000000000'"),
        ({"stream": "x" * 32}, "must be 16 bytes or 32 hex digits"),
        ({"stream": 7}, "must be 16 bytes or 32 hex digits, not 7"),
        ({"sequence": -1}, "driftline.batch.sequence must be an integer, 0 to"),
        ({"sequence": [1]}, "not an array"),
        ({"rows_total": -1}, "driftline.batch.rows_total"),
        ({"dropped_rows_total": 0.5}, "driftline.batch.dropped_rows_total"),
        ({"left_out_rows_total": -1}, "driftline.batch.left_out_rows_total"),
        ({"error_rows_total": "a" * 200}, "driftline.batch.error_rows_total must be"),
        ({"sample_rate": 0.0}, "driftline.batch.sample_rate must be a double above 0, at most 1, not 0.0"),
        ({"sample_rate": 1.01}, "not 1.01"),
        ({"sample_rate": NAN}, "not nan"),
        ({"sample_rate": "all"}, "not 'all'"),
        ({"task": {"a": 1}}, "driftline.task.type must be a string, not a map"),
        ({"segment": "de"}, "driftline.segment must be name=value, not 'de'"),
    ],
    ids=str,
)
def test_bad_attribute(said, text):
    """An attribute that is absent, or of the wrong type or range, is named with what it may be."""
    reason, told = rejection(body(attributes(**said)))
    assert (reason, text in told) == ("attribute", True), told


@pytest.mark.parametrize("version", [0, 2, 1000])
def test_another_contract(version):
    """Another major version of the contract is refused before anything else is looked at."""
    reason, text = rejection(body({names.ATTR_CONTRACT_VERSION: version}, event=""))
    assert reason == "contract_version"
    assert text == f"driftline.contract.version is {version}; this receiver reads 1"


def test_attribute_twice():
    """An attribute that is there twice leaves open which one is meant."""
    said = [*attributes().items(), (names.ATTR_MODEL_NAME, "other")]
    assert rejection(body(said)) == ("attribute", "driftline.model.name is there twice")


def test_dropped_attributes():
    """A record from which the SDK cut attributes is not what was sent."""
    reason, text = rejection(body({}, dropped=3))
    assert reason == "attributes_dropped"
    assert text.startswith("3 attributes were dropped")


@pytest.mark.parametrize(
    ("data", "flat", "text"),
    [
        (None, {}, "driftline.data holds no column"),
        ({}, {}, "driftline.data holds no column"),
        ([1.0], {}, "driftline.data must be a map, not an array"),
        ((("a", 1.0), ("b", 1.0), ("b", 2.0)), {}, "driftline.data holds 'b' twice"),
        ({"a": 1.0}, {"a": 1.0}, "column 'a' is there twice"),
        ({"": 1.0}, {}, "a column has no name"),
        ({"a": 1.0}, {"": 1.0}, "a column has no name"),
        ({"ü" * 129: 1.0}, {}, "a column's name is longer than 256 bytes: 'ü"),
        ({f"x{number}": 1.0 for number in range(2049)}, {}, "2049 columns; a record holds at most 2048"),
    ],
    ids=["absent", "empty", "array", "twice", "map and flat", "nameless", "nameless flat", "long", "many"],
)
def test_bad_data(data, flat, text):
    """A record holds 1 to 2,048 columns, each with a name of its own."""
    said = attributes(data=data) | {f"driftline.data.{name}": value for name, value in flat.items()}
    reason, told = rejection(body(said))
    assert (reason, told[: len(text)]) == ("data", text)


def test_flat_twice():
    """A flat column that is there twice is refused like one of the map."""
    said = [*attributes(data=None).items(), ("driftline.data.a", 1.0), ("driftline.data.a", 2.0)]
    assert rejection(body(said)) == ("data", "column 'a' is there twice")


def test_limits_are_within():
    """A name of 256 bytes, 2,048 columns and a dictionary of 1,024 texts are good."""
    data = {"ü" * 128: 1.0} | {f"x{number}": 1.0 for number in range(2047)}
    assert len(columns(data, 1)) == 2048
    texts = [str(number) for number in range(1024)]
    found = columns({"x": packed([1023], "i2")}, 1, dictionaries={"x": texts})["x"]
    assert found.texts[found.codes[0]] == "1023"


GOOD = packed([1, 2], "f4")


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (b"", "is 0 bytes; packed values begin with a header of 8"),
        (b"DL\x01\x01", "is 4 bytes"),
        (b"XL" + GOOD[2:], 'packed values begin with "DL" and 1'),
        (b"DL\x02" + GOOD[3:], 'packed values begin with "DL" and 1'),
        (b"DL\x01\x00" + GOOD[4:], "has the type 0; packed types are 1 to 7"),
        (b"DL\x01\x08" + GOOD[4:], "has the type 8"),
        (GOOD[:-1], "is 15 bytes, but 2 values of 4 are announced"),
        (GOOD + b"\0", "is 17 bytes, but 2 values of 4 are announced"),
        (b"DL\x01\x01\xff\xff\xff\xff" + GOOD[8:], "4294967295 values of 4 are announced"),
        (packed([1, 2, 3], "f4"), "holds 3 values, but driftline.batch.rows is 2"),
        ([1.0], "holds 1 values, but driftline.batch.rows is 2"),
        ([], "holds 0 values"),
        ([1.0] * 3, "holds 3 values"),
        ([1.0, b"a"], "holds bytes as a value"),
        ([[1.0], 1.0], "holds an array as a value"),
        ([1.0, {"a": 1}], "holds a map as a value"),
        (1.0, "is one value, but driftline.batch.rows is 2"),
        ("a", "is one value"),
        ({"a": 1}, "is a map; it must be packed bytes, an array or one value"),
    ],
    ids=lambda sent: repr(sent)[:40],
)
def test_bad_column(column, text):
    """A column of a broken form is named, and takes the whole record with it."""
    reason, told = rejection(body(attributes(2, data={"good": GOOD, "bad": column})))
    assert (reason, told.startswith("column 'bad' "), text in told) == ("column", True, True), told


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (packed([0, 2], "i1"), "holds codes from 0 to 2; its dictionary has 0 to 1"),
        (packed([-2, 0], "i4"), "holds codes from -2 to 0"),
        (packed([0, 1], "i8"), "holds i8 as codes of a dictionary; send i1, i2 or i4"),
        (packed([0, 1], "f4"), "holds f4 as codes"),
        (["a", "b"], "has a dictionary, so it must hold packed codes, i1, i2 or i4"),
        ([0, 1], "has a dictionary"),
    ],
)
def test_bad_codes(column, text):
    """Codes are small integers within their dictionary."""
    reason, told = rejection(body(attributes(2, data={"x": column}, dictionaries={"x": ["a", "b"]})))
    assert (reason, text in told) == ("column", True), told


@pytest.mark.parametrize(
    ("dictionaries", "text"),
    [
        ("a", "driftline.dictionaries must be a map, not 'a'"),
        ((("x", ["a"]), ("x", ["b"])), "driftline.dictionaries holds 'x' twice"),
        ({"x": "a"}, "the dictionary of 'x' must be an array of strings"),
        ({"x": ["a", 1]}, "the dictionary of 'x' must be an array of strings"),
        ({"x": ["a", UNSET]}, "the dictionary of 'x' must be an array of strings"),
        ({"x": ["a", "b", "a"]}, "the dictionary of 'x' holds a text twice"),
        ({"x": [str(number) for number in range(1025)]}, "the dictionary of 'x' holds 1025 texts"),
    ],
    ids=lambda sent: repr(sent)[:40],
)
def test_bad_dictionary(dictionaries, text):
    """A dictionary is an array of at most 1,024 different strings."""
    reason, told = rejection(body(attributes(1, data={"x": packed([0], "i1")}, dictionaries=dictionaries)))
    assert (reason, told[: len(text)]) == ("dictionary", text)


def test_neighbours_count():
    """A bad record is refused whole and alone; its neighbours count."""
    bad = attributes(2, data={"x": [1.0, 2.0], "y": [1.0]})
    request = decode(body(attributes(2), bad, attributes(2, model_name="other")))
    assert [batch.model for batch in request.batches] == ["fraud", "other"]
    assert [error.reason for error in request.rejected] == ["column"]


def test_every_reason_is_listed():
    """No record is refused for a reason outside the closed list, and each of the list occurs here."""
    bad = (
        body(attributes(contract_version=2)),
        body(attributes(rows=0)),
        body(attributes(baseline_id="b"), event=names.EVENT_HISTOGRAM),
        body(attributes(data={})),
        body(attributes(data={"x": []})),
        body(attributes(data={"x": packed([0], "i1")}, dictionaries={"x": 1})),
        body(attributes(), dropped=1),
        body(attributes(), event="driftline.drift"),
    )
    assert tuple(rejection(sent)[0] for sent in bad) == names.REJECTED_REASONS


# --- one-row records --------------------------------------------------------------------------


def test_rows_are_read_together():
    """One-row records of one model that hold the same columns become one batch, row by row."""
    rows = [{"x": 1.5, "c": "a"}, {"x": 2, "c": UNSET}, {"x": UNSET, "c": "b"}]
    request = decode(body(*(attributes(data=row) for row in rows)))
    (batch,) = request.batches
    assert (batch.rows, batch.records, batch.model) == (3, 3, "fraud")
    same(batch.columns["x"], np.array([1.5, 2.0, NAN]))
    same(batch.columns["c"], Coded(np.array([0, -1, 1]), ("a", "b")))


@pytest.mark.parametrize(
    "other",
    [
        {"model_name": "other"},
        {"model_version": "2"},
        {"segment": "country=de"},
        {"sample_rate": 0.5},
        {"data": {"y": 1.0}},
        {"data": {"x": 1.0, "y": 1.0}},
        {"data": {"x": [1.0]}},
        {"data": {"x": packed([1.0], "f8")}},
        {"rows": 2},
    ],
    ids=str,
)
def test_rows_are_kept_apart(other):
    """Records that differ in what they say, hold or look like stay apart."""
    request = decode(body(attributes(), attributes(**other), attributes()))
    assert sorted((batch.rows, batch.records) for batch in request.batches) == sorted(
        [(2, 2), (other.get("rows", 1), 1)]
    )


@pytest.mark.parametrize(
    "count", ["sequence", "rows_total", "dropped_rows_total", "left_out_rows_total", "error_rows_total"]
)
def test_numbered_rows_stay_alone(count):
    """A record with a sequence or a cumulative count is not merged, so that a duplicate still shows."""
    request = decode(body(attributes(**{count: 0}), attributes(**{count: 0})))
    assert [batch.records for batch in request.batches] == [1, 1]


def test_rows_of_resources_stay_apart():
    """Rows of two services are two batches, each with its resource."""
    message = ExportLogsServiceRequest()
    for service in ("a", "b"):
        one = ExportLogsServiceRequest.FromString(body(attributes(), attributes()))
        fill(one.resource_logs[0].resource.attributes.add(key="service.name").value, service)
        message.MergeFrom(one)
    request = decode(message.SerializeToString())
    assert [(batch.rows, batch.resource["service.name"]) for batch in request.batches] == [(2, "a"), (2, "b")]


def test_a_bad_row_is_refused_alone():
    """Among rows read together, a bad one is refused and the others count."""
    request = decode(body(attributes(), attributes(data={"x": {"a": 1}}), attributes()))
    assert ([batch.rows for batch in request.batches], len(request.rejected)) == ([2], 1)


def test_rows_together_are_bounded(monkeypatch):
    """No batch holds more rows than a record could."""
    monkeypatch.setattr(names, "MAX_ROWS", 2)
    request = decode(body(*(attributes(data={"x": float(row)}) for row in range(5))))
    assert [batch.columns["x"].tolist() for batch in request.batches] == [[0, 1], [2, 3], [4]]


# --- encode -----------------------------------------------------------------------------------


def sent(column, rows=None):
    """Encode one column; return its AnyValue and its dictionary's texts."""
    raw = encode(Batch(model="m", version="1", rows=rows or len(column), columns={"x": column}))
    record = ExportLogsServiceRequest.FromString(raw).resource_logs[0].scope_logs[0].log_records[0]
    said = {pair.key: pair.value for pair in record.attributes}
    dictionaries = (
        {
            pair.key: [text.string_value for text in pair.value.array_value.values]
            for pair in said[names.ATTR_DICTIONARIES].kvlist_value.values
        }
        if names.ATTR_DICTIONARIES in said
        else {}
    )
    return said[names.ATTR_DATA].kvlist_value.values[0].value, dictionaries.get("x")


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        (np.array([1, 2], "f4"), "f4"),
        (np.array([1, 2], "f8"), "f8"),
        (np.array([1, 2], ">f8"), "f8"),
        (np.array([1, 2], "f2"), "f4"),
        (np.array([1, 2], "g"), "f8"),
        (np.array([1, 2], "i1"), "i1"),
        (np.array([1, 2], ">i2"), "i2"),
        (np.array([1, 2], "i4"), "i4"),
        (np.array([1, 2], "i8"), "i8"),
        (np.array([1, 255], "u1"), "i2"),
        (np.array([1, 2**16 - 1], "u2"), "i4"),
        (np.array([1, 2**32 - 1], "u4"), "i8"),
        (np.array([1, 2**63 - 1], "u8"), "i8"),
        (np.array([1, 2**64 - 1], "u8"), "f8"),
        (np.arange(4.0)[::2], "f8"),
        (of([1, 2]), "i8"),
        (np.array([1, None], object), "f8"),
        (np.array(["2026-01-01", "2026-01-02"], "M8[ns]"), "i8"),
        (np.frombuffer(bytes(range(32)), "V16"), "V16"),
    ],
    ids=lambda given: str(getattr(given, "dtype", given)),
)
def test_numbers_are_packed(column, dtype):
    """Numbers keep their type, or travel in the next that holds them all."""
    value, _ = sent(column)
    held = column.astype("f8") if column.dtype.kind == "O" else column
    assert value.bytes_value == packed(held, dtype)


def test_booleans_are_an_array():
    """Booleans have no packed type: as 0 and 1 they would be other categories."""
    value, _ = sent(np.array([True, False]))
    assert [element.WhichOneof("value") for element in value.array_value.values] == ["bool_value"] * 2
    assert [element.bool_value for element in value.array_value.values] == [True, False]


@pytest.mark.parametrize(("size", "dtype"), [(1, "i1"), (128, "i1"), (129, "i2"), (1024, "i2")])
def test_codes_are_small(size, dtype):
    """Codes travel in the smallest type that holds them, with the texts that occur."""
    codes = np.arange(size + 1)
    value, texts = sent(Coded(np.append(codes[1:], -1), tuple(map(str, codes))))
    assert value.bytes_value == packed([*range(size), -1], dtype)
    assert texts == [str(code) for code in codes[1:]]


def test_many_texts_are_an_array():
    """Beyond 1,024 texts the column is sent as they are, missing ones unset."""
    value, dictionary = sent(Coded(np.append(np.arange(1025), -1), tuple(map(str, range(1025)))))
    elements = value.array_value.values
    assert dictionary is None
    assert [element.string_value for element in elements[:1025]] == list(map(str, range(1025)))
    assert elements[1025].WhichOneof("value") is None


def test_nothing_but_missing_text():
    """Text that is missing in every row is codes without texts, and comes back so."""
    column = Coded(np.array([-1, -1]), ("unused",))
    batch = Batch(model="m", version="1", rows=2, columns={"x": column})
    same(decode(encode(batch)).batches[0].columns["x"], Coded(np.array([-1, -1]), ()))


def test_mixed_is_an_array():
    """What is really mixed travels value by value."""
    value, _ = sent(np.array([None, NAN, True, 2, 2**70, 0.5, "a", b"b", 10**400], object))
    kinds = [element.WhichOneof("value") for element in value.array_value.values]
    assert kinds == [
        None,
        None,
        "bool_value",
        "int_value",
        *["double_value"] * 2,
        *["string_value"] * 2,
        "double_value",
    ]
    assert value.array_value.values[4].double_value == 2.0**70
    assert value.array_value.values[8].double_value == math.inf


class Unspeakable:
    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    "column",
    [
        Coded(np.array([0, 1, 2]), ("\ud800" * 500, "?" * 500, "a\0b")),
        np.array(["\udfff", 1, None], object),
        np.array(["ü" * 500, "\0", ""]),
        np.array([Unspeakable(), object(), 1j], object),
        np.array([10**5000, -(10**5000), "x"], object),
        np.array([[1], {"a": 1}, (2,)], object),
        np.array([1 + 2j, 0j, 1j]),
        np.array([b"\xff", b"a", b""]),
        np.array(["NaT", "2026-01-01", "2026-01-02"], "M8[s]"),
        np.array([1, 2, 3], "m8[s]"),
        np.zeros(3, "V3"),
    ],
    ids=lambda column: str(getattr(column, "dtype", "coded")),
)
def test_encode_never_raises(column):
    """Whatever a caller's column holds, a record is sent, and one that a receiver counts."""
    batch = Batch(
        model="m\ud800", version="1", rows=3, columns={"x\ud800": column}, resource={"a\ud800": "\ud800"}
    )
    request = decode(encode(batch))
    assert not request.rejected
    (read,) = request.batches
    assert (read.model, list(read.columns), read.resource) == ("m?", ["x?"], {"a?": "?"})
    assert len(read.columns["x?"]) == 3


def test_envelope():
    """A record says its event, its time and who made it, and has an empty body."""
    raw = encode(Batch(model="m", version="1", rows=1, columns={"x": np.zeros(1)}), time_unix_nano=7)
    scope_logs = ExportLogsServiceRequest.FromString(raw).resource_logs[0].scope_logs[0]
    record = scope_logs.log_records[0]
    assert (scope_logs.scope.name, scope_logs.schema_url) == (names.SCOPE, names.SCHEMA_URL)
    assert (record.event_name, record.time_unix_nano, record.severity_number) == (names.EVENT_BATCH, 7, 9)
    assert not record.HasField("body")


# --- unreadable -------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [b"\xff", b"{}", body(attributes())[:-1], b"\x0a" * 3])
def test_unreadable(raw):
    """What is no message of OTLP is said to be none."""
    with pytest.raises(RequestUnreadable, match="no ExportLogsServiceRequest in protobuf"):
        decode(raw)


def test_nested_too_deeply():
    """Values in each other beyond protobuf's limit are unreadable, not a crash."""
    value = b""
    # from the innermost outwards: arrays of a value, then value, attribute, record, scope and resource
    for tag in b"\x0a\x2a" * 150 + b"\x12\x32\x12\x12\x0a":
        value = bytes([tag, len(value) & 127 | 128, len(value) >> 7]) + value
    with pytest.raises(RequestUnreadable):
        decode(value)


# --- JSON -------------------------------------------------------------------------------------


def said_in_json(data, rows=1, **more):
    """Return the record of OTLP's JSON with *data*, a list of [name, AnyValue]."""
    record = {
        "eventName": names.EVENT_BATCH,
        "attributes": [
            {"key": names.ATTR_CONTRACT_VERSION, "value": {"intValue": "1"}},
            {"key": names.ATTR_MODEL_NAME, "value": {"stringValue": "fraud"}},
            {"key": names.ATTR_MODEL_VERSION, "value": {"stringValue": "1"}},
            {"key": names.ATTR_ROWS, "value": {"intValue": rows}},
            {
                "key": names.ATTR_DATA,
                "value": {"kvlistValue": {"values": [{"key": key, "value": value} for key, value in data]}},
            },
        ],
    }
    return record | more


def json_body(*records):
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}).encode()


def from_json(value, rows=1):
    """Return the column that an AnyValue in JSON is read into."""
    request = decode_json(json_body(said_in_json([("x", value)], rows)))
    assert not request.rejected, request.rejected
    return request.batches[0].columns["x"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"doubleValue": 1.5}, np.array([1.5])),
        ({"double_value": 2}, np.array([2.0])),
        ({"doubleValue": "1e-3"}, np.array([0.001])),
        ({"doubleValue": "NaN"}, np.array([NAN])),
        ({"doubleValue": "-Infinity"}, np.array([-math.inf])),
        ({"doubleValue": 10**400}, np.array([math.inf])),
        ({"intValue": "-9223372036854775808"}, np.array([-(2**63)])),
        ({"int_value": 7}, np.array([7])),
        ({"intValue": 7.0}, np.array([7])),
        ({"boolValue": False}, np.array([False])),
        ({"stringValue": "é"}, Coded(np.array([0]), ("é",))),
        ({"stringValue": "a\ud83d"}, Coded(np.array([0]), ("a?",))),
        ({"stringValue": None}, np.array([NAN])),
        ({}, np.array([NAN])),
        (None, np.array([NAN])),
        ({"futureValue": {"x": 1}}, np.array([NAN])),
        ({"arrayValue": {"values": [None]}}, np.array([NAN])),
        ({"arrayValue": {"values": [{}]}}, np.array([NAN])),
        ({"arrayValue": {"values": [{"doubleValue": None}]}}, np.array([NAN])),
        ({"bytesValue": base64.b64encode(packed([-1.5], "f8")).decode()}, np.array([-1.5])),
        (
            {"bytesValue": base64.urlsafe_b64encode(packed([-1.5], "f8")).decode().rstrip("=")},
            np.array([-1.5]),
        ),
    ],
    ids=lambda given: repr(given)[:50],
)
def test_json_values(value, expected):
    """JSON's ways of writing a value, an absent one included, mean what protobuf's JSON says they mean."""
    same(from_json(value), expected)


def test_json_null_among_values():
    """A null among the values of an array is a missing value, which stock readers refuse."""
    values = {"array_value": {"values": [{"intValue": "1"}, None, {"doubleValue": 2.5}]}}
    same(from_json(values, 3), np.array([1.0, NAN, 2.5]))


def test_json_snake_case():
    """Field names may be spelled as in the proto file, and unknown ones are ignored."""
    record = said_in_json(
        [("x", {"double_value": 1.0})], observedTimeUnixNano="1", body={"stringValue": "hello"}
    )
    record["event_name"] = record.pop("eventName")
    tree = {
        "resource_logs": [{"resource": {"attributes": []}, "scope_logs": [{"log_records": [record]}]}],
        "x": 1,
    }
    assert len(decode_json(json.dumps(tree).encode()).batches) == 1


def test_json_envelope():
    """Resource, dropped attributes and event names are read from JSON too."""
    good = said_in_json([("x", {"doubleValue": 1.0})])
    dropped = good | {"droppedAttributesCount": 1}
    other = good | {"eventName": "driftline." + "x" * 200}
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    tree = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [good, dropped, other]}]}]}
    request = decode_json(json.dumps(tree).encode())
    assert [error.reason for error in request.rejected] == ["attributes_dropped", "unsupported_event"]
    assert request.batches[0].resource == {"service.name": "shop"}


@pytest.mark.parametrize("raw", [b"{}", b'{"resourceLogs": null}', b'{"resourceLogs": [{"resource": null}]}'])
def test_json_empty(raw):
    """A request of nothing is a good one."""
    assert decode_json(raw).batches == ()


X = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"attributes":[%s]}]}]}]}'


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("", "the body is no JSON"),
        ("[]", "holds list where an object belongs"),
        ("null", "holds NoneType where an object belongs"),
        ('{"resourceLogs": {}}', "holds dict as resourceLogs, not an array"),
        ('{"resourceLogs": [null]}', "holds NoneType where an object belongs"),
        ('{"resourceLogs": [], "resource_logs": []}', "holds both resource_logs and resourceLogs"),
        ('{"a": 1, "a": 2}', "an object with a key twice"),
        ('{"a": NaN}', 'NaN is none; write null, or "NaN" as a doubleValue'),
        ('{"a": -Infinity}', "-Infinity is none"),
        ('{"a": ' + "[" * 100_000, "nested too deeply"),
        ('{"a": ' + "1" * 5000 + "}", "the body is no JSON"),
        (X % '{"key": 1}', "holds '1' where a string belongs"),
        (X % '{"value": {"intValue": "x"}}', "holds '\"x\"' where an integer belongs"),
        (X % '{"value": {"intValue": 1.5}}', "holds '1.5' where an integer belongs"),
        (X % '{"value": {"intValue": true}}', "holds 'true' where an integer belongs"),
        (X % '{"value": {"intValue": "9223372036854775808"}}', "where an integer belongs"),
        (X % '{"value": {"doubleValue": "one"}}', "as a doubleValue"),
        (X % '{"value": {"doubleValue": "1_0"}}', "as a doubleValue"),
        (X % '{"value": {"doubleValue": true}}', "as a doubleValue"),
        (X % '{"value": {"boolValue": "true"}}', "as a boolValue"),
        (X % '{"value": {"stringValue": 1}}', "where a string belongs"),
        (X % '{"value": {"bytesValue": "a"}}', "a bytesValue that is no base64"),
        (X % '{"value": {"bytesValue": "é==="}}', "a bytesValue that is no base64"),
        (X % '{"value": {"intValue": 1, "stringValue": "a"}}', "a value of two kinds"),
        (X % '{"value": 1}', "holds '1' where an object belongs"),
        (X % '{"value": {"kvlistValue": {"values": [null]}}}', "where an object belongs"),
        (X % ('{"value": ' + '{"arrayValue": {"values": [' * 40 + "]}}" * 40 + "}"), "more than 32 deep"),
        ('{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"droppedAttributesCount":-1}]}]}]}', "an integer"),
    ],
    ids=lambda given: given[:60],
)
def test_json_unreadable(raw, text):
    """What is not OTLP's JSON is refused with what is wrong about it."""
    with pytest.raises(RequestUnreadable) as caught:
        decode_json(raw.encode())
    assert text in str(caught.value)


def test_json_must_be_utf8():
    """JSON is UTF-8, not whatever it might be."""
    for raw in (b"\xff\xfe{\0}\0", '{"a": "é"}'.encode("latin-1")):
        with pytest.raises(RequestUnreadable, match="no JSON"):
            decode_json(raw)
