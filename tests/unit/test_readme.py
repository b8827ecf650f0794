"""The README's table of series is made from names.py. To renew it: DRIFTLINE_WRITE=1 with this test."""

import os
from pathlib import Path

from driftline import names

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- series: made from names.py -->", "<!-- end of series -->"


def table(series):
    lines = ["| series | type | labels | meaning |", "| --- | --- | --- | --- |"]
    for one in series:
        labels = ", ".join(one.labels).replace("environment, model, version", "*model*")
        lines.append(f"| `{one.name}` | {one.kind} | {labels} | {one.help} |")
    return "\n".join(lines)


def rendered():
    return (
        "*model* stands for `environment, model, version`.\n\n"
        "Merged over sidecars by the shipped rules; what alerts read:\n\n"
        f"{table(names.MERGED_SERIES)}\n\n"
        "Of one sidecar; for looking, and for its own health:\n\n"
        f"{table(names.LOCAL_SERIES)}\n\n"
        "What the pipelines before a model may export themselves, for `ModelUpstreamStale`:\n\n"
        f"{table(names.UPSTREAM_SERIES)}"
    )


def test_the_readme_lists_every_series():
    """What README says of the series is what the sidecar exposes, and what pipelines may."""
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    wanted = f"{before}{BEGIN}\n\n{rendered()}\n\n{END}{after}"
    if os.environ.get("DRIFTLINE_WRITE"):
        README.write_text(wanted)
    assert README.read_text() == wanted
