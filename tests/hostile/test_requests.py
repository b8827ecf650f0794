"""Hostile requests, each over every door it fits through: gRPC, HTTP in protobuf, gzip, JSON."""

import gzip
import json
import struct

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from driftline import names
from driftline.sidecar.receiver import JSON, MAX_MESSAGE_BYTES
from hostile.target import Target, answered, rejected


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    with Target(tmp_path_factory.mktemp("target")) as running:
        yield running


# --- what a record may hold -------------------------------------------------------------------


def message(*records):
    request = ExportLogsServiceRequest()
    logs = request.resource_logs.add().scope_logs.add().log_records
    for record in records:
        logs.append(record)
    return request


def record(columns=None, **said):
    """Return a good record of one row, but for what is *said* otherwise; None takes an attribute away."""
    request = ExportLogsServiceRequest()
    made = request.resource_logs.add().scope_logs.add().log_records.add()
    attributes = {"contract.version": 1, "model.name": "victim", "model.version": "1", "batch.rows": 1}
    for name, value in (attributes | {key.replace("__", "."): item for key, item in said.items()}).items():
        if value is not None:
            put(made.attributes.add(key=f"driftline.{name}").value, value)
    data = made.attributes.add(key=names.ATTR_DATA).value.kvlist_value
    data.SetInParent()
    for name, value in ({"x": 1.5} if columns is None else columns).items():
        put(data.values.add(key=name).value, value)
    return made


def put(value, item):
    if isinstance(item, AnyValue):
        value.CopyFrom(item)
    elif isinstance(item, list):
        value.array_value.SetInParent()
        for element in item:
            put(value.array_value.values.add(), element)
    else:
        kinds = {
            bool: "bool_value",
            int: "int_value",
            float: "double_value",
            str: "string_value",
            bytes: "bytes_value",
        }
        setattr(value, kinds[type(item)], item)


def packed(dtype, count, body):
    return struct.pack("<2sBBI", b"DL", 1, dtype, count) + body


def twice():
    made = record()
    made.attributes[-1].value.kvlist_value.values.add(key="x").value.double_value = 2
    return made


def attribute_twice():
    made = record()
    made.attributes.add(key=names.ATTR_MODEL_NAME).value.string_value = "another"
    return made


def event(name):
    made = record()
    made.event_name = name
    return made


def cut():
    made = record()
    made.dropped_attributes_count = 2**32 - 1
    return made


def coded(codes, texts):
    made = record({"x": codes})
    dictionary = made.attributes.add(key=names.ATTR_DICTIONARIES).value.kvlist_value.values.add(key="x")
    put(dictionary.value, texts)
    return made


def nested(depth):
    value = AnyValue(double_value=1)
    for _ in range(depth):
        outer = AnyValue()
        outer.array_value.values.append(value)
        value = outer
    return value


