"""The service of the demo: a trained model behind HTTP, watched by one line of driftline.

``python -m driftline.cli.demo.service PORT MODEL`` answers ``GET /`` and ``POST /price``, whose body is a
list of PCs, with their prices.
"""

from __future__ import annotations

import json
import pickle
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import driftline
from driftline.cli.demo.population import FEATURES

NAME = "pc-price"
VERSION = "1"


def serve(port: int, file: Path) -> None:
    """Serve the model in *file* until SIGTERM."""
    import pandas as pd

    with file.open("rb") as opened:
        model = pickle.load(opened)  # noqa: S301 - the demo wrote it a second ago, for its own user alone
    model = driftline.instrument(model, name=NAME, version=VERSION)

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer({"model": NAME, "version": VERSION})

        def do_POST(self) -> None:
            rows = json.loads(self.rfile.read(int(self.headers["content-length"])))
            prices = model.predict(pd.DataFrame(rows, columns=list(FEATURES)))
            self._answer([round(float(price), 2) for price in prices])

        def _answer(self, body: Any) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing of what went well."""

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    with ThreadingHTTPServer(("127.0.0.1", port), Answer) as server:
        server.serve_forever()


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
