"""Counting, merging and folding, against the plain way of doing each."""

import numpy as np
import pytest

from driftline import histogram
from driftline.errors import EdgesDiffer, EmptyHistogram
from driftline.histogram import Histogram, SideBySide, count, fold, merge

EDGES = np.array([-np.inf, -1.0, 0.0, 2.5, np.inf])
LARGEST = np.finfo(np.float64).max


def plainly(values, edges):
    place = np.searchsorted(edges[1:-1], values)
    return np.bincount(place, minlength=len(edges) - 1), np.bincount(place, values, minlength=len(edges) - 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [0, 1, 5, 15, 16, 17, 1000, 100_000])
@pytest.mark.parametrize("bins", [1, 2, 4, 128])
def test_count(rows, bins, dtype):
    """Few values and many, of either width, are counted as a search for each would."""
    rng = np.random.default_rng(rows)
    inner = np.sort(rng.normal(size=bins - 1))
    edges = np.concatenate(([-np.inf], inner, [np.inf]))
    values = rng.normal(size=rows).astype(dtype)
    counts, sums = count(values, edges)
    expected_counts, expected_sums = plainly(values.astype(np.float64), edges)
    assert np.array_equal(counts, expected_counts)
    assert sums == pytest.approx(expected_sums, rel=1e-9, abs=1e-9)
    assert (counts.shape, sums.dtype) == ((bins,), np.float64)


@pytest.mark.parametrize("times", [1, 100])
def test_a_bin_holds_its_upper_edge(times):
    """A value on an edge lies below it, whichever way it is counted."""
    values = np.tile([-1.0, 0.0, 2.5, np.nextafter(2.5, 3), -np.finfo(float).max, 5e-324], times)
    counts, _ = count(values, EDGES)
    assert counts.tolist() == [2 * times, times, 2 * times, times]


def test_what_is_counted_is_left_as_it_was():
    """Counting sorts a copy; a batch that cannot be written to is counted."""
    values = np.array([3.0, 1.0, 2.0])
    values.setflags(write=False)
    count(values, EDGES)
    assert values.tolist() == [3.0, 1.0, 2.0]


def test_order_changes_nothing():
    """Not even the rounding of a sum depends on the order of the rows."""
    rng = np.random.default_rng(0)
    for rows in (10, 5000):
        values = rng.lognormal(0, 9, rows)
        one, other = count(values, EDGES), count(values[::-1], EDGES)
        assert one[1].tolist() == other[1].tolist()


def shapes():
    rng = np.random.default_rng(1)
    yield "normal", rng.normal(size=200_000)
    yield "far from 0", 1e15 + rng.normal(size=200_000)
    yield "whole numbers", rng.poisson(20, 200_000).astype(np.float64)
    yield "prices", np.round(rng.lognormal(3, 1, 200_000), 2)
    yield "heavy tails", rng.lognormal(0, 3, 200_000)
    yield "float32", rng.normal(size=200_000).astype(np.float32)
    yield "constant", np.full(200_000, 3.0)


@pytest.mark.parametrize("way", ["sorted", "grid"])
@pytest.mark.parametrize(
    ("values", "of"), [(values, values.dtype) for _, values in shapes()], ids=dict(shapes())
)
def test_many_values_are_counted_alike_either_way(values, of, way, monkeypatch):
    """On a machine that sorts fast and on one that does not: as a search for each would; sums to 7 digits."""
    monkeypatch.setattr(histogram, "_grid_is_faster", lambda: way == "grid")
    wide = values.astype(np.float64)
    edges = np.unique(np.quantile(wide, np.arange(1, 128) / 128))
    edges = np.concatenate(([-np.inf], (edges[:-1] + edges[1:]) / 2, [np.inf]))
    low, high = np.quantile(wide, [0.001, 0.999])
    counts, sums = count(values, edges, low, high)
    expected_counts, expected_sums = plainly(wide, edges)[0], plainly_cut(wide, edges, low, high)
    assert np.array_equal(counts, expected_counts)
    assert sums == pytest.approx(expected_sums, rel=1e-7, abs=1e-7 * np.abs(expected_sums).max())


def plainly_cut(values, edges, low, high):
    """Sum value by value: the nearest one from low to high, unless the border of its bin is nearer."""
    place = np.searchsorted(edges[1:-1], values)
    cut = np.where(values > high, np.maximum(high, edges[place]), values)
    cut = np.where(values < low, np.minimum(low, edges[place + 1]), cut)
    return np.bincount(place, cut, minlength=len(edges) - 1)


