"""A server over HTTP that stands in for another: on a free port from its making to its end, and silent."""

from __future__ import annotations

import http.server
import threading
from typing import Any


class Standin(http.server.ThreadingHTTPServer):
    """Answers as its handler does, over TLS where a context is given; its block ends it."""

    daemon_threads = True

    def __init__(
        self, handler: type[http.server.BaseHTTPRequestHandler], port: int = 0, context: Any = None
    ) -> None:
        super().__init__(("127.0.0.1", port), handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Clients that go away are part of the tests."""

    def close(self) -> None:
        """Stop listening, as what was killed."""
        self.shutdown()
        self.server_close()

    def __exit__(self, *_: object) -> None:
        self.close()


class Answer(http.server.BaseHTTPRequestHandler):
    """What was asked, whatever the method, and how it is answered."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        """Answer; each stand-in in its way."""
        raise NotImplementedError

    def do_GET(self) -> None:
        """Answer, as http.server calls it."""
        self.answer()

    do_POST = do_PUT = do_GET  # noqa: N815 - the same

    def body(self) -> bytes:
        """Return what was sent."""
        return self.rfile.read(int(self.headers["Content-Length"] or 0))

    def say(self, code: int, said: bytes = b"", headers: dict[str, str] | None = None) -> None:
        """Answer with *said*."""
        self.send_response(code)
        for name, value in {**(headers or {}), "Content-Length": str(len(said))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Say nothing: a test asks what it wants to know."""