RECORDS = {
    "a later contract": (record(contract__version=2), "contract_version", "driftline.contract.version is 2"),
    "a contract that is text": (record(contract__version="1"), "attribute", "driftline.contract.version must be"),
    "no model": (record(model__name=None), "attribute", "driftline.model.name is required"),
    "a model that is a list": (record(model__name=["a"]), "attribute", "driftline.model.name must be a string"),
    "a model of a megabyte": (record(model__name="m" * (1 << 20)), "attribute", "driftline.model.name is longer"),
    "a negative number of rows": (record(batch__rows=-1), "attribute", "driftline.batch.rows must be an integer"),
    "2**62 rows": (record(batch__rows=2**62), "attribute", "driftline.batch.rows must be an integer"),
    "a negative sequence": (record(batch__sequence=-1), "attribute", "driftline.batch.sequence must be"),
    "a stream of one byte": (record(batch__stream=b"x"), "attribute", "driftline.batch.stream must be 16 bytes"),
    "a sample rate of 1e308": (record(batch__sample_rate=1e308), "attribute", "driftline.batch.sample_rate must"),
    "an attribute twice": (attribute_twice(), "attribute", "driftline.model.name is there twice"),
    "no columns": (record({}), "data", "driftline.data holds no column"),
    "2,049 columns": (record({f"c{n}": 1.0 for n in range(2049)}), "data", "2049 columns"),
    "a column twice": (twice(), "data", "driftline.data holds 'x' twice"),
    "a column without a name": (record({"": 1.0}), "data", "a column has no name"),
    "a column's name of a megabyte": (record({"x" * (1 << 20): 1.0}), "data", "a column's name is longer"),
    "a header that lies": (record({"x": packed(2, 2**32 - 1, b"")}), "column", "column 'x' is 8 bytes"),
    "an unknown type": (record({"x": packed(200, 1, b"x")}), "column", "column 'x' has the type 200"),
    "not as many values as rows": (record({"x": [1.0] * 70_000}), "column", "column 'x' holds 70000 values"),
    "a map as a value": (record({"x": [nested(1)]}), "column", "column 'x' holds an array as a value"),
    "values in each other": (record({"x": nested(20)}), "column", "column 'x' holds an array as a value"),
    "a control character in a column": (record({"a\0\u202eb\n": b""}), "column", r"column 'a\x00\u202eb\n' is 0"),
    "a code beyond the dictionary": (coded(packed(3, 1, b"\x7f"), ["a"]), "column", "holds codes from 127 to 127"),
    "a code before the dictionary": (coded(packed(3, 1, b"\x80"), ["a"]), "column", "holds codes from -128"),
    "a text twice": (coded(packed(3, 1, b"\0"), ["a", "a"]), "dictionary", "holds a text twice"),
    "1,025 texts": (coded(packed(3, 1, b"\0"), [str(n) for n in range(1025)]), "dictionary", "holds 1025 texts"),
    "a reserved event": (event("driftline.ground_truth.batch"), "unsupported_event", "is reserved for a later version"),
    "an unknown event": (event("driftline." + "x" * 999), "unsupported_event", "is not known"),
    "attributes cut off": (cut(), "attributes_dropped", "4294967295 attributes were dropped"),
}  # fmt: skip


def as_json(request):
    return json.dumps(MessageToDict(request)).encode()


DOORS = {
    "gRPC": lambda target, request: target.call(request.SerializeToString()),
    "gRPC gzip": lambda target, request: target.call(request.SerializeToString(), compression=2),
    "HTTP": lambda target, request: target.post(request.SerializeToString()),
    "HTTP gzip": lambda target, request: target.post(
        gzip.compress(request.SerializeToString()), content_encoding="gzip"
    ),
    "JSON": lambda target, request: target.post(as_json(request), JSON),
    "JSON gzip": lambda target, request: target.post(
        gzip.compress(as_json(request)), JSON, content_encoding="gzip"
    ),
}


def good(door):
    return ("OK", answered("grpc", "OK")) if door.startswith("gRPC") else (200, answered("http", 200))


@pytest.mark.parametrize("door", DOORS)
def test_hostile_records(target, door):
    """Each is refused by its reason, alone and named; the answer is a success, so that nobody repeats it."""
    code, move = good(door)
    for name, (made, reason, says) in RECORDS.items():
        with target.unharmed(move | rejected(reason)):
            answer, said = DOORS[door](target, message(made))
            assert (answer, said.partition(": ")[0]) == (code, reason), (name, said)
            assert says in said, name
            assert len(said) < 500, name


def test_a_thousand_bad_records(target):
    """In one request, as many refusals as bad records; the good one among them counts."""
    made = [record(contract__version=9)] * 700 + [record({})] * 300 + [record(model__name="victim")]
    moves = answered("grpc", "OK") | {
        "driftline_sidecar_records_rejected_total{reason=contract_version}": 700,
        "driftline_sidecar_records_rejected_total{reason=data}": 300,
        "driftline_sidecar_batches_total{outcome=rejected}": 1000,
        "driftline_sidecar_batches_total{outcome=counted}": 1,
        "driftline_sidecar_rows_total{outcome=counted}": 1,
    }
    with target.unharmed(moves, born=("victim",)):
        assert target.call(message(*made).SerializeToString())[0] == "OK"


