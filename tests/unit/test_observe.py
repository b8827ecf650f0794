"""``driftline.observe`` and what may be said to it."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid

import numpy as np
import pandas as pd
import pytest

import driftline
from driftline.instrumentation import problems
from driftline.instrumentation.recorder import sample

AT = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def test_decorator(receiver):
    """A decorated function is recorded at each call, by its first argument and what it returns."""

    @driftline.observe("fraud", "1", segments=lambda row: f"country={row['country']}")
    def decide(row, limit=10):
        """Decide."""
        if row["amount"] < 0:
            raise ValueError("negative")
        return row["amount"] < limit

    assert decide.__doc__ == "Decide."
    assert [decide({"amount": 5, "country": "de"}), decide({"amount": 20, "country": "fr"}, limit=10)] == [
        True, False,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="negative"):
        decide({"amount": -1, "country": "de"})
    driftline.flush()
    assert receiver.values("amount") == [5, 20, -1]
    assert receiver.values("@prediction") == [True, False, None]
    assert receiver.values("@segment") == ["country=de", "country=fr", "country=de"]
    assert receiver.values("@error") == [None, None, "ValueError"]


def test_a_block_around_its_model(receiver):
    """What is observed as a model, and calls what is instrumented as that model, is one call; another's counts beside it."""
    double, other = (
        driftline.instrument(lambda row: row["amount"] * 2, name=name, version="1") for name in ("m", "other")
    )
    with driftline.observe("m", "1", {"amount": 5}) as call:
        call.prediction = double({"amount": 6}) + other({"amount": 7})
    driftline.flush()
    assert receiver.rows("m") == 1
    assert sorted(receiver.values("@prediction")) == [14, 26]
    assert receiver.rows("other") == 1


@pytest.mark.parametrize(
    "features", [{"amount": 5.0}, [{"amount": 5.0}], np.array([[5.0]])], ids=["row", "rows", "array"]
)
def test_a_block_that_is_used_again(receiver, caplog, monkeypatch, features):
    """One block is one call: a second, whose features are gone, would be missing all of them, and says so."""
    monkeypatch.setattr(problems, "_logged", set())
    block = driftline.observe("fraud", "1", features, feature_names=["amount"])
    for answer in (1.0, 2.0):
        with block as call:
            call.prediction = [answer]
    driftline.flush()
    assert receiver.values("amount")[0] == 5.0
    assert "features of fraud are not sent: a block is one call; make another one for the next" in caplog.text


def test_decorated_coroutines_and_generators(receiver):
    """A coroutine function stays one, and a generator of batches is a call a batch."""

    @driftline.observe("a", "1")
    async def one(row):
        await asyncio.sleep(0)
        return row["x"] * 2

    @driftline.observe("g", "1")
    def many(batches):
        for batch in batches:
            yield batch[:, 0] * 2

    async def main():
        return await asyncio.gather(*(one({"x": at}) for at in range(5)))

    assert asyncio.iscoroutinefunction(one)
    assert asyncio.run(main()) == [0, 2, 4, 6, 8]
    assert [found.tolist() for found in many(iter([np.ones((2, 1)), np.ones((1, 1))]))] == [[2, 2], [2]]
    driftline.flush()
    assert receiver.rows("a") == 5
    assert receiver.rows("g") == 3


def test_asynchronous_block(receiver):
    """What may be a block may be an asynchronous one, many at a time."""

    async def call(value):
        async with driftline.observe("m", "1", {"x": value}, ids=f"id-{value}") as observed:
            await asyncio.sleep(0)
            observed.prediction = -value

    async def main():
        await asyncio.gather(*map(call, range(10)))

    asyncio.run(main())
    driftline.flush()
    rows = zip(*(receiver.values(name) for name in ("x", "@prediction", "@id")), strict=True)
    assert sorted(rows) == [(at, -at, f"id-{at}") for at in range(10)]


def test_what_is_said_of_rows(receiver):
    """Ids, segments, entities and times are one for all rows or one a row, and follow the rows that are kept."""
    ids = [uuid.UUID(int=at) for at in range(3)]
    with driftline.observe(
        "m", "1", pd.DataFrame({"x": [1, 2, 3]}),
        ids=ids, segments={"country": "de"}, entities=["ann", None, "b" * 65], times=AT,
    ):  # fmt: skip
        pass
    driftline.flush()
    (batch,) = receiver.batches
    assert [bytes(value) for value in batch.columns["@id"]] == [one.bytes for one in ids]
    assert receiver.values("@segment") == ["country=de"] * 3
    assert receiver.values("@entity")[:2] == ["ann", None]
    assert len(receiver.values("@entity")[2]) == 64
    assert batch.columns["@time"].tolist() == [int(AT.timestamp()) * 10**9] * 3


