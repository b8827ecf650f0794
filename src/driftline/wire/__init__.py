"""The contract on the wire: a batch of columns to and from one OTLP LogRecord."""

from driftline.wire.batch import Batch, Request
from driftline.wire.decoding import decode
from driftline.wire.encoding import encode
from driftline.wire.protojson import decode_json

__all__ = ["Batch", "Request", "decode", "decode_json", "encode"]
