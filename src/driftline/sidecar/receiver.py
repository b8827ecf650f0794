"""OTLP in, over gRPC and HTTP: senders are admitted, their requests read and taken in, and answered.

Whatever arrives is answered the way OTLP asks for, so that a sender knows whether to send it again; nothing
that arrives stops the receiver.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from driftline.errors import ConfigurationError
from driftline.sidecar.intake import MAX_JSON_BYTES, RETRY_SECONDS, Intake, Refused, too_large
from driftline.sidecar.web import HEAD_SECONDS, Security, WebServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    from driftline.sidecar.intake import Share, Telemetry
    from driftline.wire import Batch

__all__ = ["Receiver", "Security"]

EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
PATH = "/v1/logs"
PROTOBUF = "application/x-protobuf"
JSON = "application/json"

MAX_MESSAGE_BYTES = 16 << 20
"""What a request over gRPC may hold as sent: the library holds a message whole before it can be counted as in flight."""
MAX_HEADER_BYTES = 16 << 10
READ_SECONDS = 15.0
"""How long a request's body may take to arrive; stock exporters give up after ten seconds."""
_CONNECTIONS = 1_000  # every sender keeps one open; a process usually may have 1,024 files
_WORKERS = 4  # threads that count what came over HTTP; decoding holds the interpreter anyway
_GRPC_WORKERS = 16  # here each waits for its own message, however slowly that comes
_LINGER_SECONDS = 1.0
_PIECE = 64 << 10


