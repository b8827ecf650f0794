"""What the sidecar says about itself, through prometheus_client."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics

from driftline import names

if TYPE_CHECKING:
    from driftline.names import Series


disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for every counter, which nobody reads


class Telemetry:
    """The sidecar's own health, in a registry of its own; every outcome is born at 0."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._batches = self._counter(names.BATCHES, "counted", "rejected", "dropped", "ignored")
        self._rows = self._counter(names.ROWS, "counted", "dropped")
        self._rejected = self._counter(names.REJECTED, *names.REJECTED_REASONS)
        self._requests = self._counter(names.REQUESTS)
        for transport, code in (("grpc", "OK"), ("http", "200")):
            self._requests.labels(transport, code)
        self._environment = self._counter(names.ENVIRONMENT_DIFFERS)
        self._reloads = self._counter(names.RELOADS, "loaded", "failed")
        self._reloaded = self._gauge(names.RELOADED)
        self._reloaded.set(1)
        self._state_errors = self._counter(names.STATE_ERRORS, "read", "write")
        self._bytes = self._gauge(names.BYTES_IN_FLIGHT)
        self._tick = self._gauge(names.TICK_SECONDS)
        self._scrape = self._gauge(names.SCRAPE_SECONDS)
        self._state_written = self._gauge(names.STATE_AGE)
        self._gauge(names.BUILD_INFO).labels(version("driftline"), platform.python_version()).set(1)

    def _counter(self, series: Series, *born: str) -> Counter:
        counter = Counter(series.name, series.help, series.labels, registry=self.registry)
        for value in born:
            counter.labels(value)
        return counter

    def _gauge(self, series: Series) -> Gauge:
        return Gauge(series.name, series.help, series.labels, registry=self.registry)

    def request(self, transport: str, code: str) -> None:
        """Count one request and its answer."""
        self._requests.labels(transport, code).inc()

    def rejected(self, reason: str, count: int) -> None:
        """Count records refused whole."""
        self._rejected.labels(reason).inc(count)
        self._batches.labels("rejected").inc(count)

    def ignored(self, count: int) -> None:
        """Count records that are not driftline's."""
        self._batches.labels("ignored").inc(count)

    def in_flight(self, count: int) -> None:
        """Set the bytes of requests being handled."""
        self._bytes.set(count)

    def counted(self, records: int, rows: int) -> None:
        """Count records and their rows as counted."""
        self._batches.labels("counted").inc(records)
        self._rows.labels("counted").inc(rows)

    def dropped(self, rows: int, *, records: int = 0) -> None:
        """Count rows not counted, and the records where that is the whole of them."""
        self._rows.labels("dropped").inc(rows)
        self._batches.labels("dropped").inc(records)

    def environment_differs(self) -> None:
        """Count a batch that names another environment."""
        self._environment.inc()

    def reloaded(self, outcome: str) -> None:
        """Count a reload of the baselines, loaded or failed."""
        self._reloads.labels(outcome).inc()
        self._reloaded.set(outcome == "loaded")

    def state_written(self, at: float) -> None:
        """Say when the state was last written whole."""
        self._state_written.set(at)

    def state_failed(self, operation: str) -> None:
        """Count a state file not read or not written."""
        self._state_errors.labels(operation).inc()

    def ticked(self, seconds: float) -> None:
        """Say how long the last tick took."""
        self._tick.set(seconds)

    def scraped(self, seconds: float) -> None:
        """Say how long the last exposition took."""
        self._scrape.set(seconds)
