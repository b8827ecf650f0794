"""One OTLP/HTTP request to the sidecar, and what the answer means."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

if TYPE_CHECKING:
    from driftline.instrumentation.settings import Settings

ATTEMPT_SECONDS = 5.0
LONGEST_ANSWER = 64 << 10
RETRIED = frozenset({429, 502, 503, 504})  # the only ones OTLP lets a client repeat


class Answer(NamedTuple):
    """What became of a request.

    Attributes:
        delivered: The record was taken.
        retry: It may be sent again.
        after: Seconds to wait before that, at least; the receiver's wish.
        text: What went wrong; of a record that was taken, what the receiver has to say of it.
    """

    delivered: bool
    retry: bool = False
    after: float = 0.0
    text: str = ""


class Transport:
    """A connection that is kept open; used by one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = urllib.parse.urlsplit(settings.endpoint)
        prefix = "" if self._url.scheme == "unix" else self._url.path.rstrip("/")
        self._path = f"{prefix}/v1/logs"
        self._connection: http.client.HTTPConnection | None = None

    def send(self, body: bytes) -> Answer:
        """Post one serialised request; every fault is an answer too."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.request("POST", self._path, body, self._headers())
            response = self._connection.getresponse()
            answer = _read(response)
            if not response.isclosed():  # there is more, and nothing of ours says so much
                self.close()
            return _meaning(response.status, answer, response.getheader("Retry-After"))
        except Exception as error:  # noqa: BLE001 - what is no fault of the network is not mended by trying again
            self.close()
            retry = isinstance(error, OSError | http.client.HTTPException)
            return Answer(delivered=False, retry=retry, text=_told(error))

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._url.scheme == "unix":
            return _UnixConnection(self._url.path)
        if self._url.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=ATTEMPT_SECONDS)
        settings = self._settings
        for name in ("ca_file", "cert_file", "key_file"):
            if file := getattr(settings, name):
                Path(file).read_bytes()  # ssl names no file that is not there
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.cert_file:
            context.load_cert_chain(settings.cert_file, settings.key_file)
        return http.client.HTTPSConnection(host, port, timeout=ATTEMPT_SECONDS, context=context)

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/x-protobuf", "User-Agent": "driftline-python"}
        if self._settings.token_file:
            token = Path(self._settings.token_file).read_text().strip()
            if not (token.isascii() and token.isprintable()):  # the library would say it, and so the log
                raise ValueError(
                    "DRIFTLINE_TOKEN_FILE holds what no token may: is there more than one line in it?"
                )
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def abandon(self) -> None:
        """In a forked child: let go of the parent's socket without a word on it.

        Only the descriptor is closed. The objects around it may be locked by a thread that does not
        exist here; their owner keeps them alive, for their finalisers would wait for that lock.
        """
        inherited: socket.socket | None = None if self._connection is None else self._connection.sock
        if inherited is not None:
            os.close(inherited.detach())


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket in the file system, which no port and no other machine can reach."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=ATTEMPT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _read(response: http.client.HTTPResponse) -> bytes:
    """Return the beginning of an answer's body; one that broke off is no answer."""
    body = response.read(LONGEST_ANSWER)
    if len(body) < LONGEST_ANSWER and not response.isclosed():
        raise http.client.IncompleteRead(body)
    return body


def _told(error: Exception) -> str:
    """Return what went wrong, and the remedy of the commonest mistakes."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename} cannot be read: {error.strerror}: DRIFTLINE_*_FILE say where tokens and certificates are"
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        return f"{error.strerror}: is the sidecar running there? DRIFTLINE_ENDPOINT says where to"
    if isinstance(error, socket.gaierror):
        return f"{error.strerror}: DRIFTLINE_ENDPOINT says where to"
    if isinstance(error, ssl.SSLError) and error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return "it speaks no TLS; is the address http:// instead of https://?"
    if isinstance(error, http.client.BadStatusLine) and not isinstance(error, ConnectionError):
        return "it speaks no HTTP/1.1; is that the gRPC port? OTLP over HTTP is on 4328 unless it was changed"
    return f"{type(error).__name__}: {error}"


def _status_text(body: bytes) -> str:
    try:  # a google.rpc.Status; the type is not ours to load, and this one has the same two fields
        return ExportLogsPartialSuccess.FromString(body).error_message or "no reason given"
    except DecodeError:
        said = repr(body[:200].decode(errors="replace"))
        return (
            f"{said}, as no sidecar answers; is it one that listens there? DRIFTLINE_ENDPOINT says where to"
        )


def _meaning(status: int, body: bytes, retry_after: str | None) -> Answer:
    if status in RETRIED:
        after = float(retry_after) if retry_after and retry_after.isdigit() else 0.0
        return Answer(delivered=False, retry=True, after=after, text=f"HTTP {status}")
    if not 200 <= status < 300:
        return Answer(delivered=False, text=f"HTTP {status}: {_status_text(body)}")
    said = ExportLogsServiceResponse.FromString(body).partial_success
    if said.rejected_log_records:
        return Answer(delivered=False, text=said.error_message)
    return Answer(delivered=True, text=said.error_message)
