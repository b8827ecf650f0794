"""docs/series.md is made from names.py. To renew it: DRIFTLINE_WRITE=1 with this test."""

import os
from pathlib import Path

from driftline import names

DOCUMENT = Path(__file__).parents[2] / "docs" / "series.md"


def table(series):
    lines = ["| series | type | labels | meaning |", "| --- | --- | --- | --- |"]
    for one in series:
        labels = ", ".join(one.labels).replace("environment, model, version", "*model*")
        lines.append(f"| `{one.name}` | {one.kind} | {labels} | {one.help} |")
    return "\n".join(lines)


def rendered():
    return (
        "# The series\n\n"
        "What the sidecar shows on `/metrics`; made from `names.py`. *model* stands for `environment, model, version`.\n\n"
        "Merged over sidecars by the shipped rules; what alerts read:\n\n"
        f"{table(names.MERGED_SERIES)}\n\n"
        "Of one sidecar; for looking, and for its own health:\n\n"
        f"{table(names.LOCAL_SERIES)}\n\n"
        "What the pipelines before a model may export themselves, for `ModelUpstreamStale`:\n\n"
        f"{table(names.UPSTREAM_SERIES)}\n"
    )


def test_every_series_is_listed():
    """What the document says of the series is what the sidecar exposes, and what pipelines may."""
    if os.environ.get("DRIFTLINE_WRITE"):
        DOCUMENT.write_text(rendered())
    assert DOCUMENT.read_text() == rendered()
