"""The sidecar as a process: what it starts, in which order, and how it stops."""

from __future__ import annotations

import gzip
import logging
import resource
import signal
import threading
import time
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from driftline.errors import BaselineError
from driftline.sidecar.baselines import Baselines, fingerprint
from driftline.sidecar.exposition import OPENMETRICS, TEXT, Exposition
from driftline.sidecar.monitor import Monitor
from driftline.sidecar.receiver import Receiver, Security
from driftline.sidecar.state import StateFolder
from driftline.sidecar.telemetry import Telemetry
from driftline.sidecar.web import WebServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from driftline.config import Config

logger = logging.getLogger(__name__)

MAX_FILES = 16_384
"""Far beyond what the ports take; some systems allow a thousand million, and some libraries loop over them."""


def steady_clock(beginning: float) -> Callable[[], float]:
    """Return a clock that begins at *beginning* and only goes forward."""
    offset = beginning - time.monotonic()
    return lambda: time.monotonic() + offset


class Sidecar:
    """One sidecar: receivers, monitor, exposition and state.

    Args:
        config: The settings.

    Raises:
        BaselineError: A baseline cannot be used.
        ConfigurationError: A token or certificate cannot be read.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.telemetry = Telemetry()
        self._fingerprint = fingerprint(config.baselines)
        baselines = Baselines.load(config.baselines)
        self._baselines = len(baselines.all)
        self.state = StateFolder(config.state.path, self.telemetry)
        now = time.time()
        clock = steady_clock(self.state.moment(now) or now)
        self.monitor = Monitor(config, baselines, self.telemetry, clock, time.time)
        self.exposition = Exposition(self.monitor, self.telemetry)
        security = Security.of(config.listen)
        self.receiver = Receiver(
            self.monitor.observe,
            grpc=config.listen.grpc,
            http=config.listen.http,
            security=security,
            telemetry=self.telemetry,
        )
        self.web = WebServer(self._pages(), config.listen.metrics, security, name="metrics")
        self._ready = False
        self._stopping = threading.Event()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT, then refuse, drain, write the state and return.

        Raises:
            ConfigurationError: A port is taken, a certificate is no certificate.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        _take_files()
        self.state.claim()
        self.state.restore(self.monitor)
        self.monitor.tick()
        if self.config.unjudged:
            logger.warning(self.config.unjudged)
        try:
            self.receiver.start()
            self.web.start()
            self.receiver.ready = self._ready = True
            logger.info(
                "ready: %d baseline%s, OTLP gRPC on %s, OTLP HTTP on %s, metrics on %s",
                self._baselines, "" if self._baselines == 1 else "s", _at(self.config.listen.grpc, self.receiver.grpc_port),
                _at(self.config.listen.http, self.receiver.http_port),
                _at(self.config.listen.metrics, self.web.port),
            )  # fmt: skip
            self._watch()
        finally:
            served, self._ready = self._ready, False
            self.receiver.stop()
            if served:  # else the windows in the folder are better than ours
                self.monitor.tick()
                self.state.save(self.monitor)
            self.state.release()
            self.web.stop()
        logger.info("stopped")

    def _watch(self) -> None:
        """Tick, reload and save, until told to stop; what fails is told, and tried again the next time."""
        save_at = time.monotonic() + self.config.state.every
        while not self._stopping.wait(self.config.tick):
            began = time.perf_counter()
            for step in (self._reload, self.monitor.tick):
                self._try(step)
            if time.monotonic() >= save_at:
                self._try(lambda: self.state.save(self.monitor))
                save_at = time.monotonic() + self.config.state.every
            self.telemetry.ticked(time.perf_counter() - began)

    @staticmethod
    def _try(step: Callable[[], None]) -> None:
        """Take a step of the ticker; counters are right without it, so no fault of ours in it ends the process."""
        try:
            step()
        except Exception:
            logger.exception("a tick failed in part; the next one tries again")

    def _reload(self) -> None:
        """Take changed baselines; keep the old ones when one of the new is bad."""
        found = fingerprint(self.config.baselines)
        if found == self._fingerprint:
            return
        outcome = "failed"
        try:
            baselines = Baselines.load(self.config.baselines)
            self.monitor.reload(baselines)
            outcome = "loaded"
            logger.info("baselines: reloaded, %d are known now", len(baselines.all))
        except BaselineError as error:  # after any other, which is a fault of ours, the next tick tries again
            logger.error("baselines: the changed ones are not used, the old ones are kept: %s", error)
        finally:
            self.telemetry.reloaded(outcome)
        self._fingerprint = found

    # --- pages ----------------------------------------------------------------------------------

    def _pages(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/metrics", self._metrics, methods=["GET"]),
                Route("/-/healthy", lambda _: PlainTextResponse("driftline is healthy\n")),
                Route("/-/ready", self._readiness),
            ]
        )

    def _metrics(self, request: Request) -> Response:
        openmetrics = "application/openmetrics-text" in request.headers.get("accept", "")
        body = self.exposition.render(openmetrics=openmetrics)
        headers = {"content-type": OPENMETRICS if openmetrics else TEXT, "vary": "Accept, Accept-Encoding"}
        if "gzip" in request.headers.get("accept-encoding", ""):
            body = gzip.compress(body, compresslevel=1)
            headers["content-encoding"] = "gzip"
        return Response(body, headers=headers)

    def _readiness(self, _: Request) -> Response:
        if self._ready:
            return PlainTextResponse("driftline is ready\n")
        return PlainTextResponse("driftline is starting or stopping\n", status_code=503)


def _take_files() -> None:
    """Take as many open files as this process may have: each sender's connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _at(address: str | None, port: int | None) -> str:
    if address is None or port is None:  # a socket in the file system has no port
        return address or "no port"
    return f"{address.rpartition(':')[0]}:{port}"