class Receiver:
    """Receives batches over OTLP/gRPC and OTLP/HTTP, whichever has an address.

    Args:
        observe: Is given every good batch, from several threads at once; returns what its sender is told, if anything.
        grpc: Address to listen on, ``host:port``; port 0 takes a free one. None: not over gRPC.
        http: The same for HTTP.
        security: Who may send.
        telemetry: Is told what arrived and how it was answered.
        in_flight_bytes: Bytes of all requests handled at once; beyond, senders are asked to come back.

    Attributes:
        ready: Whether batches are taken in; while False every request is answered 503 or UNAVAILABLE.
        grpc_port: The port that is listened on, None before :meth:`start`.
        http_port: The same for HTTP.
    """

    def __init__(
        self,
        observe: Callable[[Batch], str | None],
        *,
        grpc: str | None,
        http: str | None,
        security: Security,
        telemetry: Telemetry,
        in_flight_bytes: int = 64 << 20,
    ) -> None:
        self.ready = False
        self.grpc_port: int | None = None
        self.http_port: int | None = None
        self._grpc_address = grpc
        self._security = security
        self._telemetry = telemetry
        self._intake = Intake(observe, telemetry, in_flight_bytes)
        self._max_message = min(MAX_MESSAGE_BYTES, in_flight_bytes)
        self._stopping = False
        self._active = 0
        self._idle = threading.Condition()
        self._grpc_server: Any = None
        # The token is checked here, where a refusal is counted and has a body that a sender understands.
        unguarded = replace(security, token=None)
        self._awaited: dict[Any, float] = {}  # calls without their message, by when they began
        self._closed = threading.Event()
        self._web = None
        if http is not None:
            self._web = WebServer(self._http, http, unguarded, name="http", connections=_CONNECTIONS)
        self._http_workers = ThreadPoolExecutor(_WORKERS, "driftline-http")

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Bind every address and begin to answer.

        Raises:
            ConfigurationError: An address cannot be listened on, or a certificate cannot be used.
        """
        self._security.check()
        if self._web is not None:
            self._web.start()
            self.http_port = self._web.port
        if self._grpc_address is not None:
            try:
                self._grpc_server = self._start_grpc(self._grpc_address)
            except ConfigurationError:
                self.stop(0)
                raise

    def stop(self, grace: float = 3.0) -> None:
        """Refuse what is new, give what is under way *grace* seconds, close."""
        self._stopping = True
        self._closed.set()
        deadline = time.monotonic() + grace
        stopped = self._grpc_server.stop(grace) if self._grpc_server is not None else None
        with self._idle:
            self._idle.wait_for(lambda: self._active == 0, timeout=grace)
        if self._web is not None:
            self._web.stop(max(0.0, deadline - time.monotonic()) + 1)
        self._http_workers.shutdown(wait=False, cancel_futures=True)
        if stopped is not None:
            stopped.wait(max(0.0, deadline - time.monotonic()) + 1)

    # --- what both transports do --------------------------------------------------------------------

    def _admit(self, authorization: str) -> None:
        """Refuse whom nothing is to be read from."""
        if not self._security.knows(authorization):
            raise Refused(
                401, grpc.StatusCode.UNAUTHENTICATED, "send the sidecar's token: authorization: Bearer ..."
            )
        if self._stopping or not self.ready:
            state = "stopping" if self._stopping else "not ready yet"
            raise Refused(503, grpc.StatusCode.UNAVAILABLE, f"the sidecar is {state}", retry=True)

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        with self._idle:
            self._active += 1
        try:
            yield
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    # --- gRPC ---------------------------------------------------------------------------------------

    def _start_grpc(self, address: str) -> Any:
        server = grpc.server(
            ThreadPoolExecutor(_GRPC_WORKERS, "driftline-grpc"),
            handlers=[_Export(self._grpc)],
            options=[
                ("grpc.so_reuseport", 0),  # else a second sidecar would take half of the requests, silently
                ("grpc.max_receive_message_length", self._max_message),
                ("grpc.per_message_decompression", 0),  # inflated here, counted and bounded
                ("grpc.max_metadata_size", MAX_HEADER_BYTES),
                ("grpc.max_concurrent_streams", 64),
                ("grpc.max_allowed_incoming_connections", _CONNECTIONS),
                ("grpc.server_handshake_timeout_ms", int(HEAD_SECONDS * 1000)),
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
                ("grpc.max_connection_age_ms", 600_000),
                ("grpc.max_connection_age_grace_ms", 30_000),
            ],
        )
        try:
            port = self._bind_grpc(server, address)
        except RuntimeError:
            port = 0  # what older versions return instead
        if not port:
            raise ConfigurationError(
                f"listen.grpc: {address} cannot be bound; stop what holds it or choose another port"
            )
        self.grpc_port = port
        server.start()
        threading.Thread(target=self._end_slow_calls, name="driftline-grpc-slow", daemon=True).start()
        return server

    def _bind_grpc(self, server: Any, address: str) -> int:
        security = self._security
        if security.certificate is None or security.key is None:
            return int(server.add_insecure_port(address))
        client_ca = None if security.client_ca is None else security.client_ca.read_bytes()
        credentials = grpc.ssl_server_credentials(
            [(security.key.read_bytes(), security.certificate.read_bytes())],
            root_certificates=client_ca,
            require_client_auth=client_ca is not None,
        )
        return int(server.add_secure_port(address, credentials))

    def _grpc(self, requests: Iterator[bytes], context: Any) -> bytes:
        try:
            with self._under_way():
                metadata = dict(context.invocation_metadata())
                self._admit(str(metadata.get("authorization", "")))
                with self._intake.share() as share:
                    message = self._only(requests, context)
                    share.cover(len(message))
                    # No protobuf begins like that: with decompression by the library off, it is gzip.
                    gzipped = message.startswith(b"\x1f\x8b")
                    # What is inflated is let go of piece by piece; what is not is never copied.
                    size = _PIECE if gzipped else len(message) or 1
                    pieces = deque(message[at : at + size] for at in range(0, len(message), size))
                    del message
                    response = self._intake.take_in(pieces, share, gzipped=gzipped, is_json=False)
        except Refused as refused:
            self._telemetry.request("grpc", refused.code.name)
            details = refused.status().SerializeToString()
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
            context.abort(refused.code, str(refused))
        except grpc.RpcError:  # the sender is gone, or its message was too large for the library
            self._telemetry.request("grpc", grpc.StatusCode.CANCELLED.name)
            raise
        self._telemetry.request("grpc", grpc.StatusCode.OK.name)
        return response.SerializeToString()

    def _only(self, requests: Iterator[bytes], context: Any) -> bytes:
        """Wait for a call's one message; a call that keeps us waiting is ended, for each holds a thread."""
        began = self._awaited[context] = time.monotonic()
        gone = None
        try:
            message = next(requests, None)
        except grpc.RpcError as error:
            message, gone = None, error
        finally:
            del self._awaited[context]
        if message is not None:
            return message
        if time.monotonic() - began >= READ_SECONDS:
            raise _too_slow()
        if gone is not None:
            raise gone
        # the library ends the stream where a message is larger than it may be
        text = f"the call holds no request, or one larger than {self._max_message} bytes"
        raise Refused(413, grpc.StatusCode.RESOURCE_EXHAUSTED, text)

    def _end_slow_calls(self) -> None:
        while not self._closed.wait(1.0):
            now = time.monotonic()
            for context, began in list(self._awaited.items()):
                if now - began >= READ_SECONDS:
                    context.cancel()

    # --- HTTP ---------------------------------------------------------------------------------------

    async def _http(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            with self._under_way():
                response = await self._export(request, kind)
        except Refused as refused:
            response = _refusal(refused, kind)
            if not await _drained(request):
                response.headers["connection"] = "close"
        except asyncio.CancelledError:  # the grace of a stop is over
            text = "the sidecar stopped before the request was counted"
            response = _refusal(Refused(503, grpc.StatusCode.UNAVAILABLE, text, retry=True), kind)
        except ClientDisconnect:
            self._telemetry.request("http", "499")
            return
        self._telemetry.request("http", str(response.status_code))
        await response(scope, receive, send)

    async def _export(self, request: Request, kind: str) -> Response:
        if request.scope["path"] != PATH:
            raise Refused(404, grpc.StatusCode.NOT_FOUND, f"send to {PATH}")
        if request.method != "POST":
            raise Refused(405, grpc.StatusCode.UNIMPLEMENTED, f"{PATH} takes POST, not {request.method}")
        self._admit(request.headers.get("authorization", ""))
        if kind not in (PROTOBUF, JSON):
            raise _unsupported(f"content-type is {kind or 'absent'}; send {PROTOBUF} or {JSON}")
        encoding = request.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise _unsupported(f"content-encoding is {encoding}; send gzip or none")
        is_json = kind == JSON
        with self._intake.share() as share:
            pieces = await self._read_body(
                request, share, MAX_JSON_BYTES if is_json else self._intake.max_body
            )
            response = await asyncio.get_running_loop().run_in_executor(
                self._http_workers,
                lambda: self._intake.take_in(pieces, share, gzipped=encoding == "gzip", is_json=is_json),
            )
        content = _as_json(response) if is_json else response.SerializeToString()
        return Response(content, media_type=kind)

    async def _read_body(self, request: Request, share: Share, limit: int) -> deque[bytes]:
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise too_large(limit)
        pieces: deque[bytes] = deque()
        size = 0
        try:
            async with asyncio.timeout(READ_SECONDS):
                async for piece in request.stream():
                    size += len(piece)
                    if size > limit:
                        raise too_large(limit)
                    share.cover(size)
                    pieces.append(piece)
        except TimeoutError as error:
            raise _too_slow() from error
        return pieces


class _Export(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Hands over requests as bytes, since the generated service answers INTERNAL to what it cannot parse.

    As a stream of one, since a sender is then admitted before its request is read.
    """

    def __init__(self, export: Callable[[Iterator[bytes], Any], bytes]) -> None:
        self._method = grpc.stream_unary_rpc_method_handler(export)

    def service(self, handler_call_details: Any) -> Any:
        return self._method if handler_call_details.method == EXPORT else None


def _too_slow() -> Refused:
    text = f"the body took more than {READ_SECONDS:g} s to arrive"
    return Refused(408, grpc.StatusCode.DEADLINE_EXCEEDED, text)


def _unsupported(text: str) -> Refused:
    return Refused(415, grpc.StatusCode.INVALID_ARGUMENT, text)


def _as_json(response: ExportLogsServiceResponse) -> str:
    if not response.HasField("partial_success"):
        return "{}"
    partial = response.partial_success
    # protobuf's JSON writes 64-bit integers as text
    said = {"rejectedLogRecords": str(partial.rejected_log_records), "errorMessage": partial.error_message}
    return json.dumps({"partialSuccess": said})


def _refusal(refused: Refused, kind: str) -> Response:
    """Return a refusal with its status, in protobuf to who speaks that, else in JSON."""
    status = refused.status()
    content: str | bytes
    if kind == PROTOBUF:
        content = status.SerializeToString()
    else:
        kind = JSON
        content = json.dumps({"code": status.code, "message": status.message})
    headers = {}
    if refused.retry:
        headers["retry-after"] = str(RETRY_SECONDS)
    if refused.http == 401:
        headers["www-authenticate"] = "Bearer"
    if refused.http == 405:
        headers["allow"] = "POST"
    return Response(content, status_code=refused.http, media_type=kind, headers=headers)


async def _drained(request: Request) -> bool:
    """Read on for a moment, tell whether that was all: a sender still writing would miss its answer."""
    try:
        async with asyncio.timeout(_LINGER_SECONDS):
            async for _ in request.stream():
                pass
    except (TimeoutError, ClientDisconnect):
        return False
    except RuntimeError:  # it was read to its end before
        return True
    return True
