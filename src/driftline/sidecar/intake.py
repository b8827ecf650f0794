"""One request, however it came: held within bounds, inflated, decoded and observed; or refused, and why."""

from __future__ import annotations

import logging
import threading
import zlib
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import grpc
import numpy as np
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from driftline.errors import RequestUnreadable
from driftline.wire import decode, decode_json

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable, Iterator

    from driftline.wire import Batch

logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 << 20
"""What a request may hold, as sent and once inflated; what OTLP asks a server to accept."""
MAX_JSON_BYTES = 8 << 20
"""The same in JSON, which may take forty times its size in memory while it is read."""
MAX_PARSED_BYTES = 256 << 20
"""What the messages of one request may take in memory; an empty one takes 65 times its size."""
MAX_MEMBERS = 1024
"""Gzip files one after another in one body: one of nothing is 20 bytes and costs as much as a large one."""
RETRY_SECONDS = 2
"""What a busy receiver asks for; stock exporters drop at once what should wait longer than they have left."""

_INFLATE_STEP = 1 << 20
_WEIGHED_BYTES = 4 << 20  # what a sender keeps a request under
# What a message takes once it is parsed, by the byte that announces it: 60 for a ResourceLogs, a KeyValue or an
# AnyValue, 130 for a LogRecord, and so on; measured with protobuf 7. A tag may be written in two bytes, too.
_COSTS = np.zeros(256)
for _tag, _cost in {0x0A: 60, 0x12: 130, 0x1A: 66, 0x22: 16, 0x2A: 42, 0x32: 50}.items():
    _COSTS[[_tag, _tag | 0x80]] = _cost


class Telemetry(Protocol):
    """What the receiver reports of itself."""

    def request(self, transport: str, code: str, /) -> None:
        """Count a request, answered over grpc or http with *code*."""

    def rejected(self, reason: str, count: int, /) -> None:
        """Count records that break the contract."""

    def ignored(self, count: int, /) -> None:
        """Count records that are not driftline's."""

    def in_flight(self, size: int, /) -> None:
        """Say how many bytes of requests are being handled now."""


class Refused(Exception):
    """A request that is answered with a status instead of being taken in."""

    def __init__(self, http: int, code: grpc.StatusCode, text: str, *, retry: bool = False) -> None:
        super().__init__(text)
        self.http = http
        self.code = code
        self.retry = retry

    def status(self) -> Status:
        """Return what its sender is told."""
        status = Status(code=self.code.value[0], message=str(self))
        if self.retry:
            info = RetryInfo()
            info.retry_delay.seconds = RETRY_SECONDS
            status.details.add().Pack(info)
        return status


class _InFlight:
    """The bytes of all requests that are being handled, never more than a limit."""

    def __init__(self, limit: int, report: Callable[[int], None]) -> None:
        self.limit = limit
        self._report = report
        self._held = 0
        self._lock = threading.Lock()

    def move(self, size: int) -> bool:
        """Take *size* bytes, or give them back where it is negative; tell whether there was room."""
        with self._lock:
            if size > 0 and self._held + size > self.limit:
                return False
            self._held += size
            self._report(self._held)
            return True


class Share:
    """What one request holds of the bytes in flight."""

    def __init__(self, of: _InFlight) -> None:
        self._of = of
        self.held = 0

    def cover(self, size: int) -> None:
        """Hold *size* bytes, if not more already: what was sent is let go of while it is inflated."""
        more = size - self.held
        if more > 0:
            if not self._of.move(more):
                text = f"the {self._of.limit} bytes of all requests in flight are taken"
                raise Refused(429, grpc.StatusCode.UNAVAILABLE, text, retry=True)
            self.held = size


