"""Where the files are that are shipped beside the code."""

from __future__ import annotations

from pathlib import Path

from driftline.errors import DriftlineError


def shipped_rules() -> Path:
    """Return the folder of the shipped rules: inside an installed driftline, beside ``src`` in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "alert-rules", package.parents[1] / "alert-rules"):
        if folder.is_dir():
            return folder
    raise DriftlineError(f"alert-rules/ is neither in {package} nor beside its src; install driftline anew")
