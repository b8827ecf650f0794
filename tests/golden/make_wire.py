"""Requests of the wire contract, and what a receiver must read in them. Never imports driftline.

Run by hand: ``python tests/golden/make_wire.py``; the files are committed. docs/wire-contract.md says how
another implementation uses them.
"""

import base64
import json
import struct
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

HERE = Path(__file__).parent / "wire"
NAN = float("nan")
FORMATS = {1: "f", 2: "d", 3: "b", 4: "h", 5: "i", 6: "q", 7: "16s"}
EVENT = "driftline.prediction.batch"


def packed(dtype, *values):
    """Return values in the packed form."""
    items = b"".join(struct.pack("<" + FORMATS[dtype], value) for value in values)
    return struct.pack("<2sBBI", b"DL", 1, dtype, len(values)) + items


def fill(value, item):
    """Write a Python value into an AnyValue; None sets nothing."""
    match item:
        case None:
            pass
        case bool():
            value.bool_value = item
        case int():
            value.int_value = item
        case float():
            value.double_value = item
        case str():
            value.string_value = item
        case bytes():
            value.bytes_value = item
        case list():
            value.array_value.SetInParent()
            for held in item:
                fill(value.array_value.values.add(), held)
        case dict():
            value.kvlist_value.SetInParent()
            for key, held in item.items():
                fill(value.kvlist_value.values.add(key=key).value, held)


def record(rows, data, model="fraud", event=EVENT, **more):
    """Return a record: its event name and its attributes."""
    said = {
        "driftline.contract.version": 1,
        "driftline.model.name": model,
        "driftline.model.version": "2.3.1",
        "driftline.batch.rows": rows,
        "driftline.data": data,
    }
    said |= {"driftline." + name.replace("__", "."): value for name, value in more.items()}
    return event, {key: value for key, value in said.items() if value is not None}


def request(*records, resource=None, dropped=()):
    """Return a request in protobuf."""
    message = ExportLogsServiceRequest()
    resource_logs = message.resource_logs.add()
    for key, text in (resource or {}).items():
        resource_logs.resource.attributes.add(key=key).value.string_value = text
    scope_logs = resource_logs.scope_logs.add()
    for number, (event, said) in enumerate(records):
        one = scope_logs.log_records.add(time_unix_nano=1_790_000_000_000_000_000)
        if event:
            one.event_name = event
        if number in dropped:
            one.dropped_attributes_count = 1
        for key, item in said.items():
            fill(one.attributes.add(key=key).value, item)
    return message.SerializeToString()


def json_pairs(values):
    """Return attributes, or the entries of a map, in JSON."""
    return [{"key": key, "value": value} for key, value in values.items()]


def json_map(values):
    """Return a map of AnyValues in JSON."""
    return {"kvlistValue": {"values": json_pairs(values)}}


def json_array(*values):
    """Return an array of AnyValues in JSON."""
    return {"arrayValue": {"values": list(values)}}


def batch(rows, columns, model="fraud", **more):
    """Return what is read in a good record."""
    return {"model": model, "version": "2.3.1", "rows": rows, **more, "columns": columns}


def column(kind, *values):
    """Return what is read in a column; None is missing."""
    return {"kind": kind, "values": list(values)}


def write(name, body, about, *, batches=(), rejected=(), ignored=0):
    """Write a request and what is to be read in it."""
    ending = "bin" if isinstance(body, bytes) else "json"
    raw = body if isinstance(body, bytes) else (json.dumps(body, indent=1) + "\n").encode()
    (HERE / f"{name}.request.{ending}").write_bytes(raw)
    expected = {"about": about, "batches": batches, "rejected": rejected, "ignored": ignored}
    (HERE / f"{name}.expected.json").write_text(json.dumps(expected, indent=1, ensure_ascii=False) + "\n")


