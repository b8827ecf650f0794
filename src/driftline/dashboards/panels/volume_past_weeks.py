"""Landing page: is it asked as often as in past weeks?"""

from __future__ import annotations

from driftline.dashboards.panel import ranged, timeseries
from driftline.dashboards.queries import ONE

PANEL = timeseries(
    "Predictions an hour",
    "Rows of each hour, all versions; dashed, the least and the most of the same hours of one and two weeks ago, an "
    "hour earlier or later allowed. A drop below is a caller that is gone, or a service that does not answer.",
    ranged(f"model:driftline_predictions:increase1h{{{ONE}}}", "now"),
    ranged(f"model:driftline_predictions_past_weeks:min1h{{{ONE}}}", "least of past weeks"),
    ranged(f"model:driftline_predictions_past_weeks:max1h{{{ONE}}}", "most of past weeks"),
    unit="short",
    runbook="ModelVolumeLow",
    dashed=".* of past weeks",
    min=0,
)
