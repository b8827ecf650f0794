"""Send rows to driftline's sidecar with opentelemetry-proto and docs/wire-contract.md, and nothing else.

    pip install opentelemetry-proto grpcio
    echo '{"amount": [9.5, null], "plan": ["pro", null], "member": [true, false]}' |
        python send.py http://127.0.0.1:4328 --form packed --transport http

Reads columns from standard input: name to values, ``null`` where one is missing. ``packed`` costs least.
"""

import argparse
import gzip
import json
import os
import struct
import sys
import urllib.request

from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

NAN = float("nan")


def any_value(item) -> AnyValue:
    """One value; None has nothing set, which is missing."""
    if item is None:
        return AnyValue()
    if isinstance(item, bool):  # before int: a bool is one
        return AnyValue(bool_value=item)
    if isinstance(item, int):
        return AnyValue(int_value=item)
    if isinstance(item, float):
        return AnyValue(double_value=item)
    if isinstance(item, bytes):
        return AnyValue(bytes_value=item)
    return AnyValue(string_value=item)


def array(values) -> AnyValue:
    message = AnyValue()
    message.array_value.values.extend(map(any_value, values))
    return message


def text(item) -> str:
    return str(item).lower() if isinstance(item, bool) else item


def packed(values, dictionaries, name) -> AnyValue:
    """Numbers as float64; text and booleans as int16 codes into a dictionary, -1 where one is missing."""
    kept = [item for item in values if item is not None]
    if all(type(item) in (int, float) for item in kept):
        kind, letter, items = 2, "d", [NAN if item is None else item for item in values]
    else:
        texts = list(dict.fromkeys(map(text, kept)))
        dictionaries.kvlist_value.values.add(key=name, value=array(texts))
        kind, letter, items = 4, "h", [-1 if item is None else texts.index(text(item)) for item in values]
    header = struct.pack("<2sBBI", b"DL", 1, kind, len(items))
    return any_value(header + struct.pack(f"<{len(items)}{letter}", *items))


def request(columns, form: str, model: str, version: str) -> ExportLogsServiceRequest:
    """A request of one record, the first of its stream; of a record a row if the form holds plain values."""
    rows = len(next(iter(columns.values())))
    message = ExportLogsServiceRequest()
    resource = message.resource_logs.add()
    resource.resource.attributes.add(key="service.name", value=any_value("stranger"))
    records = resource.scope_logs.add().log_records
    one_row = form in ("scalar", "flat")
    parts = (
        [{name: [values[row]] for name, values in columns.items()} for row in range(rows)]
        if one_row
        else [columns]
    )
    for part in parts:
        record = records.add(event_name="driftline.prediction.batch")
        said = {
            "contract.version": 1,
            "model.name": model,
            "model.version": version,
            "batch.rows": 1 if one_row else rows,
        }
        if not one_row:  # sent again after a lost answer, it counts once
            said |= {"batch.stream": os.urandom(16), "batch.sequence": 0}
        for key, value in said.items():
            record.attributes.add(key=f"driftline.{key}", value=any_value(value))
        data, dictionaries = AnyValue(), AnyValue()
        for name, values in part.items():
            if form == "packed":
                value = packed(values, dictionaries, name)
            else:
                value = any_value(values[0]) if one_row else array(values)
            if form == "flat":
                record.attributes.add(key=f"driftline.data.{name}", value=value)
            else:
                data.kvlist_value.values.add(key=name, value=value)
        if form != "flat":
            record.attributes.add(key="driftline.data", value=data)
        if dictionaries.HasField("kvlist_value"):
            record.attributes.add(key="driftline.dictionaries", value=dictionaries)
    return message


def post(url: str, message, *, as_json: bool, compressed: bool) -> ExportLogsServiceResponse:
    body = MessageToJson(message).encode() if as_json else message.SerializeToString()
    headers = {"Content-Type": "application/json" if as_json else "application/x-protobuf"}
    if compressed:
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    with urllib.request.urlopen(
        urllib.request.Request(url + "/v1/logs", body, headers), timeout=30
    ) as answer:
        said = answer.read()
    if as_json:
        if json.loads(said):
            sys.exit(f"refused: {said.decode()}")
        return ExportLogsServiceResponse()
    return ExportLogsServiceResponse.FromString(said)


def call(address: str, message, *, compressed: bool) -> ExportLogsServiceResponse:
    import grpc
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2_grpc import LogsServiceStub

    with grpc.insecure_channel(address.removeprefix("http://")) as channel:
        compression = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression
        return LogsServiceStub(channel).Export(message, timeout=30, compression=compression)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("endpoint")
    options.add_argument("--form", choices=("packed", "array", "scalar", "flat"), default="packed")
    options.add_argument("--transport", choices=("http", "json", "grpc"), default="http")
    options.add_argument("--gzip", action="store_true")
    options.add_argument("--model", default="fraud")
    options.add_argument("--version", default="1")
    given = options.parse_args()
    message = request(json.load(sys.stdin), given.form, given.model, given.version)
    if given.transport == "grpc":
        answer = call(given.endpoint, message, compressed=given.gzip)
    else:
        answer = post(given.endpoint, message, as_json=given.transport == "json", compressed=given.gzip)
    if answer.partial_success.rejected_log_records:
        sys.exit(f"refused: {answer.partial_success.error_message}")


if __name__ == "__main__":
    main()
