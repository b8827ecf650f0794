"""What the values of a column mean, and how long a text may be."""

import datetime as dt
import itertools
import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from driftline.columns import Coded, categories, category_text, clip, is_missing, join, numbers, of, take

NAN = math.nan


def plain(column):
    """Return a column as (type, items), missing ones None."""
    if isinstance(column, Coded):
        return "text", [None if code < 0 else column.texts[code] for code in column.codes]
    items = [None if is_missing(item) else item for item in column.tolist()]
    return column.dtype.str.lstrip("<|"), items


# --- of ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("items", "kind", "held"),
    [
        ([1, -2], "i8", [1, -2]),
        ([1, None], "f8", [1.0, None]),
        ([1, 2.5, NAN], "f8", [1.0, 2.5, None]),
        ([None, NAN], "f8", [None, None]),
        ([], "f8", []),
        ([True, False], "b1", [True, False]),
        ([True, None], "O", [True, None]),
        ([True, 1], "O", [True, 1]),
        (["a", None, "", "a"], "text", ["a", None, "", "a"]),
        (["a", 1], "O", ["a", 1]),
        ([2**63], "O", [2**63]),
        ([2**63, 0.5], "f8", [2.0**63, 0.5]),
        ([10**400, 0.5], "O", [10**400, 0.5]),
        ([np.float32(0.5), np.int8(3), np.bool_(True)], "O", [0.5, 3, True]),
        ([np.int64(3), np.float64("nan")], "f8", [3.0, None]),
        ([pd.NA, pd.NaT, "a"], "text", [None, None, "a"]),
        ([np.str_("a")], "text", ["a"]),
        ([b"a", Decimal(1)], "O", [b"a", Decimal(1)]),
    ],
    ids=repr,
)
def test_of(items, kind, held):
    """Items become the narrowest column that holds them, whatever their library calls missing."""
    assert plain(of(iter(items))) == (kind, held)


def test_of_keeps_foreign_objects():
    """An object that cannot even be compared is held as it is: nothing here knows what it means."""

    class Odd:
        def __ne__(self, other):
            raise RuntimeError

    odd = Odd()
    column = of([odd, np.array([1, 2])])
    assert column[0] is odd
    assert numbers(column).wrong_type == 2
    assert categories(column).wrong_type == 2


@pytest.mark.parametrize(
    "item", [None, NAN, np.float32("nan"), np.datetime64("NaT"), pd.NaT, pd.NA, Decimal("NaN")]
)
def test_missing(item):
    """Every library's way of holding nothing is missing."""
    assert is_missing(item)


@pytest.mark.parametrize("item", [0, "", False, math.inf, np.array([NAN, NAN]), [], dt.date(2026, 1, 1)])
def test_not_missing(item):
    """Zero, empty text and what cannot be compared are something."""
    assert not is_missing(item)


# --- numbers ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "values", "rows", "missing", "wrong_type"),
    [
        (np.array([1.0, 2.0]), [1, 2], None, 0, 0),
        (np.array([1.0, NAN, math.inf, -math.inf, 2.0], "f4"), [1, 2], [0, 4], 1, 2),
        (np.array([1, math.inf], "f2"), [1], [0], 0, 1),
        (np.array([-1, 5], "i1"), [-1, 5], None, 0, 0),
        (np.array([0, 2**64 - 1], "u8"), [0, 2.0**64], None, 0, 0),
        (np.array([True, False]), [1, 0], None, 0, 0),
        (of([1, "text", None, True, 10**400]), [1, 1], [0, 3], 1, 2),
        (of([2**63]), [2.0**63], None, 0, 0),
        (np.array([np.float32(0.5), np.int8(3), np.bool_(True)], object), [0.5, 3, 1], None, 0, 0),
        (Coded(np.array([0, -1, 1]), ("1", "2")), [], [], 1, 2),
        (np.zeros(2, "V16"), [], [], 0, 2),
        (np.array(["2026-01-01"], "M8[ns]"), [], [], 0, 1),
        (np.empty(0), [], None, 0, 0),
    ],
)
def test_numbers(column, values, rows, missing, wrong_type):
    """A number is finite; what is missing is counted apart from text, ids and infinities."""
    read = numbers(column)
    found = read.values  # noqa: PD011 - not pandas
    assert found.tolist() == values
    assert (None if read.rows is None else read.rows.tolist()) == rows
    assert (read.missing, read.wrong_type) == (missing, wrong_type)
    assert found.dtype in (np.float32, np.float64)


def test_numbers_does_not_copy():
    """A clean float column is read where it lies: this is the path of every feature."""
    column = np.array([1.0, 2.0], "f4")
    assert numbers(column).values is column  # noqa: PD011 - not pandas