@pytest.mark.parametrize(
    ("times", "expected"),
    [(AT, 1795262400 * 10**9), (1795262400.25, 1795262400250000000), (np.datetime64("2026-11-21T12:00"), 1795262400 * 10**9)],
)  # fmt: skip
def test_times(receiver, times, expected):
    """A moment is a datetime, seconds since 1970, or numpy's."""
    with driftline.observe("m", "1", {"x": 1}, times=times):
        pass
    driftline.flush()
    assert receiver.batches[0].columns["@time"].tolist() == [expected]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"ids": ["a", "b"]}, "2 values as @id for 1 rows; give one, or one a row"),
        ({"segments": "germany"}, 'give "country=de"'),
        ({"segments": {"country": "de", "tier": "1"}}, 'give "country=de"'),
        ({"times": "noon"}, "could not convert"),
        ({"ids": lambda _: 1 / 0}, "division by zero"),
    ],
)
def test_what_cannot_be_said(receiver, caplog, said, why):
    """What is said wrongly is left out and told once; the row itself goes."""
    with driftline.observe("m", "1", {"x": 1}, **said) as call:
        call.prediction = 2
    driftline.flush()
    assert why in caplog.text
    assert receiver.values("x") == [1]
    assert not {"@id", "@segment", "@time"} & receiver.batches[0].columns.keys()


def test_sample_rate(receiver):
    """Of all rows a share is sent, uniformly; all are counted, the share is stated."""
    rows = np.arange(40_000.0).reshape(-1, 1)
    for part in np.array_split(rows, 40):
        with driftline.observe("m", "1", part, ids=[str(at) for at in part[:, 0]], sample_rate=0.1):
            pass
    driftline.flush(10)
    assert {batch.sample_rate for batch in receiver.batches} == {0.1}
    last = receiver.batches[-1]
    assert last.rows_total == 40_000 == receiver.rows() + last.dropped_rows_total
    assert last.left_out_rows_total == last.dropped_rows_total, "a setting, no loss"
    assert abs(receiver.rows() - 4000) < 5 * (4000 * 0.9) ** 0.5
    assert receiver.values("@id") == [str(value) for value in receiver.values("x0")]


def test_sample_rate_and_a_full_buffer(receiver):
    """What the setting leaves out and what a full buffer drops are told apart, and their shares multiply."""
    receiver.gate.clear()
    rows = np.zeros((2000, 100))
    for _ in range(60):  # 96 MB, of which half are wanted
        with driftline.observe("m", "1", rows, sample_rate=0.5):
            pass
    receiver.gate.set()
    assert driftline.flush(20)
    last = receiver.batches[-1]
    assert last.rows_total == 120_000 == receiver.rows() + last.dropped_rows_total
    assert abs(last.left_out_rows_total - 60_000) < 6 * (120_000 * 0.25) ** 0.5
    assert last.dropped_rows_total - last.left_out_rows_total > 30_000
    rates = {batch.sample_rate for batch in receiver.batches}
    assert max(rates) == 0.5
    assert min(rates) < 0.25


def test_sampling_nothing():
    """A share so small that nothing is kept is no error."""
    assert len(sample(3, 1e-9, np.random.default_rng(0))) == 0


def test_names_for_what_has_none(receiver, caplog):
    """Unnamed columns are x0, x1, and the log says so once, with the remedy; names may be given."""
    for _ in range(2):
        with driftline.observe("m", "1", np.ones((1, 2))):
            pass
        driftline.flush()
    with driftline.observe(
        "n", "1", [1.0, 2.0], feature_names=["p", "q"], classes=["no", "yes", "?"]
    ) as call:
        call.score = np.array([[0.5, 0.25, 0.25]])
    driftline.flush()
    (record,) = caplog.records
    assert record.message == (
        "features of m have no names and are called x0 to x1; give feature_names=[...], or a table that has "
        "names, as the baseline has them"
    )
    assert receiver.batches[-1].columns.keys() == {
        "p",
        "q",
        "@latency",
        "@score.no",
        "@score.yes",
        "@score.?",
    }


@pytest.mark.parametrize(
    "arguments", [{"sample_rate": 0}, {"sample_rate": "half"}, {"task": "guessing"}, {"feature_names": 3}]
)
def test_never_raises(receiver, caplog, arguments):
    """What is wrong with an argument is logged; as a block and as a decorator the caller's code runs as it is."""
    with driftline.observe("m", "1", {"x": 1}, **arguments) as call:
        call.prediction = 1

    def function(x):
        return x

    assert driftline.observe("m", "1", **arguments)(function) is function
    assert "records nothing" in caplog.text
    assert receiver.rows() == 0