def make():
    """Write every vector."""
    write(
        "packed",
        request(
            record(
                3,
                {
                    "amount": packed(1, 9.5, NAN, float("inf")),
                    "price": packed(2, 0.1, -2.5, NAN),
                    "age": packed(3, -1, 0, 127),
                    "visits": packed(4, -32768, 1, 32767),
                    "cents": packed(5, -(2**31), 1, 2**31 - 1),
                    "nanoseconds": packed(6, -(2**63), 1, 2**63 - 1),
                    "country": packed(3, 1, -1, 0),
                    "vip": [True, False, True],
                    "@id": packed(7, bytes(range(16)), bytes(16), b"\xff" * 16),
                    "@prediction": packed(4, 0, 0, 1),
                    "@score": packed(1, 0.25, 0.5, 0.75),
                    "@latency": packed(2, 0.004, NAN, NAN),
                },
                batch__stream=bytes(range(16)),
                batch__sequence=7,
                batch__rows_total=1003,
                batch__dropped_rows_total=2,
                batch__left_out_rows_total=1,
                batch__error_rows_total=1,
                batch__sample_rate=0.5,
                baseline__id="b7",
                dataset__version="2026-10",
                task__type="classification",
                segment="channel=web",
                dictionaries={"country": ["de", ""], "@prediction": ["good", "fraud"]},
            ),
            resource={"service.name": "checkout", "deployment.environment.name": "prod"},
        ),
        "Every packed type, a dictionary, everything a record may say of itself.",
        batches=[
            batch(
                3,
                {
                    "amount": column("number", 9.5, None, "Infinity"),
                    "price": column("number", 0.1, -2.5, None),
                    "age": column("number", -1, 0, 127),
                    "visits": column("number", -32768, 1, 32767),
                    "cents": column("number", -(2**31), 1, 2**31 - 1),
                    "nanoseconds": column("number", -(2**63), 1, 2**63 - 1),
                    "country": column("text", "", None, "de"),
                    "vip": column("boolean", True, False, True),
                    "@id": column("id", bytes(range(16)).hex(), "00" * 16, "ff" * 16),
                    "@prediction": column("text", "good", "good", "fraud"),
                    "@score": column("number", 0.25, 0.5, 0.75),
                    "@latency": column("number", 0.004, None, None),
                },
                stream=bytes(range(16)).hex(),
                sequence=7,
                rows_total=1003,
                dropped_rows_total=2,
                left_out_rows_total=1,
                error_rows_total=1,
                sample_rate=0.5,
                baseline_id="b7",
                dataset_version="2026-10",
                task="classification",
                segment="channel=web",
                resource={"service.name": "checkout", "deployment.environment.name": "prod"},
            )
        ],
    )
    write(
        "arrays",
        request(
            record(
                2,
                {
                    "doubles": [1.5, NAN],
                    "integers": [1, -(2**63)],
                    "both": [1, 2.5],
                    "some": [None, 2.5],
                    "none": None,
                    "booleans": [True, False],
                    "texts": ["Größe", None],
                    "mixed": ["9", 9],
                    "@unheard-of": {"what": ["ever"]},
                },
                batch__stream="000102030405060708090A0B0C0D0E0F",
            )
        ),
        "Plain arrays, as any SDK sends them; a column of a reserved name that is not known is not read.",
        batches=[
            batch(
                2,
                {
                    "doubles": column("number", 1.5, None),
                    "integers": column("number", 1, -(2**63)),
                    "both": column("number", 1, 2.5),
                    "some": column("number", None, 2.5),
                    "none": column("number", None, None),
                    "booleans": column("boolean", True, False),
                    "texts": column("text", "Größe", None),
                    "mixed": column("mixed", "9", 9),
                },
                stream=bytes(range(16)).hex(),
            )
        ],
    )
    flat = {"driftline.data.amount": 9.5, "driftline.data.country": "de", "driftline.data.@score": 0.25}
    event, said = record(1, None, event="")
    write(
        "flat",
        request((event, said | flat)),
        "One row of plain values, flat for want of maps, from an SDK without event names.",
        batches=[
            batch(
                1,
                {
                    "amount": column("number", 9.5),
                    "country": column("text", "de"),
                    "@score": column("number", 0.25),
                },
            )
        ],
    )
    codes = {"bytesValue": base64.b64encode(packed(3, 0, -1)).decode()}
    said = {
        "driftline.contract.version": {"intValue": "1"},
        "driftline.model.name": {"stringValue": "fraud"},
        "driftline.model.version": {"stringValue": "2.3.1"},
        "driftline.batch.rows": {"int_value": 2},
        "driftline.data": json_map(
            {
                "amount": json_array({"doubleValue": 9.5}, None),
                "visits": json_array({"intValue": "1"}, {"intValue": None}),
                "score": json_array({"doubleValue": "NaN"}, {"doubleValue": "-Infinity"}),
                "country": codes,
                "nothing": None,
            }
        ),
        "driftline.dictionaries": json_map({"country": json_array({"stringValue": "de"})}),
    }
    resource = {"attributes": json_pairs({"service.name": {"stringValue": "shop"}})}
    one = {"eventName": EVENT, "attributes": json_pairs(said), "someFieldToCome": [1, 2, 3]}
    write(
        "json",
        {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": [one]}]}]},
        "OTLP's JSON: integers as text or not, both spellings of a field, null in its three places.",
        batches=[
            batch(
                2,
                {
                    "amount": column("number", 9.5, None),
                    "visits": column("number", 1, None),
                    "score": column("number", None, "-Infinity"),
                    "country": column("text", "de", None),
                    "nothing": column("number", None, None),
                },
                resource={"service.name": "shop"},
            )
        ],
    )
    counts = {"amount": packed(5, 1, 0, 0, 2, 2, 0, 7), "plan": packed(5, 0, 3, 0, 0, 4, 3)}
    latency = {"@latency": packed(2, 0.004, *[NAN] * 9)}
    histogram = {"event": "driftline.histogram.batch", "counts": counts, "baseline__id": "b7"}
    write(
        "counts",
        request(
            record(10, latency, **histogram),
            record(10, None, **histogram),
            record(10, latency, **histogram | {"baseline__id": None}),
            record(10, latency, **histogram | {"counts": None}),
            record(9, None, **histogram),
            record(10, None, **histogram | {"counts": {"amount": packed(6, 0, 0, 0, 0, 10)}}),
        ),
        "Counts instead of values: missing, unseen, wrong type, out of range, then the bins; and what they may not be.",
        batches=[
            batch(
                10,
                columns,
                baseline_id="b7",
                counts={"amount": [1, 0, 0, 2, 2, 0, 7], "plan": [0, 3, 0, 0, 4, 3]},
            )
            for columns in ({"@latency": column("number", 0.004, *[None] * 9)}, {})
        ],
        rejected=["attribute", "counts", "counts", "counts"],
    )
    good = {"x": [1.0, 2.0]}
    codes = {"x": packed(3, 0, 1)}
    bad = [
        ("contract_version", record(2, good, contract__version=2)),
        ("attribute", record(0, good)),
        ("attribute", record(65_537, good)),
        ("attribute", record(2, good, model="")),
        ("attribute", record(2, good, batch__sample_rate=1.5)),
        ("attribute", record(2, good, batch__stream=b"short")),
        ("data", record(2, {})),
        ("data", record(2, good, data__x=[1.0, 2.0])),
        ("data", record(2, {"n" * 257: [1.0, 2.0]})),
        ("column", record(2, good | {"y": [1.0]})),
        ("column", record(2, good | {"y": 1.0})),
        ("column", record(2, good | {"y": [1.0, b"bytes"]})),
        ("column", record(2, good | {"y": packed(1, 1.0, 2.0)[:-1]})),
        ("column", record(2, good | {"y": packed(1, 1.0, 2.0, 3.0)})),
        ("column", record(2, good | {"y": b"DL\x01\x08" + packed(1, 1.0, 2.0)[4:]})),
        ("column", record(2, {"x": packed(3, 0, 2)}, dictionaries={"x": ["a", "b"]})),
        ("column", record(2, {"x": packed(3, 0, -2)}, dictionaries={"x": ["a", "b"]})),
        ("column", record(2, {"x": packed(6, 0, 1)}, dictionaries={"x": ["a", "b"]})),
        ("dictionary", record(2, codes, dictionaries={"x": ["a", "a"]})),
        ("dictionary", record(2, codes, dictionaries={"x": [str(n) for n in range(1025)]})),
        ("unsupported_event", record(2, good, event="driftline.ground_truth.batch")),
        ("attributes_dropped", record(2, good)),
    ]
    write(
        "refused",
        request(
            record(2, good, model="before"),
            ("checkout.done", {"amount": 9.5}),
            *(one for _, one in bad),
            record(2, good, model="after"),
            dropped={len(bad) + 1},
        ),
        "Good records around one that is not ours and one of every fault; the good ones count.",
        batches=[batch(2, {"x": column("number", 1, 2)}, model=model) for model in ("before", "after")],
        rejected=[reason for reason, _ in bad],
        ignored=1,
    )


if __name__ == "__main__":
    make()