# --- what a body may be -----------------------------------------------------------------------

GOOD = message(record(model__name="never", batch__rows=0))
"""Read well it is rejected, and would move that reason."""
BODY = GOOD.SerializeToString()
TEXT = as_json(GOOD)
MIB = 1 << 20


def within(*tags, body):
    """Return *body* as the field that *tags* lead to, each of a message in the one before."""
    for tag in reversed(tags):
        size, rest = b"", len(body)
        while True:
            size += bytes([rest & 127 | (128 if rest > 127 else 0)])
            rest >>= 7
            if not rest:
                break
        body = bytes([tag]) + size + body
    return body


def in_record(unit, size, *tags):
    """Return a request of *size* bytes with one record, whose field is *unit* over and over."""
    return within(0x0A, 0x12, 0x12, *tags, body=unit * (size // len(unit)))


NO_OTLP, NO_JSON = "the body is no ExportLogsServiceRequest in protobuf", "the body is no JSON"
TOO_MANY, LARGE = "the request holds too many values one by one", "the request is larger than"
PROTOBUF_BODIES = {
    "noise": (b"\xff" * 1000, 400, NO_OTLP),
    "cut in the middle": (BODY[: len(BODY) // 2], 400, NO_OTLP),
    "its last byte cut": (BODY[:-1], 400, NO_OTLP),
    "a length beyond the end": (b"\x0a\xff\xff\xff\xff\x07", 400, NO_OTLP),
    "a number without end": (b"\x80" * 100, 400, NO_OTLP),
    "text that is no UTF-8": (BODY.replace(b"never", b"nev\xffr"), 400, NO_OTLP),
    "JSON": (TEXT, 400, NO_OTLP),
    "groups in each other": (b"\x0b" * 10_000, 400, NO_OTLP),
    "values 10,000 deep": (within(*[0x0A, 0x12, 0x12, 0x2A], *[0x2A, 0x0A] * 5000, body=b""), 400, NO_OTLP),
    "64 MiB of nothing": (bytes(64 * MIB), 400, NO_OTLP),
    "64 MiB of empty records": (within(0x0A, 0x12, body=b"\x12\0" * (32 * MIB - 8)), 413, TOO_MANY),
    "64 MiB of empty resources": (b"\x0a\0" * 32 * MIB, 413, TOO_MANY),
    "64 MiB of empty attributes": (in_record(b"\x32\0", 63 * MIB), 413, TOO_MANY),
    "64 MiB of empty values": (in_record(b"\x0a\0", 63 * MIB, 0x2A, 0x2A), 413, TOO_MANY),
    "the same, spelled longer": (in_record(b"\x8a\0\0", 63 * MIB, 0x2A, 0x2A), 413, TOO_MANY),
    "more than 64 MiB": (bytes(64 * MIB + 1), 413, LARGE),
}
GZIP_BODIES = {
    "no gzip": (BODY, 400, "the body is no gzip"),
    "cut": (gzip.compress(BODY)[:-1], 400, "the body's gzip ends too early"),
    "a wrong sum": (gzip.compress(BODY)[:-8] + bytes(8), 400, "the body is no gzip"),
    "something behind it": (gzip.compress(BODY) + b"more", 400, "the body is no gzip"),
    "gzip in gzip": (gzip.compress(gzip.compress(BODY)), 400, NO_OTLP),
    "a bomb of 1 GiB": (gzip.compress(bytes(64 * MIB), 1) * 16, 413, LARGE),
    "a million files of nothing": (gzip.compress(b"") * 1_000_000, 400, "more than 1024 gzip files"),
    "a bomb of records": (gzip.compress(PROTOBUF_BODIES["64 MiB of empty records"][0], 1), 413, TOO_MANY),
}
JSON_BODIES = {
    "nothing": (b"", 400, NO_JSON),
    "cut": (TEXT[:-1], 400, NO_JSON),
    "no UTF-8": (TEXT.replace(b"never", b"nev\xffr"), 400, NO_JSON),
    "UTF-16": (TEXT.decode().encode("utf-16"), 400, NO_JSON),
    "NaN": (b'{"resourceLogs": NaN}', 400, NO_JSON),
    "a number of 10,000 digits": (b"[" + b"9" * 10_000 + b"]", 400, NO_JSON),
    "1e999 as a time": (TEXT.replace(b'"intValue": "0"', b'"intValue": 1e999'), 400, "where an integer belongs"),
    "a list": (b"[]", 400, "holds list where an object belongs"),
    "a key twice": (b'{"resourceLogs": [], "resourceLogs": []}', 400, "holds an object with a key twice"),
    "two spellings of a key": (b'{"resourceLogs": [], "resource_logs": []}', 400, "both resource_logs and resourceLogs"),
    "half a surrogate pair as base64": (TEXT.replace(b'"stringValue": "never"', b'"bytesValue": "\\ud800"'), 400, "no base64"),
    "lists in each other": (b"[" * 4 * MIB, 400, "nested too deeply"),
    "objects in each other": (b'{"a":' * MIB, 400, "nested too deeply"),
    "values in each other": (
        TEXT.replace(b'{"doubleValue": 1.5}', b'{"arrayValue":{"values":[' * 200 + b"{}" + b"]}}" * 200),
        400, "lie in each other more than 32 deep",
    ),
    "8 MiB of lists": (b"[" + b"[]," * (8 * MIB // 3 - 2) + b"[]]", 400, "holds list where an object belongs"),
    "8 MiB of objects": (b'{"resourceLogs":[' + b'{"":0},' * (8 * MIB // 7 - 5) + b"{}]}", 200, ""),
    "more than 8 MiB": (b" " * 8 * MIB + b"{}", 413, LARGE),
}  # fmt: skip
CODES = {400: "INVALID_ARGUMENT", 413: "RESOURCE_EXHAUSTED"}


def over_grpc(body, code):
    """Return what a body is answered over gRPC, and what is counted.

    One that is longer than a message may be is refused by the library itself; whether it ends the call before
    or after a thread of ours looks at it is chance.
    """
    if len(body) <= MAX_MESSAGE_BYTES:
        return CODES[code], answered("grpc", CODES[code])
    return CODES[413], (answered("grpc", CODES[413]), answered("grpc", "CANCELLED"))


@pytest.mark.parametrize("name", PROTOBUF_BODIES)
def test_hostile_protobuf(target, name):
    """It is refused in words on both transports, whatever its size, and costs little to refuse."""
    body, code, says = PROTOBUF_BODIES[name]
    with target.unharmed(answered("http", code)):
        answer, said = target.post(body)
        assert (answer, said[: len(says)]) == (code, says)
    answer, moves = over_grpc(body, code)
    with target.unharmed(moves):
        assert target.call(body)[0] == answer


@pytest.mark.parametrize("name", GZIP_BODIES)
def test_hostile_gzip(target, name):
    """What claims to be gzip is inflated as far as it may, and no further."""
    body, code, says = GZIP_BODIES[name]
    with target.unharmed(answered("http", code)):
        answer, said = target.post(body, content_encoding="gzip")
        assert answer == code
        assert says in said
    if body[:2] == b"\x1f\x8b":  # over gRPC gzip is told by its first bytes
        answer, moves = over_grpc(body, code)
        with target.unharmed(moves):
            assert target.call(body)[0] == answer


@pytest.mark.parametrize("name", JSON_BODIES)
def test_hostile_json(target, name):
    """It is refused in words, and takes no more memory than a bomb in protobuf."""
    body, code, says = JSON_BODIES[name]
    with target.unharmed(answered("http", code)):
        answer, said = target.post(body, JSON)
        assert answer == code
        assert says in said
