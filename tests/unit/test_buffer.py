"""The buffer's bound, and what it takes at a time."""

from __future__ import annotations

import sys
from itertools import count

import numpy as np
import pytest

from driftline.instrumentation import buffer
from driftline.instrumentation.buffer import Buffer, Wake
from driftline.instrumentation.entries import Entry, Model


def entry(model, rows=1, *, rate=1.0, size=0, error=None):
    return Entry(model, rows, rate, size, (None, None, None), 0.0, error)


@pytest.fixture
def model():
    return Model(("m", "1"))


def test_rate_halves_as_it_fills():
    """All rows are kept up to half the capacity, then fewer and fewer; the last of very many still have a chance."""
    full = Buffer(Wake(), capacity=100_000)
    random = np.random.default_rng(0)
    held, rates = 0, []
    for _ in range(100_000):
        rate, reserved = full.reserve(1, 100)
        size = 100 if random.random() < rate else 0
        full.release(reserved - size)
        held += size
        rates.append(rate)
    assert 50_000 < held <= 100_000
    assert rates.count(1.0) == 500
    assert rates == sorted(rates, reverse=True)
    assert 2**-14 < rates[-1] < 2**-8


def test_a_huge_call_is_thinned_alike():
    """A call larger than the buffer gets the share that fits, at once."""
    rate, reserved = Buffer(Wake(), capacity=1000).reserve(1_000_000, 100)
    assert rate == 2.0**-17
    assert reserved == 762


def test_release_makes_room():
    """What was given back can be taken again."""
    some = Buffer(Wake(), capacity=1000)
    _, size = some.reserve(50, 10)
    assert some.reserve(1, 10)[0] == 0.5
    some.release(size)
    assert some.reserve(1, 10)[0] == 1.0


def test_no_room_at_all():
    """Where not even one row in a million fits, nothing is kept."""
    assert Buffer(Wake(), capacity=0).reserve(1, 10) == (0.0, 0)


def test_taken_together(model):
    """Rows are taken up to 2,048, of one rate and one recorder, in the order they came."""
    some = Buffer(Wake())
    other = Model(("m", "1"))
    for each in (
        entry(model, 2000),
        entry(model, 48),
        entry(model, 1),
        entry(model, 1, rate=0.5),
        entry(other),
    ):
        assert some.add(each, each.rows)
    taken = []
    while (found := some.take(("m", "1"), full=False)) is not None:
        taken.append([each.rows for each in found.entries])
    assert taken == [[2000, 48], [1], [1], [1]]


@pytest.mark.timeout(30)
def test_rung_while_ringing():
    """A signal's handler may wake the sender at any step of its own thread's doing so: an Event would wait for itself."""

    def step(*_):
        nonlocal steps
        steps += 1
        if steps == at:
            wake.ring()

    for at in count(1):
        wake, steps = Wake(), 0
        sys.setprofile(step)
        try:
            wake.ring()
        finally:
            sys.setprofile(None)
        assert wake.is_set()
        wake.wait(10)
        assert not wake.is_set()
        if steps < at:
            break
    assert at > 4


def test_full_only(model):
    """With full, less than a batch stays where it is, and the sender is woken once there is one."""
    wake = Wake()
    some = Buffer(wake)
    some.add(entry(model, 2047), 2047)
    assert not wake.is_set()
    assert some.take(("m", "1"), full=True) is None
    some.add(entry(model, 1), 1)
    assert wake.is_set()
    assert some.take(("m", "1"), full=True) is not None


def test_dropped_rows(model):
    """Rows not kept are handed over once, with the next rows taken; those left out and failed ones are told apart."""
    some = Buffer(Wake())
    some.drop(model, 5, 0, 0, failed=True)
    some.drop(model, 4, 3, 0, failed=False)
    assert some.take(("m", "1"), full=False) is None
    some.add(entry(model, 2, error="KeyError"), 8)
    some.add(entry(model, 2), 3, 1)
    taken = some.take(("m", "1"), full=False)
    assert (taken.dropped, taken.left_out, taken.failed) == (5 + 4 + 6 + 1, 3 + 1, 5 + 6)
    some.add(entry(model), 1)
    taken = some.take(("m", "1"), full=False)
    assert (taken.dropped, taken.left_out) == (0, 0)


def test_models_are_bounded(monkeypatch):
    """A version made up for every call does not fill the memory."""
    monkeypatch.setattr(buffer, "MAX_MODELS", 3)
    some = Buffer(Wake())
    added = [some.add(entry(Model(("m", str(at)))), 1) for at in range(5)]
    some.drop(Model(("m", "9")), 1, 0, 0, failed=False)
    assert added == [True, True, True, False, False]
    assert len(some.models()) == 3
