"""Which tests cannot run here, and why."""

import os

import pytest

from driftline.cli import binaries


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skip a stack test whose parts cannot be had, naming the part; with DRIFTLINE_REQUIRE_STACK=1 fail it."""
    for marker in item.iter_markers("stack"):
        for name in marker.kwargs.get("needs", marker.args or binaries.NAMES):
            try:
                binaries.need(name)
            except binaries.Missing as missing:
                if os.environ.get("DRIFTLINE_REQUIRE_STACK") == "1":
                    pytest.fail(str(missing), pytrace=False)
                pytest.skip(str(missing))
