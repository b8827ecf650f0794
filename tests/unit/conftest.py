"""What the tests of the service side share."""

import pytest

from driftline.instrumentation import observe, problems


@pytest.fixture
def receiver(receiver, monkeypatch):
    """A receiver that the environment names, for a process that has said nothing yet."""
    observe._observer.cache_clear()
    monkeypatch.setattr(problems, "_logged", set())
    monkeypatch.setenv("DRIFTLINE_ENDPOINT", receiver.endpoint)
    yield receiver
    observe._observer.cache_clear()
