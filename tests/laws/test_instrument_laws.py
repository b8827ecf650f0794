"""What holds for whatever a caller hands to a model."""

from __future__ import annotations

import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import driftline
from driftline.columns import Coded
from driftline.instrumentation import process
from driftline.instrumentation.inputs import read_features
from driftline.instrumentation.parts import columns
from driftline.instrumentation.recorder import Recorder, sample
from driftline.instrumentation.settings import Settings

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=8)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4).filter(
    lambda n: n[0] != "@"
)
CALLS = st.lists(st.dictionaries(NAMES, SCALARS, min_size=1, max_size=4), min_size=1, max_size=6)
WEIRD = st.recursive(
    SCALARS | st.binary(max_size=4) | st.complex_numbers() | st.datetimes(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=2) | st.integers(), inner, max_size=3)
        | st.sets(st.integers(), max_size=2)
    ),
    max_leaves=8,
)


def plain(column):
    if isinstance(column, Coded):
        return [None if code < 0 else column.texts[code] for code in column.codes.tolist()]
    return column.tolist()


def same(sent, arrived):
    """Tell whether a value is the same number, text, boolean or nothing."""
    if sent is None or (isinstance(sent, float) and math.isnan(sent)):
        return arrived is None or (isinstance(arrived, float) and math.isnan(arrived))
    if isinstance(sent, str) or isinstance(arrived, str):
        return sent == arrived
    return float(sent) == float(arrived)


@given(calls=CALLS)
def test_rows_become_columns(calls):
    """Every value of every row is in its column, whatever other rows hold; what a row lacks is missing."""
    parts = [read_features(row) for row in calls]
    for part in parts:
        part.own(None)
    table = columns([[part] for part in parts], [1] * len(parts))
    assert set(table) == {name for row in calls for name in row}
    for name, column in table.items():
        found = plain(column)
        assert len(found) == len(calls)
        assert all(same(row.get(name), value) for row, value in zip(calls, found, strict=True))


@given(calls=CALLS, seed=st.integers(0, 2**32 - 1))
def test_kept_rows_are_rows(calls, seed):
    """Keeping some rows of a call is the same as calling with those rows only."""
    kept = np.flatnonzero(np.random.default_rng(seed).random(len(calls)) < 0.5)
    some, whole = read_features(calls), read_features([calls[row] for row in kept])
    some.own(kept)
    whole.own(None)
    if len(kept):
        found, expected = (columns([[part]], [len(kept)]) for part in (some, whole))
        assert {n: repr(plain(c)) for n, c in found.items()} == {
            n: repr(plain(c)) for n, c in expected.items()
        }


@given(rows=st.integers(0, 5000), halvings=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_sample_is_in_range(rows, halvings, seed):
    """Kept rows rise strictly and lie within the call."""
    kept = sample(rows, 2.0**-halvings, np.random.default_rng(seed))
    assert (np.diff(kept) > 0).all()
    assert len(kept) == 0 or (kept[0] >= 0 and kept[-1] < rows)


@pytest.mark.parametrize("rate", [0.5, 0.125, 2.0**-7])
def test_sample_is_uniform(rate):
    """Every row has the same chance, the first and the last too."""
    random = np.random.default_rng(0)
    rows, times = 50, 20_000
    counts = np.bincount(np.concatenate([sample(rows, rate, random) for _ in range(times)]), minlength=rows)
    sigma = (times * rate * (1 - rate)) ** 0.5
    assert np.abs(counts - times * rate).max() < 5 * sigma


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    calls=st.lists(st.tuples(st.integers(1, 5), st.booleans()), min_size=1, max_size=12),
    every=st.integers(1, 4),
    share=st.sampled_from([1.0, 0.5]),
)
def test_rows_are_conserved(receiver, calls, every, share):
    """Of the rows seen, each arrived or is said to be dropped or left out; the failed ones are said to have failed."""
    receiver.batches.clear()
    recorder = Recorder("m", "1", settings=Settings(endpoint=receiver.endpoint, sample_rate=share))
    for at, (rows, fails) in enumerate(calls):
        receiver.answers += [(400, {}, b"")] * (at % every == 0)
        with suppress(ValueError), recorder.call(np.zeros((rows, 2))) as call:
            if fails:
                raise ValueError
            call.prediction = np.zeros(rows)
        assert driftline.flush(10)
    receiver.answers.clear()
    with Recorder("m", "1", settings=Settings(endpoint=receiver.endpoint)).call(np.zeros((1, 2))):
        pass
    assert driftline.flush(10)
    last = receiver.batches[-1]
    assert last.rows_total == sum(rows for rows, _ in calls) + 1
    assert last.rows_total == receiver.rows() + last.dropped_rows_total
    assert 0 <= last.left_out_rows_total <= (last.dropped_rows_total if share < 1 else 0)
    assert last.error_rows_total == sum(rows for rows, fails in calls if fails)
    assert {batch.stream for batch in receiver.batches} == {last.stream}
    driftline.shutdown()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(features=WEIRD, output=WEIRD, score=WEIRD)
def test_anything_goes(receiver, features, output, score):
    """Whatever a model takes and returns, the caller gets the very object, and the sender lives."""
    recorder = Recorder("anything", "1", settings=Settings(endpoint=receiver.endpoint))
    before = repr((features, output, score))
    with recorder.call(features) as call:
        call.prediction = output
        call.score = score
    assert call.prediction is output
    assert repr((features, output, score)) == before
    assert driftline.flush(10)
    running = [outlet.sender for outlet in process._outlets.values() if outlet.sender is not None]
    assert all(sender.buffer._used == 0 for sender in running)
