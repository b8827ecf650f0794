"""Durations that wait for the sender."""

from driftline.instrumentation import durations
from driftline.instrumentation.durations import WAITING, Durations


def test_a_meter_that_raises_reaches_nobody(monkeypatch):
    """Whether a duration waits or there is no room left, the service's broken meter is no matter of its callers."""

    def broken():
        raise RuntimeError("meter")

    monkeypatch.setattr(durations, "histogram", broken)
    kept = Durations()
    for _ in range(WAITING + 1):
        kept.add(0.1, {}, None)
    kept.record()
