"""What the tests of the service side share."""

import pytest

import driftline
from driftline.instrumentation import observe, problems
from otlp_receiver import Receiver


@pytest.fixture
def receiver(monkeypatch):
    """A receiver that the environment names, for a process that has said nothing yet."""
    observe._observer.cache_clear()
    monkeypatch.setattr(problems, "_logged", set())
    with Receiver() as receiver:
        monkeypatch.setenv("DRIFTLINE_ENDPOINT", receiver.endpoint)
        yield receiver
        driftline.shutdown()
    observe._observer.cache_clear()
