"""Training columns as they come: tied, constant, huge, tiny, next to each other, mixed with faults."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from driftline.columns import Coded

finite = st.floats(allow_nan=False, allow_infinity=False)
HARD = (0.0, -0.0, 5e-324, -5e-324, 1e-310, 1e300, -1e300, 1.7976931348623157e308, -1.7976931348623157e308,
        2.0**63, 2.0**53 + 2, 1e15, 1e15 + 0.125, 9.99, 0.1, 1.0)  # fmt: skip


def _column(items, low=1, high=300):
    return st.lists(items, min_size=low, max_size=high).map(lambda found: np.array(found, np.float64))


def _adjacent(start, size):
    values = [start]
    for _ in range(size):
        values.append(np.nextafter(values[-1], np.inf))
    return np.array(values)


def numeric():
    """Finite float64 columns."""
    seeded = st.builds(
        lambda seed, size: (np.random.default_rng(seed), size),
        st.integers(0, 2**32 - 1),
        st.integers(1, 2000),
    )
    return st.one_of(
        _column(finite),
        _column(st.sampled_from(HARD)),
        _column(st.integers(-3, 3).map(float)),
        st.builds(lambda value, size: np.full(size, value), finite, st.integers(1, 500)),
        st.builds(_adjacent, st.floats(-1e300, 1e300), st.integers(1, 300)),
        seeded.map(lambda s: s[0].normal(size=s[1])),
        seeded.map(lambda s: np.where(s[0].random(s[1]) < 0.7, 0.0, s[0].lognormal(size=s[1]))),
        seeded.map(lambda s: s[0].choice(s[0].normal(size=1 + s[1] // 10), s[1])),
        seeded.map(lambda s: np.round(s[0].lognormal(3, 1, s[1]), 2)),
        seeded.map(lambda s: 1e15 + 1e-3 * s[0].integers(0, 10**6, s[1])),
        seeded.map(lambda s: np.repeat(np.arange(float(s[1] % 7 + 1)), 1 + s[1] // 7)),
        seeded.map(lambda s: np.tan(np.pi * (s[0].random(s[1]) - 0.5))),
    )  # fmt: skip


def dtyped():
    """Numeric columns of any type a model is given, NaN and infinities among them."""
    kinds = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
    return st.sampled_from(kinds).flatmap(
        lambda kind: arrays.arrays(kind, st.integers(1, 200), elements=arrays.from_dtype(np.dtype(kind)))
    )


def texts(most=300):
    """Columns of text, missing ones among them."""
    words = st.sampled_from(("de", "fr", "other", "12", "=x", "", "é" * 100, "x")) | st.text(max_size=5)
    return st.lists(words | st.none(), min_size=1, max_size=most)


def mixed(most=60):
    """Columns of whatever a service may send."""
    items = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.binary(max_size=3)
    )
    return st.lists(items, min_size=1, max_size=most)


def columns():
    """Anything that can arrive as a column."""
    from driftline.columns import of

    coded = st.lists(st.text(max_size=6), min_size=1, max_size=20, unique=True).flatmap(
        lambda found: st.lists(st.integers(-1, len(found) - 1), max_size=50).map(
            lambda codes: Coded(np.array(codes, np.int16), tuple(found))
        )
    )
    return st.one_of(dtyped(), coded, mixed().map(of), arrays.arrays(np.bool_, st.integers(0, 9)))


def vectors():
    """Columns of vectors of one length, most of them good."""
    bad = st.one_of(
        st.none(),
        st.just(float("nan")),
        st.text(max_size=4),
        st.lists(finite, max_size=4),
        st.lists(st.text(), max_size=3),
    )

    def rows(width):
        items = st.floats(-1e6, 1e6) | st.integers(-9, 9)
        good = st.lists(items, min_size=width, max_size=width)
        odd = st.lists(st.floats(), min_size=width, max_size=width) | bad
        return st.tuples(st.lists(good, min_size=1, max_size=40), st.lists(odd, max_size=4)).flatmap(
            lambda found: st.permutations(found[0] + found[1])
        )

    return st.integers(2, 5).flatmap(rows)
