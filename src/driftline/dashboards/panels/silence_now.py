"""Landing page: is the model being asked at all?"""

from __future__ import annotations

from driftline.dashboards.panel import instant, stat
from driftline.dashboards.queries import ONE

PANEL = stat(
    "Silence, of what is allowed",
    "Time since the last prediction, as a share of the silence that this model's settings allow. At 100 % "
    "ModelTelemetryAbsent starts. Empty for a model whose settings do not say.",
    instant(
        f"(time() - max(driftline_last_prediction_timestamp_seconds{{{ONE}}}))"
        f" / max(driftline_model_silence_threshold_seconds{{{ONE}}})"
    ),
    unit="percentunit",
    runbook="ModelTelemetryAbsent",
    steps={0.5: "yellow", 1: "red"},
    empty="not set",
    decimals=0,
)
