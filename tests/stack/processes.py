"""Real Prometheus, Alertmanager and sidecars for the stack tests: the demo's own, under the tests' names.

A test marks what it needs, ``@pytest.mark.stack("prometheus")``, and starts it in a block::

    with Children(tmp_path) as children, Phone() as phone:
        alertmanager(children, config.replace("PHONE", phone.url))
        prometheus_url = prometheus(children, config)
        eventually(lambda: query(prometheus_url, "up == 1"))
"""

import time
from collections.abc import Callable
from typing import TypeVar

from driftline.cli.demo.phone import Call, Phone
from driftline.cli.demo.stack import (
    READY_SECONDS,
    Child,
    ChildEnded,
    Children,
    alertmanager,
    alerts,
    free_ports,
    prometheus,
    query,
    sidecar,
)

__all__ = [
    "READY_SECONDS",
    "Call",
    "Child",
    "ChildEnded",
    "Children",
    "Phone",
    "alertmanager",
    "alerts",
    "eventually",
    "free_ports",
    "prometheus",
    "query",
    "sidecar",
]

T = TypeVar("T")


def eventually(found: Callable[[], T], *, within: float = 30.0, every: float = 0.1) -> T:
    """Return what *found* returns once it is true; fail with the last it returned."""
    deadline = time.monotonic() + within
    while not (last := found()):
        assert time.monotonic() < deadline, f"not within {within} s; the last was {last!r}"
        time.sleep(every)
    return last
