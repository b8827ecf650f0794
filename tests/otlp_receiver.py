"""A small OTLP/HTTP receiver: what the sender really sends, decoded by the real wire."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from driftline.columns import Coded, is_missing
from driftline.wire import Batch, decode
from standin import Answer, Standin


class Receiver(Standin):
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
        super().__init__(_Receives, port, context)
        self.port, self.endpoint = self.server_port, self.url

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
        super().close()


class _Receives(Answer):
    def answer(self) -> None:
        receiver: Any = self.server
        receiver.asked.set()
        body = self.body()
        receiver.gate.wait(30)
        status, headers, answer = receiver.count(self.path, dict(self.headers), body)
        self.say(status, answer, headers)


def partial_success(text: str) -> bytes:
    """Return the answer of a receiver that rejected the one record."""
    answer = ExportLogsServiceResponse()
    answer.partial_success.rejected_log_records = 1
    answer.partial_success.error_message = text
    return answer.SerializeToString()