class Intake:
    """Takes requests in, from several threads at once.

    Args:
        observe: Is given every good batch; returns what its sender is told, if anything.
        telemetry: Is told what arrived.
        in_flight_bytes: Bytes of all requests handled at once; beyond, senders are asked to come back.

    Attributes:
        max_body: What a request may hold, as sent and once inflated.
    """

    def __init__(
        self, observe: Callable[[Batch], str | None], telemetry: Telemetry, in_flight_bytes: int
    ) -> None:
        self.max_body = min(MAX_BODY_BYTES, in_flight_bytes)
        self._observe = observe
        self._telemetry = telemetry
        self._in_flight = _InFlight(in_flight_bytes, telemetry.in_flight)
        # One at a time: decoding holds the interpreter, and side by side would only cost memory.
        self._decoding = threading.Lock()

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Give one request its share of the bytes in flight, and take back whatever it still holds at its end."""
        share = Share(self._in_flight)
        try:
            yield share
        finally:
            self._in_flight.move(-share.held)

    def take_in(
        self, pieces: deque[bytes], share: Share, *, gzipped: bool, is_json: bool
    ) -> ExportLogsServiceResponse:
        """Inflate, decode and observe one request; return what its sender is told."""
        limit = min(self.max_body, MAX_JSON_BYTES) if is_json else self.max_body
        body = _inflate(pieces, share, limit) if gzipped else b"".join(pieces)
        pieces.clear()
        if not is_json and _parsed_bytes(body) > MAX_PARSED_BYTES:
            text = "the request holds too many values one by one; send columns packed, or fewer rows at once"
            raise Refused(413, grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        try:
            with self._decoding:
                request = (decode_json if is_json else decode)(body)
        except RequestUnreadable as error:
            raise Refused(400, grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        except Exception as error:
            logger.exception("a request of %d bytes could not be decoded", len(body))
            raise _failed("decode the request") from error
        for reason, count in Counter(error.reason for error in request.rejected).items():
            self._telemetry.rejected(reason, count)
        if request.ignored:
            self._telemetry.ignored(request.ignored)
        failed = False
        told: Counter[str] = Counter()
        for batch in request.batches:
            try:
                if said := self._observe(batch):
                    told[said] += batch.records
            except Exception:
                failed = True
                logger.exception("a batch of %s@%s could not be counted", batch.model, batch.version)
        if failed:
            raise _failed("count a batch")
        response = ExportLogsServiceResponse()
        if request.rejected:
            first = request.rejected[0]
            response.partial_success.rejected_log_records = len(request.rejected)
            response.partial_success.error_message = f"{first.reason}: {first}"
        elif (
            told
        ):  # nothing rejected and a message is OTLP's warning: it was taken, and is not to be sent again
            text, records = next(iter(told.items()))
            of = f" ({records} of {sum(b.records for b in request.batches)} records)"
            response.partial_success.error_message = f"{text}{of}"
        return response


def _inflate(pieces: deque[bytes], share: Share, limit: int) -> bytes:
    """Return what the gzipped *pieces* hold; each is let go of before the next is read."""
    inflated: list[bytes] = []
    size = 0
    members = 1
    stream = zlib.decompressobj(31)
    try:
        while pieces:
            piece = pieces.popleft()
            while piece:
                if stream.eof:  # gzip files may follow one another
                    members += 1
                    if members > MAX_MEMBERS:
                        text = f"the body is more than {MAX_MEMBERS} gzip files one after another"
                        raise Refused(400, grpc.StatusCode.INVALID_ARGUMENT, text)
                    stream = zlib.decompressobj(31)
                part = b"begun"
                while part and not stream.eof:
                    part = stream.decompress(piece, _INFLATE_STEP)
                    piece = stream.unconsumed_tail
                    size += len(part)
                    if size > limit:
                        raise too_large(limit)
                    share.cover(size)
                    inflated.append(part)
                piece = stream.unused_data
    except zlib.error as error:
        raise Refused(400, grpc.StatusCode.INVALID_ARGUMENT, f"the body is no gzip: {error}") from error
    if not stream.eof:
        raise Refused(400, grpc.StatusCode.INVALID_ARGUMENT, "the body's gzip ends too early")
    return b"".join(inflated)


def _parsed_bytes(body: bytes) -> float:
    """Return the most that *body* may take once it is parsed; 0 for one too small to be a bomb.

    By every byte that may announce a message, whatever it really is: of random values 1 in 21 may.
    """
    if len(body) <= _WEIGHED_BYTES:
        return 0.0
    read = np.frombuffer(body, np.uint8)
    pieces = (read[at : at + _INFLATE_STEP] for at in range(0, len(read), _INFLATE_STEP))
    return sum(float(np.bincount(piece, minlength=256) @ _COSTS) for piece in pieces)


def too_large(limit: int) -> Refused:
    """Return the refusal of a request of more than *limit* bytes."""
    return Refused(413, grpc.StatusCode.RESOURCE_EXHAUSTED, f"the request is larger than {limit} bytes")


def _failed(to: str) -> Refused:
    return Refused(500, grpc.StatusCode.INTERNAL, f"the sidecar failed to {to}; see its log")
