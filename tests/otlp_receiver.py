"""A small OTLP/HTTP receiver: what the sender really sends, decoded by the real wire."""

from __future__ import annotations

import http.server
import threading
from collections import deque
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from driftline.columns import Coded, is_missing
from driftline.wire import Batch, decode


class Receiver:
    """Counts what arrives; ``answers`` are given first, one a request, then 200.

    While ``gate`` is cleared no request is answered.
    """

    def __init__(self, context: Any = None, port: int = 0) -> None:
        self.batches: list[Batch] = []
        self.sequences: list[int | None] = []
        self.headers: list[dict[str, str]] = []
        self.sizes: list[int] = []
        self.answers: deque[tuple[int, dict[str, str], bytes]] = deque()
        self.gate = threading.Event()
        self.gate.set()
        self.asked = threading.Event()
        receiver = self

        class Answering(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver.asked.set()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.gate.wait(30)
                status, headers, answer = receiver.count(self.path, dict(self.headers), body)
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """Clients that go away are part of the tests."""

        self._server = Server(("127.0.0.1", port), Answering)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        self.endpoint = f"{'http' if context is None else 'https'}://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def count(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Take one request; what is refused is not counted."""
        request = decode(body)
        assert path == "/v1/logs"
        assert not request.rejected, request.rejected
        self.headers.append(headers)
        self.sizes.append(len(body))
        self.sequences += [batch.sequence for batch in request.batches]
        status, extra, answer = self.answers.popleft() if self.answers else (200, {}, b"")
        if status == 200 and not answer:
            self.batches += request.batches
        return status, extra, answer

    def rows(self, model: str | None = None) -> int:
        """How many rows arrived."""
        return sum(batch.rows for batch in self.batches if model in (None, batch.model))

    def values(self, column: str) -> list[Any]:
        """Every value of *column* that arrived; None where a batch or a row has none."""
        found: list[Any] = []
        for batch in self.batches:
            values = batch.columns.get(column)
            if values is None:
                found += [None] * batch.rows
            elif isinstance(values, Coded):
                found += [None if code < 0 else values.texts[code] for code in values.codes.tolist()]
            else:
                found += [None if is_missing(value) else value for value in values.tolist()]
        return found

    def close(self) -> None:
        """Stop listening, as a sidecar that was killed."""
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def partial_success(text: str) -> bytes:
    """Return the answer of a receiver that rejected the one record."""
    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = 1
    answer.partial_success.error_message = text
    return answer.SerializeToString()
