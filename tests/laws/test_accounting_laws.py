"""No row is forgotten and none counts twice: what was seen = received + dropped + left out + lost."""

import json
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from driftline.sidecar.streams import HELD_SECONDS, Streams
from driftline.wire import Batch

COUNT = st.integers(0, 5)


class Sent(NamedTuple):
    """One batch of a sender, and what becomes of it on its way."""

    rows: int
    dropped: int  # before it, by a full buffer
    left_out: int  # before it, by the setting
    copies: int  # none: the batch never arrives
    delay: int  # how many batches overtake it
    restarts: bool  # the sidecar, before it arrives
    by_bins: bool


BATCH = st.builds(
    Sent, st.integers(1, 5), COUNT, COUNT, st.integers(0, 2), st.integers(0, 6), st.booleans(), st.booleans()
)


def of(stream, plan):
    """Return the batches of *plan* with the totals that a sender states."""
    totals = np.cumsum(
        [(s.rows + s.dropped + s.left_out, s.dropped + s.left_out, s.left_out) for s in plan], 0
    )
    return [
        Batch(
            model="m", version="1", rows=sent.rows, columns={}, stream=stream * 16, sequence=sequence,
            rows_total=seen, dropped_rows_total=unsent, left_out_rows_total=left_out,
            counts={} if sent.by_bins else None,
        )
        for sequence, (sent, (seen, unsent, left_out)) in enumerate(zip(plan, totals.tolist(), strict=True))
    ]  # fmt: skip


def arrivals(plans):
    """Return (batch, whether the sidecar restarts before it) in the order in which they arrive.

    The first of a stream arrives before its others and the last arrives: what went before the one may have been
    counted elsewhere, of what came after the other nothing is ever said.
    """
    order = []
    for number, plan in enumerate(plans):
        batches = of(bytes([number]), plan)
        for sequence, (sent, batch) in enumerate(zip(plan, batches, strict=True)):
            edge = sequence in (0, len(plan) - 1)
            at = sequence if sequence == 0 else sequence + sent.delay + 0.5
            order += [
                (at + copy * sent.delay, number, sequence, copy, batch, sent.restarts)
                for copy in range(max(sent.copies, edge))
            ]
    return [(batch, restarts) for *_, batch, restarts in sorted(order, key=lambda one: one[:4])]


@given(plans=st.lists(st.lists(BATCH, min_size=1, max_size=12), min_size=1, max_size=3))
def test_every_row_is_accounted_for(plans):
    """In any order, with repetitions, losses and restarts of sender and sidecar; of values and of bins alike."""
    streams, received, admitted = Streams(), 0, []
    for batch, restarts in arrivals(plans):
        if restarts:
            kept = json.loads(json.dumps(streams.dump()))
            streams = Streams()
            streams.restore(kept)
        admission = streams.admit(batch, 0.0)
        assert admission.refused in (None, "duplicate")
        if admission.refused is None:
            received += batch.rows
            admitted.append(admission)
    lost = sum(sum(streams.lost(tick * HELD_SECONDS).values()) for tick in (1, 2))
    dropped = sum(admission.dropped for admission in admitted)
    left_out = sum(admission.left_out for admission in admitted)
    seen = sum(sent.rows + sent.dropped + sent.left_out for plan in plans for sent in plan)
    assert dropped == sum(sent.dropped for plan in plans for sent in plan)
    assert left_out == sum(sent.left_out for plan in plans for sent in plan)
    assert sum(admission.served for admission in admitted) == received + dropped + left_out
    assert seen == received + dropped + left_out + lost


@given(plan=st.lists(BATCH, min_size=1, max_size=12), claimed=st.lists(st.integers(0, 2**62), min_size=12))
def test_what_is_left_out_is_only_ever_a_part_of_what_was_not_sent(plan, claimed):
    """Whatever a sender claims to have left out, served rows and losses add up as they did without it."""
    with_claims, without = Streams(), Streams()
    for batch, left_out in zip(of(b"s", plan), claimed, strict=False):
        said = with_claims.admit(replace(batch, left_out_rows_total=left_out), 0.0)
        true = without.admit(replace(batch, left_out_rows_total=None), 0.0)
        assert 0 <= said.left_out <= true.dropped
        assert replace(said, dropped=said.dropped + said.left_out, left_out=0) == true
