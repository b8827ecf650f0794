"""Windows are the sum of their last panes, whatever the clock does."""

import numpy as np
import pytest

from driftline.window import Counts, Window


def counts(*values):
    return Counts(np.array(values), np.array(values, float), np.zeros((1, 4), np.int64), sum(values))


def window(length=60, pane=10, now=1000.0):
    return Window(length, pane, Counts.empty(2, 1, 4), now)


def test_rows_leave_with_their_pane():
    """A row is in the window for its length, to the pane."""
    rolled = window()
    rolled.add(counts(3, 4))
    rolled.roll(1059)
    assert rolled.merged().values.tolist() == [3, 4]
    rolled.roll(1060)
    assert rolled.merged().values.tolist() == [0, 0]
    assert rolled.merged().rows == 0


def test_a_long_sleep_empties_everything():
    """After a gap longer than the window nothing old is left, and the ring goes on."""
    rolled = window()
    for now in range(1000, 1060, 10):
        rolled.roll(now)
        rolled.add(counts(1, 1))
    assert rolled.merged().rows == 12
    rolled.roll(5003)
    assert rolled.merged().rows == 0
    rolled.add(counts(5, 0))
    assert rolled.merged().values.tolist() == [5, 0]


def test_a_clock_that_steps_back_changes_nothing():
    """Rows go on into the open pane."""
    rolled = window()
    rolled.add(counts(1, 0))
    rolled.roll(400)
    rolled.add(counts(1, 0))
    assert rolled.merged().values.tolist() == [2, 0]


def test_closed_panes_hold_rows_and_are_not_the_open_one():
    """What phi is measured on: no empty panes, not the half-filled one."""
    rolled = window()
    for now in (1000, 1010, 1030):
        rolled.roll(now)
        rolled.add(counts(now, 1))
    assert sorted(rolled.closed()[:, 0].tolist()) == [1000, 1010]


def test_the_number_of_panes_is_rounded_up():
    """A window of 25 s in panes of 10 s has three."""
    assert window(25, 10).slots == 3


@pytest.mark.parametrize("jump", range(1, 15))
def test_every_jump_forgets_exactly_the_panes_that_left(jump):
    """Rolling by any number of panes equals rolling one by one."""
    one, many = window(), window()
    for number in range(6):
        for each in (one, many):
            each.roll(1000 + 10 * number)
            each.add(counts(number + 1, 0))
    many.roll(1050 + 10 * jump)
    for step in range(1, jump + 1):
        one.roll(1050 + 10 * step)
    assert one.merged().values.tolist() == many.merged().values.tolist()
    assert one.number == many.number


def test_panes_are_taken_out_and_put_back_by_number():
    """What another window holds pane by pane is what it held; a pane that has left it is not put back."""
    one, other = window(), window(now=1050.0)
    for number in range(6):
        one.roll(1000 + 10 * number)
        one.add(counts(number + 1, 1))
    for number in (*one.numbers(), one.number):
        other.put(number, one.pane_at(number))
    assert one.numbers() == [100, 101, 102, 103, 104]
    assert other.merged().values.tolist() == one.merged().values.tolist() == [21, 6]
    other.put(99, counts(9, 9))
    assert other.merged().rows == one.merged().rows
    other.put(104, counts(0, 0))
    assert other.merged().values.tolist() == [16, 5]


def test_a_window_behind_what_was_kept_goes_on_from_there():
    """A clock that has lost its time of day loses no pane."""
    behind = window(now=0.0)
    behind.put(100, counts(3, 4))
    behind.roll(20)
    behind.add(counts(1, 0))
    assert behind.merged().values.tolist() == [4, 4]


def test_what_was_told_of_closed_panes_is_forgotten_when_they_change():
    """Not when rows come, but when a pane closes or is put."""
    rolled = window()
    rolled.memo["told"] = 1
    rolled.add(counts(1, 1))
    rolled.roll(1005)
    assert rolled.memo
    rolled.roll(1010)
    assert not rolled.memo
    rolled.memo["told"] = 1
    rolled.put(100, counts(2, 2))
    assert not rolled.memo


def test_a_count_that_is_full_stays_full():
    """Beyond four thousand million a cell does not begin again at 0."""
    rolled = window()
    for _ in range(3):
        rolled.add(counts(2**31, 0))
    assert rolled.merged().values.tolist() == [2**32 - 1, 0]
