"""docs/benchmarks.md, in parts: each benchmark writes its own between two marks and leaves the others alone."""

import os
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"


def put(part, lines):
    """Print the *lines* of a part; with DRIFTLINE_WRITE=1 they take the place of what the document had of it."""
    print("\n" + "\n".join(lines))
    if not os.environ.get("DRIFTLINE_WRITE"):
        return
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    before, found, after = DOCUMENT.read_text().partition(begin)
    if not found:
        raise KeyError(f"{DOCUMENT.name} has no place for {part}: write {begin} and {end} where it belongs")
    DOCUMENT.write_text(before + "\n".join([begin, "", *lines, "", end]) + after.partition(end)[2])