@pytest.mark.parametrize("rows", [0, 1, 2, 64, 65, 500, 3000])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i1", "i8", "?"])
def test_features_side_by_side_are_counted_as_each_alone(rows, dtype):
    """Counting all features of a batch at once changes nothing, whatever is missing, infinite or out of range."""
    rng = np.random.default_rng(rows)
    edges, ranges, columns = [], [], []
    for feature in range(12):
        inner = np.sort(rng.choice([-40.0, -1.0, -0.5, 0.0, 0.5, 0.7, 2.5, 90.0], feature % 7, replace=False))
        edges.append(np.concatenate(([-np.inf], inner, [np.inf])))
        ranges.append((-1.5, 1.5) if feature % 3 else (-100.0, -50.0))
        column = rng.normal(0, 30, rows).round(feature % 4).astype(dtype)
        if dtype.startswith("f"):
            column[rng.random(rows) < feature / 20] = np.nan
            column[rng.random(rows) < feature / 40] = [np.inf, -np.inf][feature % 2]
        columns.append(column)
    together = SideBySide(edges, ranges)
    counts, sums, faults = together.count(columns, rows)
    for number, column in enumerate(columns):
        here = slice(*together.starts[number : number + 2])
        values = column[np.isfinite(column)].astype(np.float64)
        low, high = ranges[number]
        assert np.array_equal(counts[here], plainly(values, edges[number])[0])
        assert sums[here] == pytest.approx(plainly_cut(values, edges[number], low, high), abs=1e-6)
        assert faults[number].tolist() == [
            np.isnan(column).sum(),
            np.isinf(column).sum(),
            ((values < low) | (values > high)).sum(),
        ]
    assert columns[1].dtype == dtype


def test_sums_beyond_float64_are_held_at_its_end():
    """A sum that no float64 holds is its largest; sums that one holds are themselves, beside it too."""
    values = np.array([LARGEST] * 3 + [1.5, -0.5, -LARGEST])
    counts, sums = count(values, EDGES)
    assert counts.tolist() == [1, 1, 1, 3]
    assert sums.tolist()[:3] == [-LARGEST, -0.5, 1.5]
    assert sums[3] == pytest.approx(LARGEST)
    assert np.isfinite(sums).all()
    cancelled = count(np.array([LARGEST] * 2 + [-LARGEST] * 2), np.array([-np.inf, np.inf]))[1]
    assert cancelled.tolist() == [0.0]


def test_values_without_a_sum_near_the_end_are_exact():
    """Values of 1e300 are summed as any others are."""
    assert count(np.array([1e300, 1e300, -1e300]), EDGES)[1].tolist() == [-1e300, 0.0, 0.0, 2e300]


def test_merge():
    """Merging adds counts and sums; without sums on one side there are none."""
    one = Histogram(EDGES, np.array([1, 2, 3, 4]), np.array([-2.0, -1.0, 3.0, 16.0]))
    other = Histogram(EDGES, np.array([0, 0, 1, 0]), np.array([0.0, 0.0, 1.0, 0.0]))
    both = merge([one, other])
    assert both.counts.tolist() == [1, 2, 4, 4]
    assert both.sums.tolist() == [-2.0, -1.0, 4.0, 16.0]
    assert both.total == 11.0
    assert merge([one, Histogram(EDGES, other.counts)]).sums is None


def test_what_cannot_be_merged():
    """Histograms on other edges, and none at all, are refused."""
    one = Histogram(EDGES, np.array([1, 2, 3, 4]))
    with pytest.raises(EdgesDiffer, match="build them on one baseline"):
        merge([one, Histogram(EDGES + 1, one.counts)])
    with pytest.raises(EmptyHistogram):
        merge([])


def test_fold():
    """Folding adds neighbours up, in the last dimension, and loses none."""
    fine = np.arange(12).reshape(2, 6)
    assert fold(fine, np.array([0, 0, 1, 2, 2, 2]), 3).tolist() == [[1, 2, 12], [13, 8, 30]]
    assert fold(np.array([5]), np.array([0]), 1).tolist() == [5]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint32, np.int64, np.float32])
def test_folding_small_integers_does_not_overflow(dtype):
    """A window keeps small integers; their sum may need more room than they do."""
    top = 200 if dtype == np.uint8 else 2**31
    assert fold(np.array([top] * 4, dtype), np.zeros(4, np.intp), 1).tolist() == [4 * top]


def test_the_float32_below_the_least_is_infinite():
    """An edge just below the least float32 is narrowed without a warning: no float32 lies below it but -inf."""
    least = float(np.finfo(np.float32).min)
    edge = np.nextafter(least, -np.inf)
    assert histogram.not_above(np.array([least, edge])).tolist() == [least, -np.inf]
