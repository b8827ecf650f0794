"""A batch counts once, and what never arrived is known from the totals."""

import json

import pytest

from driftline.sidecar.streams import HELD_SECONDS, IDLE_SECONDS, MAX_STREAMS, REMEMBERED, Streams
from driftline.wire import Batch


def batch(
    sequence, rows=10, *, stream=b"s" * 16, total=None, dropped=None, left_out=None, errors=None, model="m"
):
    return Batch(
        model=model,
        version="1",
        rows=rows,
        columns={},
        stream=stream,
        sequence=sequence,
        rows_total=total,
        dropped_rows_total=dropped,
        left_out_rows_total=left_out,
        error_rows_total=errors,
    )


def test_the_same_batch_twice_counts_once():
    """A retry after a lost answer is a duplicate."""
    streams = Streams()
    assert streams.admit(batch(0), 0).refused is None
    assert streams.admit(batch(0), 1).refused == "duplicate"
    assert streams.admit(batch(1), 2).refused is None


def test_streams_models_and_versions_are_apart():
    """The same number from another sender or model is another batch."""
    streams = Streams()
    for other in (batch(0), batch(0, stream=b"t" * 16), batch(0, model="n")):
        assert streams.admit(other, 0).refused is None


def test_an_overtaken_batch_counts_once():
    """Order does not matter within what is remembered."""
    streams = Streams()
    for sequence in (0, 5, 3, 1, 4, 2):
        assert streams.admit(batch(sequence), 0).refused is None
    for sequence in range(6):
        assert streams.admit(batch(sequence), 0).refused == "duplicate"


def test_older_than_the_bitmap_is_too_late():
    """What can no longer be told from a duplicate is not counted."""
    streams = Streams()
    streams.admit(batch(REMEMBERED + 7), 0)
    assert streams.admit(batch(8), 0).refused is None
    assert streams.admit(batch(7), 0).refused == "too_late"


def test_a_jump_wider_than_the_bitmap_forgets_it():
    """The bitmap stays 1,024 bits wide."""
    streams = Streams()
    streams.admit(batch(0), 0)
    streams.admit(batch(10**9), 0)
    assert streams.admit(batch(10**9 - 5), 0).refused is None
    assert streams.admit(batch(0), 0).refused == "too_late"


def test_one_of_stream_and_sequence_is_never_deduplicated():
    """Without both a batch always counts, by its own rows."""
    streams = Streams()
    for _ in range(2):
        for half in (batch(None), batch(3, stream=None)):
            admission = streams.admit(half, 0)
            assert (admission.refused, admission.served) == (None, None)
    assert len(streams) == 0


def test_a_missing_batch_shows_in_the_next():
    """What was neither dropped nor received is missing here, and not served: another sidecar may have it."""
    streams = Streams()
    streams.admit(batch(0, 10, total=10, dropped=0, errors=0), 0)
    admission = streams.admit(batch(3, 10, total=45, dropped=5, errors=2), 1)
    assert (admission.served, admission.failed, admission.dropped, admission.missing) == (15, None, 5, 20)
    late = streams.admit(batch(1, 10, total=20, dropped=0, errors=0), 2)
    assert (late.served, late.failed, late.missing) == (10, None, 0)


def test_what_is_missing_is_lost_after_a_minute():
    """Rows that arrive late were never lost; those that do not are, once, between one and two minutes later."""
    streams = Streams()
    assert streams.lost(0) == {}
    streams.admit(batch(0, 10, total=10), 0)
    streams.admit(batch(3, 10, total=40), 1)
    assert streams.lost(HELD_SECONDS) == {}
    streams.admit(batch(1, 10, total=20), HELD_SECONDS + 1)
    assert streams.lost(HELD_SECONDS + 2) == {}
    assert streams.lost(2 * HELD_SECONDS) == {("m", "1"): 10}
    assert streams.lost(3 * HELD_SECONDS) == streams.lost(4 * HELD_SECONDS) == {}


def test_rows_that_are_late_again_and_again_are_never_lost():
    """A batch that comes 50 seconds after the next one leaves the count at 0, however often that happens."""
    streams = Streams()
    for even in range(0, 40, 2):
        now = 30.0 * even
        streams.admit(batch(even + 1, 10, total=10 * (even + 2)), now)
        assert streams.lost(now) == {}
        streams.admit(batch(even, 10, total=10 * (even + 1)), now + 50)
        assert streams.lost(now + 59) == {}
    assert streams.lost(10_000) == streams.lost(20_000) == {}


def test_rows_of_a_stream_that_is_forgotten_are_lost():
    """Where there are too many streams, what one was missing does not go unsaid."""
    streams = Streams()
    assert streams.lost(0) == {}
    streams.admit(batch(0, 10, total=10), 1)
    streams.admit(batch(2, 10, total=30), 1)
    for number in range(MAX_STREAMS):
        streams.admit(batch(0, stream=number.to_bytes(16, "big")), 2)
    assert streams.lost(HELD_SECONDS) == {("m", "1"): 10}


