"""Operations: whose predictions have stopped coming?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import FLEET, furthest

_SILENCE = (
    f"(time() - max by (environment, model) (driftline_last_prediction_timestamp_seconds{{{FLEET}}}))"
    f" / max by (environment, model) (driftline_model_silence_threshold_seconds{{{FLEET}}})"
)

PANEL = timeseries(
    "Silence, of what is allowed",
    "Time since the last prediction as a share of what each model's settings allow, for the ten highest. At 100 % "
    "ModelTelemetryAbsent starts; a nightly job climbs all day and is as it should be below that.",
    ranged(furthest(_SILENCE, by="model", most=10), "{{model}}"),
    unit="percentunit",
    runbook="ModelTelemetryAbsent",
    min=0,
)
