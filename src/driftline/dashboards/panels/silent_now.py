"""Operations: which models are silent?"""

from __future__ import annotations

from driftline.dashboards.panel import instant, stat
from driftline.dashboards.queries import FLEET

PANEL = stat(
    "Silent models",
    "Chosen models without a prediction for longer than their settings allow. Idle, down, or cut off from the sidecar.",
    instant(
        "count(time() - max by (environment, model)"
        f" (driftline_last_prediction_timestamp_seconds{{{FLEET}}})"
        f" > max by (environment, model) (driftline_model_silence_threshold_seconds{{{FLEET}}})) or vector(0)"
    ),
    unit="none",
    runbook="ModelTelemetryAbsent",
    steps={1: "red"},
)
