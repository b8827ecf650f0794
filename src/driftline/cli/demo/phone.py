"""A webhook that plays the phone: what Alertmanager sends is kept, with the moment it rang."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Call:
    """One notification of Alertmanager.

    Attributes:
        at: When it came, as ``time.time()`` tells it.
        receiver: The receiver's name, which is the path it was sent to.
        body: Alertmanager's webhook body: ``status``, ``groupLabels``, ``alerts``, ...
    """

    at: float
    receiver: str
    body: dict[str, Any]

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that fire, as Alertmanager told them."""
        return [alert for alert in self.body["alerts"] if alert["status"] == "firing"]


class Phone:
    """Listens while the block lasts; ``calls`` holds what came, in order. Its URL takes any receiver's name."""

    def __init__(self, port: int = 0) -> None:
        phone = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                phone.calls.append(
                    Call(time.time(), self.path.strip("/"), json.loads(self.rfile.read(length)))
                )
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                # As Slack says it: newer Alertmanagers take nothing else for an answer.
                self.wfile.write(b"ok")

            def log_message(self, *_: object) -> None:
                """Say nothing: the calls are kept."""

        self.calls: list[Call] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Answer)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="phone", daemon=True
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
