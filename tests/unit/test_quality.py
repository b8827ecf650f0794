"""What breaks on the way to a model is a fault, by its kind, and not only a shift."""

import numpy as np
import pytest

from driftline.baseline import Baseline
from driftline.columns import Coded, of
from driftline.wire import Batch
from watched import Watched, baseline, batch, columns

FAULTS = "driftline_feature_faults_total"
DAY = 86_400


@pytest.fixture(scope="module")
def built():
    return baseline()


def text(values):
    return of([str(value) for value in values.tolist()])


def upper(coded):
    return Coded(coded.codes, tuple(text.upper() for text in coded.texts))


BROKEN = {
    "a source is gone": ("amount", lambda rows: np.full(len(rows), np.nan), "missing"),
    "a column is not sent": ("plan", None, "missing"),
    "numbers come as text": ("amount", text, "wrong_type"),
    "a division by zero": ("amount", lambda rows: rows / 0.0, "wrong_type"),
    "cents for euros": ("amount", lambda rows: rows * 100 + 1000, "out_of_range"),
    "another case": ("plan", upper, "unseen"),
    "another code": ("plan", lambda rows: rows.codes + 10, "unseen"),
    "yes for true": ("member", lambda rows: of(["yes" if row else "no" for row in rows.tolist()]), "unseen"),
}


@pytest.mark.parametrize("broken", BROKEN)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_what_breaks_is_a_fault_of_its_kind(built, broken):
    """From the moment it breaks every row is a fault of one kind, which no healthy row is."""
    feature, breaks, fault = BROKEN[broken]
    watched = Watched(built)
    watched.monitor.observe(batch(500))
    healthy = sum(watched.values(FAULTS, feature=feature).values())
    rows = columns(500, seed=2)
    if breaks is None:
        del rows[feature]
    else:
        rows[feature] = breaks(rows[feature])
    watched.monitor.observe(Batch(model="fraud", version="1", rows=500, columns=rows))
    found = watched.values(FAULTS, feature=feature)
    assert healthy <= 5
    assert found[fault] >= 495
    assert sum(found.values()) <= 505


@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.parametrize(
    "same",
    [lambda rows: rows.astype(np.float32), lambda rows: of(rows.tolist()), lambda rows: np.round(rows, 3)],
)
def test_another_type_of_the_same_number_is_none(built, same):
    """float32, a list of JavaScript's numbers, or three decimals: the values are as they were."""
    watched = Watched(built)
    rows = columns(500)
    watched.monitor.observe(
        Batch(model="fraud", version="1", rows=500, columns={"amount": same(rows["amount"])})
    )
    assert sum(watched.values(FAULTS, feature="amount").values()) <= 3


# --- constant -----------------------------------------------------------------------------------

DAYS = np.arange(4000) % 7


@pytest.fixture(scope="module")
def sensors():
    rng = np.random.default_rng(0)
    return Baseline.build(
        {"heat": rng.normal(20, 3, 4000), "weekend": DAYS >= 5, "rare": np.arange(4000) % 500 == 0},
        model="oven",
        version="1",
    )


def hours(watched, number, heat, rows=180, midnight=0):
    """Let *number* hours pass with rows whose heat is what *heat* of the hour gives."""
    rng = np.random.default_rng(1)
    for _ in range(number // 3):
        day = int((watched.clock.now - midnight * 3600) // DAY) % 7
        watched.monitor.observe(
            Batch(
                model="oven",
                version="1",
                rows=rows,
                columns={
                    "heat": np.broadcast_to(heat(rng, rows), rows).astype(float),
                    "weekend": np.full(rows, day >= 5),
                    "rare": np.zeros(rows, bool),
                },
            )
        )
        watched.clock.now += 3 * 3600 - 1
        watched.monitor.tick()
        watched.clock.now += 1
        watched.monitor.tick()
    return watched.values(FAULTS, fault="constant")


def varies(rng, rows):
    return rng.normal(20, 3, rows)


def sticks(rng, rows):
    return 21.5


def beyond(rng, rows):
    return 1e6


def test_a_sensor_that_sticks_is_constant_after_a_day(sensors):
    """A day of one value, where training varied, is a fault of each further value, until it varies again."""
    watched = Watched(sensors)
    assert hours(watched, 30, varies)["heat"] == 0
    assert hours(watched, 21, sticks)["heat"] == 0
    assert hours(watched, 30, sticks)["heat"] == 30 * 60
    assert hours(watched, 6, varies)["heat"] == 30 * 60


def test_a_value_that_stays_is_constant_week_after_week(sensors):
    """What has been stuck for more than a week is no habit."""
    watched = Watched(sensors)
    hours(watched, 24, varies)
    assert hours(watched, 9 * 24, sticks)["heat"] == (9 * 24 - 21) * 60


def test_what_never_varied_is_told_after_a_week(sensors):
    """From the first row on constant, it may be the calendar's for a week, and is not then."""
    watched = Watched(sensors)
    assert hours(watched, 7 * 24, sticks)["heat"] == 0
    assert hours(watched, 24, sticks)["heat"] == 24 * 60


@pytest.mark.parametrize("hour", [0, 9])
def test_the_calendar_is_no_fault(sensors, hour):
    """A flag of the weekend is one value for days, from the first week on and wherever midnight is."""
    watched = Watched(sensors)
    watched.clock.now += hour * 3600
    assert hours(watched, 15 * 24, varies, midnight=hour)["weekend"] == 0


def test_what_can_be_constant_is_not_judged(sensors):
    """What held 99 % of the training data has no such fault; nor have few rows, or those beyond the range."""
    watched = Watched(sensors)
    hours(watched, 30, varies)
    found = hours(watched, 30, beyond)
    assert found.keys() == {"heat", "weekend"}
    assert found["heat"] == 0
    quiet = Watched(sensors)
    hours(quiet, 30, varies, rows=15)
    assert hours(quiet, 60, sticks, rows=15)["heat"] == 0
