"""Operations: how is each sidecar?"""

from __future__ import annotations

from driftline.dashboards.panel import field, rows, table, thresholds

PANEL = table(
    "Each sidecar",
    "Whether it answers, how many series it shows, how long its last tick and exposition took, how old its last written "
    "state is (a restart loses that much of its windows), and the bytes of requests in hand.",
    rows('max by (instance) (up{job="driftline"})'),
    rows('max by (instance) (scrape_samples_scraped{job="driftline"})'),
    rows("max by (instance) (driftline_sidecar_tick_seconds)"),
    rows("max by (instance) (driftline_sidecar_scrape_seconds)"),
    rows("time() - max by (instance) (driftline_sidecar_state_timestamp_seconds > 0)"),
    rows("max by (instance) (driftline_sidecar_in_flight_bytes)"),
    columns={
        "instance": "sidecar",
        "Value #A": "up",
        "Value #B": "series",
        "Value #C": "tick",
        "Value #D": "exposition",
        "Value #E": "state age",
        "Value #F": "in hand",
    },
    sort="series",
    runbook="DriftlineSidecarDown",
    unit="s",
    overrides=[
        field(
            "up",
            unit="bool_yes_no",
            thresholds=thresholds({1: "green"}, start="red"),
            custom__cellOptions={"type": "color-text"},
        ),
        field("series", unit="short"),
        field("in hand", unit="bytes"),
    ],
)
