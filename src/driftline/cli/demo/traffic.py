"""Clients of the demo's service: one PC a request, at a steady rate, sent to one of two instances."""

from __future__ import annotations

import http.client
import json
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from driftline.cli.demo.population import FEATURES
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

RATE = 15.0
"""Rows a second, over both instances: a day of two minutes has some 1,800, about as many as the baseline."""

_MINE = 0.85
_SEED = 486


class Traffic:
    """Sends rows of one population, drawn with replacement, until the block ends.

    Args:
        ports: Where the two instances listen.
        rows: The population to draw from; :meth:`change` takes another.
        apart: Whether the instances get different mixes of it: the first most of the PCs with 8 MB of
            memory or more, the second most of the others.
    """

    def __init__(self, ports: Sequence[int], rows: pd.DataFrame, *, apart: bool) -> None:
        self._mine = _MINE if apart else 0.5
        self.sent = [0] * len(ports)
        self._ports = ports
        self._random = np.random.default_rng(_SEED)
        self._rows = _plain(rows)
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def change(self, rows: pd.DataFrame) -> None:
        """Draw from *rows* from now on."""
        self._rows = _plain(rows)

    def check(self) -> None:
        """Raise when the traffic has stopped.

        Raises:
            DriftlineError: A request failed.
        """
        if self._error is not None:
            raise DriftlineError(f"the service does not answer: {self._error}") from self._error

    def _run(self) -> None:
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=30.0) for port in self._ports]
        try:
            due = time.monotonic()
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                due = max(due + 1.0 / RATE, time.monotonic() - 1.0)  # late by a second at most, then slower
                rows = self._rows
                row = rows[self._random.integers(len(rows))]
                instance = int((row["ram"] >= 8) == (self._random.random() > self._mine))
                connections[instance].request("POST", "/price", json.dumps([row]))
                response = connections[instance].getresponse()
                response.read()
                if response.status != 200:
                    self._error = DriftlineError(f"it answered {response.status}")
                    break
                self.sent[instance] += 1
        except (OSError, http.client.HTTPException) as error:
            self._error = error
        finally:
            for connection in connections:
                connection.close()


def _plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = json.loads(rows[list(FEATURES)].to_json(orient="records"))
    return plain
