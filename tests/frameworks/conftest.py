"""Which files of tests run here: those of a framework where it is installed. What they share."""

import pytest

import driftline
from frameworks.subjects import GROUPS, INSTALLED

collect_ignore = [f"test_{framework}.py" for framework in GROUPS if framework not in INSTALLED]


@pytest.fixture(params=["by hand", "by the name of its class"])
def recorded(request, receiver, zero_code):
    """Return what has the calls of a Sequential recorded."""

    def record(model):
        if request.param == "by hand":
            return driftline.instrument(model, name="m", version="1", endpoint=receiver.endpoint)
        zero_code(DRIFTLINE_MODELS="Sequential=m, Linear=n")
        return model

    return record
