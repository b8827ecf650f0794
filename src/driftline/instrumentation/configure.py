"""``driftline.configure``: OpenTelemetry for a service that has none yet."""

from __future__ import annotations

import os

from opentelemetry import metrics, trace

from driftline import names
from driftline.errors import ConfigurationError


def configure(service_name: str | None = None) -> None:
    """Send spans and durations to an OpenTelemetry Collector, as ``OTEL_EXPORTER_OTLP_*`` says.

    For services without any set-up of OpenTelemetry; needs ``driftline[sdk]``. What the service has set up
    already stays as it is. Rows need none of this: they go to the sidecar.

    Args:
        service_name: The service's name, else ``OTEL_SERVICE_NAME`` or what ``OTEL_RESOURCE_ATTRIBUTES`` says.

    Raises:
        ConfigurationError: The SDK is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigurationError(
            f"OpenTelemetry's SDK is not there ({error}): pip install 'driftline[sdk]'"
        ) from error
    said = service_name or os.environ.get("OTEL_SERVICE_NAME")
    resource = Resource.create({names.ATTR_SERVICE_NAME: said} if said else {})
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        tracers = TracerProvider(resource=resource)
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(tracers)
    if not isinstance(metrics.get_meter_provider(), MeterProvider):
        metrics.set_meter_provider(
            MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource=resource)
        )