def test_rows_shared_by_two_sidecars_are_served_once():
    """Batches of one stream that go to two sidecars in turn add up to what was served."""
    sidecars = Streams(), Streams()
    served = 0
    for sequence in range(20):
        one = batch(sequence, 10, total=10 * (sequence + 1), dropped=0, errors=0)
        served += sidecars[sequence % 2].admit(one, sequence).served
    assert served == 200


def test_errors_follow_the_totals_where_nothing_is_missing():
    """Failed rows that were dropped are known by number; across a gap only what arrived counts."""
    streams = Streams()
    streams.admit(batch(0, 10, total=10, dropped=0, errors=0), 0)
    assert streams.admit(batch(1, 10, total=30, dropped=10, errors=7), 0).failed == 7
    assert streams.admit(batch(3, 10, total=60, dropped=10, errors=17), 0).failed is None


def test_the_first_batch_of_an_unknown_stream():
    """Totals count from sequence 0; later ones may have been counted elsewhere."""
    streams = Streams()
    first = streams.admit(batch(0, 10, total=12, dropped=2, errors=1), 0)
    assert (first.served, first.failed, first.dropped, first.missing) == (12, 1, 2, 0)
    middle = streams.admit(batch(9, 10, stream=b"u" * 16, total=1000, dropped=50, errors=7), 0)
    assert (middle.served, middle.failed, middle.dropped, middle.missing) == (10, None, 0, 0)
    after = streams.admit(batch(10, 10, stream=b"u" * 16, total=1010, dropped=50, errors=7), 0)
    assert (after.served, after.missing) == (10, 0)


def test_a_sender_of_an_older_release_leaves_nothing_out():
    """Without the count all that was not sent is dropped, and the state of an older release is read."""
    streams = Streams()
    streams.admit(batch(0, 10, total=110, dropped=100), 0)
    older = streams.dump()
    at = older["columns"].index("left_out_total")
    for row in (older["columns"], *older["rows"]):
        del row[at]
    streams = Streams()
    streams.restore(older)
    admission = streams.admit(batch(1, 10, total=220, dropped=200, left_out=200), 1)
    assert (admission.served, admission.dropped, admission.left_out) == (110, 0, 100)


def test_totals_that_step_back_are_not_believed():
    """A broken sender is counted by its rows."""
    streams = Streams()
    streams.admit(batch(0, total=100), 0)
    assert streams.admit(batch(1, total=50), 1).served == 10
    for contradicted in (
        batch(0, total=9),
        batch(0, total=10, dropped=1),
        batch(0, total=2**62, dropped=2**62),
        batch(0, total=10, dropped=0, errors=11),
    ):
        admission = Streams().admit(contradicted, 0)
        assert (admission.served, admission.failed, admission.dropped, admission.missing) == (10, None, 0, 0)


def test_memory_is_bounded():
    """Idle streams go after an hour, and never are there more than ten thousand."""
    streams = Streams()
    streams.admit(batch(0, stream=b"old" + bytes(13)), 0)
    streams.admit(batch(0), IDLE_SECONDS + 1)
    assert len(streams) == 1
    for number in range(MAX_STREAMS + 50):
        streams.admit(batch(0, stream=number.to_bytes(16, "big")), IDLE_SECONDS + 2)
    assert len(streams) == MAX_STREAMS


def test_streams_survive_a_restart():
    """What was dumped through JSON and restored refuses the same duplicates and knows the same totals."""
    streams = Streams()
    for sequence in (0, 2):
        streams.admit(batch(sequence, total=10 * (sequence + 1), dropped=0), 5)
    again = Streams()
    again.restore(json.loads(json.dumps(streams.dump())))
    assert again.admit(batch(2), 6).refused == "duplicate"
    assert again.admit(batch(1), 6).refused is None
    assert again.lost(HELD_SECONDS) == {}
    admission = again.admit(batch(4, total=50, dropped=0), 6)
    assert (admission.served, admission.missing) == (10, 10)
    assert again.lost(2 * HELD_SECONDS) == {}
    third = Streams()
    third.restore(json.loads(json.dumps(again.dump())))
    assert third.lost(3 * HELD_SECONDS) == {("m", "1"): 10}


@pytest.mark.parametrize("sequence", [0, 1, 5])
def test_a_repeated_batch_changes_no_total(sequence):
    """A duplicate neither serves nor loses rows afterwards."""
    streams = Streams()
    streams.admit(batch(sequence, total=10 * (sequence + 1), dropped=0), 0)
    streams.admit(batch(sequence, total=10 * (sequence + 1), dropped=0), 0)
    admission = streams.admit(batch(sequence + 1, total=10 * (sequence + 2), dropped=0), 0)
    assert (admission.served, admission.missing) == (10, 0)