# --- categories -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "texts", "rows", "missing", "wrong_type"),
    [
        (np.array([True, False]), ["true", "false"], None, 0, 0),
        (np.array([3, -1, 3], "i2"), ["3", "-1", "3"], None, 0, 0),
        (np.array([1.0, 0.1, NAN, math.inf]), ["1", "0.1"], [0, 1], 1, 1),
        (np.array([0.1, -0.0, 0.0], "f4"), ["0.1", "0", "0"], None, 0, 0),
        (Coded(np.array([1, -1, 0]), ("a", "b")), ["b", "a"], [0, 2], 1, 0),
        (of([1, 1.0, "1", True, None, math.inf, 10**400]), ["1", "1", "1", "true"], [0, 1, 2, 3], 1, 2),
        (of(["a", 1]), ["a", "1"], None, 0, 0),
        (np.array([b"a", "a"], object), ["a"], [1], 0, 1),
        (np.zeros(2, "V16"), [], [], 0, 2),
    ],
)
def test_categories(column, texts, rows, missing, wrong_type):
    """A category is a text; equal values of different types are one."""
    read = categories(column)
    assert [read.texts[code] for code in read.codes] == texts
    assert len(set(read.texts)) == len(read.texts)
    assert (None if read.rows is None else read.rows.tolist()) == rows
    assert (read.missing, read.wrong_type) == (missing, wrong_type)


def test_categories_cut_alike_are_one():
    """Two texts of a dictionary that are one once cut share a code."""
    same = "\ud800", "?"
    read = categories(Coded(np.array([0, 1, 2]), (*same, "b")))
    assert read.codes.tolist() == [0, 0, 1]
    assert read.texts == ("?", "b")


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (True, "true"),
        (np.False_, "false"),
        (0, "0"),
        (-0.0, "0"),
        (1e6, "1000000"),
        (2.0**60, str(2**60)),
        (np.float32(2.0**40), str(2**40)),
        (np.int64(-7), "-7"),
        (np.uint64(2**64 - 1), str(2**64 - 1)),
        (1e-7, "0.0000001"),
        (0.1, "0.1"),
        (np.float32(0.1), "0.1"),
        (np.float16(0.1), "0.1"),
        (float(np.float32(0.1)), "0.10000000149011612"),
        ("", ""),
        (" Größe ", " Größe "),
        (math.inf, None),
        (NAN, None),
        (10**309, None),
        (b"a", None),
        (None, None),
        (Decimal(1), None),
    ],
    ids=repr,
)
def test_category_text(item, text):
    """The text of a category depends on its value, and on its type only for fractions."""
    assert category_text(item) == text


def test_clip():
    """A text of 128 bytes stays; a longer one keeps its beginning and tells itself apart by its hash."""
    assert clip("x" * 128) == "x" * 128
    assert clip("ü" * 64) == "ü" * 64
    cut = clip("x" * 129)
    assert (cut[:120], len(cut)) == ("x" * 120, 128)
    assert cut != clip("x" * 130)


def test_clip_between_characters():
    """The cut never halves a character, so the result may be shorter."""
    cut = clip("a" + "€" * 60)
    assert cut[:-8] == "a" + "€" * 39
    assert len(cut.encode()) == 126


def test_clip_half_surrogates():
    """Half a surrogate pair, which JavaScript can send, becomes something that can be written."""
    assert clip("a\ud83d") == "a?"
    assert clip("\ud83d" * 200).encode()[:3] == b"???"


def test_take():
    """Rows are taken from text and numbers alike, by mask or by index."""
    mask = np.array([True, False, True])
    assert take(np.array([1, 2, 3]), mask).tolist() == [1, 3]
    assert plain(take(Coded(np.array([0, -1, 1]), ("a", "b")), np.array([2, 1]))) == ("text", ["b", None])


@given(column=strategies.columns(), cuts=st.lists(st.integers(0, 60), max_size=4))
def test_join(column, cuts):
    """What was cut apart and joined again reads the same, as numbers and as categories."""
    bounds = [0, *sorted(min(cut, len(column)) for cut in cuts), len(column)]
    pieces = [take(column, np.arange(low, high)) for low, high in itertools.pairwise(bounds)]
    joined = join([(piece, len(piece)) for piece in pieces])
    assert len(joined) == len(column)
    for read in (numbers, categories):
        before, after = read(column), read(joined)
        assert (after.missing, after.wrong_type) == (before.missing, before.wrong_type)
    assert np.array_equal(numbers(joined).values, numbers(column).values)
    texts = [
        [found.texts[code] for code in found.codes.tolist()] for found in map(categories, (joined, column))
    ]
    assert texts[0] == texts[1]
    longer = join([(None, 2), (column, len(column))])
    assert numbers(longer).missing == numbers(column).missing + 2
