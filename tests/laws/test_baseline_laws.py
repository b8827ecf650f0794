"""What every baseline obeys, whatever it was built from."""

import itertools

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import strategies
from driftline import names
from driftline.baseline import Baseline, bins
from driftline.columns import Coded, categories, numbers, of
from driftline.errors import BaselineError
from driftline.histogram import Histogram, count, fold
from driftline.statistics import STATISTICS

HUGE = np.array([1.7976931348623157e308] * 3 + [-1.7976931348623157e308] * 3)


def built(values, **options):
    return Baseline.build({"x": values}, model="m", features=["x"], **options)


def feature(values, **options):
    return built(values, **options).features["x"]


@given(values=strategies.numeric())
@example(values=HUGE)
@example(values=np.array([0.0, -0.0]))
def test_edges(values):
    """Edges rise from -inf to inf, lie between training values, and survive JSON as they are."""
    baseline = built(values)
    edges = baseline.features["x"].edges
    assert edges[0] == -np.inf
    assert edges[-1] == np.inf
    assert (np.diff(edges[1:-1]) > 0).all()
    assert len(edges) - 1 <= 2 * bins.FINE_BINS
    assert ((values.min() <= edges[1:-1]) & (edges[1:-1] < values.max())).all()
    assert np.array_equal(Baseline.from_json(baseline.to_json()).features["x"].edges, edges)


@given(values=strategies.numeric())
@example(values=HUGE)
def test_every_training_value_is_counted_once(values):
    """Counts are those of a search for each value; no bin is empty; sums are finite and add up."""
    found = feature(values)
    sought = np.searchsorted(found.edges[1:-1], values)
    assert np.array_equal(found.counts, np.bincount(sought, minlength=found.fine))
    assert found.values == found.rows == len(values)
    assert (found.counts > 0).all()
    assert np.isfinite(found.sums).all()
    largest = np.finfo(np.float64).max
    if np.abs(values).max() < largest / len(values):
        lower, upper = found.edges[sought], found.edges[sought + 1]
        low, high = found.range  # a value beyond it is cut to it, but never out of its own bin
        cut = np.clip(values, np.minimum(low, upper), np.maximum(high, lower))
        assert np.allclose(found.sums, np.bincount(sought, cut), rtol=1e-9, atol=1e-9 * np.abs(values).max())


@given(values=strategies.numeric())
def test_atoms_have_a_bin_of_their_own(values):
    """A value that holds 1/128 of the rows shares its fine bin with no other."""
    found = feature(values)
    distinct, occurs = np.unique(values, return_counts=True)
    assume(not (np.nextafter(distinct[:-1], np.inf) == distinct[1:]).any())
    for value in distinct[occurs * bins.FINE_BINS >= len(values)]:
        place = np.searchsorted(found.edges[1:-1], value)
        assert found.counts[place] == np.count_nonzero(values == value)


@given(values=strategies.numeric())
@example(values=HUGE)
def test_moments_range_and_quantiles(values):
    """They are finite, inside the data or just around it, and at most 0.2 % are out of range."""
    found = feature(values)
    assert np.isfinite([found.mean, found.stddev, *found.range, *found.quantiles.values()]).all()
    assert values.min() <= found.mean <= values.max() or found.stddev < 1e-12 * np.abs(values).max()
    assert (found.stddev == 0) == (values.min() == values.max()) or np.ptp(values / 2) < 1e-150
    assert found.faults[names.OUT_OF_RANGE] <= 2 * (len(values) // 1000)
    ordered = [found.quantiles[key] for key in sorted(found.quantiles, key=float)]
    assert ordered == sorted(ordered)
    assert set(ordered) <= set(values.tolist())


@given(counts=st.lists(st.integers(1, 10**6), min_size=1, max_size=250).map(np.array))
@example(counts=np.array([1, 180, 1, 180, 1, 180, 1, 180, 1, 180, 1]))
def test_fold(counts):
    """At most ten bins, rising, none left out; a tenth stands alone wherever ten bins leave it room."""
    folded = bins.fold_of(counts)
    assert folded[0] == 0
    assert set(np.diff(folded).tolist()) <= {0, 1}
    number = int(folded[-1]) + 1
    assert number <= bins.FOLD_BINS
    alone = counts * 10 >= counts.sum()
    runs = np.count_nonzero(~alone & np.concatenate(([True], alone[:-1])))
    if alone.sum() + runs <= bins.FOLD_BINS:
        assert (np.bincount(folded)[folded[alone]] == 1).all()


@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1000, 5000))
def test_fold_of_continuous_values(seed, rows):
    """Values without ties fold into ten bins of nearly a tenth each."""
    found = feature(np.random.default_rng(seed).normal(size=rows))
    shares = fold(found.counts, found.fold, len(found.bins)) / rows
    assert found.bins == tuple(f"{n:02d}" for n in range(10))
    assert shares.min() > 0.085
    assert shares.max() < 0.115


@given(values=strategies.numeric() | strategies.texts() | strategies.dtyped())
def test_ratios(values):
    """The shares of the fold are above 0, sum to 1, and are those of the counts, smoothed."""
    try:
        baseline = built(values)
    except BaselineError:
        return  # nothing in it is a value
    found = baseline.features["x"]
    counts = fold(found.counts, found.fold, len(found.bins))
    assert (found.ratios > 0).all()
    assert found.ratios.sum() == pytest.approx(1, abs=1e-12)
    assert found.ratios == pytest.approx((counts + 0.5) / (found.values + 0.5 * len(counts)))
    assert len(found.bins) <= 12


@given(
    values=strategies.numeric()
    | strategies.texts()
    | strategies.dtyped()
    | strategies.mixed()
    | strategies.vectors(),
    seed=st.integers(0, 99),
)
@example(values=[[0.0, 0.0], None, ""], seed=0)
def test_order_of_rows_changes_nothing(values, seed):
    """Equal rows in another order give the same id."""
    order = np.random.default_rng(seed).permutation(len(values))
    other = values[order] if isinstance(values, np.ndarray) else [values[place] for place in order]
    assert outcome(other) == outcome(values)


def outcome(values):
    """Return a baseline's id, or why there is none."""
    try:
        return Baseline.build({"x": values}, model="m").id
    except BaselineError as error:
        return error.faults


@given(values=strategies.numeric() | strategies.texts() | strategies.dtyped() | strategies.mixed())
@example(values=HUGE)
def test_a_file_gives_the_same_baseline(values):
    """What is written is read back equal, down to the id and to the text."""
    try:
        baseline = built(values)
    except BaselineError:
        return
    again = Baseline.from_json(baseline.to_json())
    assert again.id == baseline.id
    assert again.to_json() == baseline.to_json()
    one, other = baseline.features["x"], again.features["x"]
    for field in ("edges", "counts", "sums", "fold", "ratios"):
        assert np.array_equal(getattr(one, field), getattr(other, field))


@given(prices=st.lists(st.integers(0, 10**7), min_size=2, max_size=400), copies=st.integers(1, 20))
def test_float32_and_float64_of_one_price_share_a_bin(prices, copies):
    """Prices of two decimals count alike as float32 and as float64, and score alike."""
    values = np.repeat(np.array(prices) / 100, copies)
    found = feature(values)
    wide, narrow = found.count(values), found.count(values.astype(np.float32))
    assert np.array_equal(wide.values, narrow.values)
    assert np.array_equal(wide.faults, narrow.faults)
    expected = Histogram(found.edges, found.counts)
    scores = [STATISTICS["psi"](expected, Histogram(found.edges, c.values)) for c in (wide, narrow)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-9)


@given(
    column=strategies.columns(), older=st.sampled_from(("numeric", "categorical", "boolean", "text_length"))
)
def test_every_row_is_a_value_or_a_fault(column, older):
    """Whatever a service sends, each row is in one bin or is one fault."""
    counted = KINDS[older].count(column)
    assert KINDS[older].kind == older
    faults = dict(zip(names.FAULTS, counted.faults.tolist(), strict=True))
    assert (counted.values >= 0).all()
    assert min(faults.values()) >= 0
    in_no_bin = sum(faults.values()) - faults[names.OUT_OF_RANGE]
    assert counted.values.sum() + in_no_bin == len(column)
    assert np.isfinite(counted.sums).all()
    assert {fault for fault, rows in faults.items() if rows} <= set(names.FAULTS_OF_KIND[older])


KINDS = {
    "numeric": feature(np.arange(500) % 37.0),
    "categorical": feature(["de", "fr", "x"] * 20),
    "boolean": feature([True, False, True]),
    "text_length": feature([f"{number}" * (number % 50) for number in range(300)]),
}


@given(values=strategies.numeric(), newer=strategies.numeric())
def test_inherited_edges_keep_the_binning(values, newer):
    """A retrain on the last baseline's edges can be compared with it, however the data moved."""
    older = built(values)
    found = feature(newer, edges_from=older)
    old = older.features["x"]
    if len(old.bins) > 1:
        assert found.binning == old.binning
        assert np.array_equal(found.edges, old.edges)
        assert np.array_equal(found.counts, count(np.sort(newer), old.edges)[0])
    assert found.values == len(newer)


@given(values=strategies.texts(600), newer=strategies.texts(100))
def test_categories(values, newer):
    """At most 64 are kept and 11 named, by count, each of 20 rows; the rest is unseen, in no share."""
    try:
        found = feature(values, categorical=["x"])
    except BaselineError:
        assert all(value is None for value in values)
        return
    read = categories(of(values))
    occurs = dict(zip(read.texts, np.bincount(read.codes, minlength=len(read.texts)).tolist(), strict=True))
    ranked = sorted(occurs, key=lambda text: (-occurs[text], text))
    assert list(found.categories) == ranked[:64]
    assert found.faults[names.UNSEEN] == sum(occurs[text] for text in ranked[64:])
    named = [text for text in ranked[:11] if occurs[text] >= 20]
    labels = [bins.label(text) for text in named]
    assert list(found.bins) == ([*labels, names.OTHER] if len(named) < len(found.categories) else labels)
    counted = found.count(of(newer))
    present = [item for item in categories(of(newer)).texts if item in found.categories]
    assert (counted.values > 0).sum() == len(present)


@given(
    column=strategies.columns(), kind=st.sampled_from(("numeric", "categorical", "boolean", "text_length"))
)
def test_every_row_is_placed_where_it_is_counted(column, kind):
    """Row by row, on the fold or on coarse bins, nothing is told but what counting adds up."""
    found = KINDS[kind]
    counted = found.count(column)
    for layout in (found.layout, found.layout.coarse()):
        places, outside = found.place(column, layout.cuts)
        bins = np.bincount(places[places >= 0], minlength=len(layout.labels))
        assert np.array_equal(bins, layout.folded(counted.values))
        faults = np.bincount(-1 - places[places < 0], minlength=4)
        faults[names.FAULTS.index(names.OUT_OF_RANGE)] += len(outside)
        assert np.array_equal(faults, counted.faults)
        assert (places[outside] >= 0).all()


@given(values=strategies.numeric() | strategies.texts())
def test_coarse_bins(values):
    """At most five, each some neighbours of the fold, the commonest categories by their names."""
    try:
        found = feature(values)
    except BaselineError:
        return
    coarse = found.layout.coarse()
    assert len(coarse.labels) == min(len(found.bins), 5) == len(set(coarse.fold.tolist()))
    assert set(np.diff(coarse.fold).tolist()) <= {0, 1}
    assert not ((np.diff(coarse.fold) > 0) & (np.diff(found.fold) == 0)).any()
    kept = len(coarse.labels) - (found.kind == "categorical")
    assert coarse.labels[:kept] == found.bins[:kept]
    assert len(found.bins) <= 5 or coarse.binning(found.kind) != found.binning


@given(text=st.text(max_size=4))
def test_labels_are_told_apart(text):
    """No category looks like `other` or like a numbered bin, and no two look alike."""
    shown = bins.label(text)
    assert shown != names.OTHER
    assert not (len(shown) == 2 and shown.isascii() and shown.isdigit())
    assert shown in (text, f"={text}")
    assert shown == text or not text or bins.label(f"={text}") != shown


@given(column=strategies.columns())
def test_lengths_of_coded_and_of_plain_text_agree(column):
    """A column of text counts alike as codes into a dictionary and as plain objects."""
    assume(isinstance(column, Coded))
    plain = np.empty(len(column), object)
    plain[:] = [None if code < 0 else column.texts[code] for code in column.codes.tolist()]
    one, other = (KINDS["text_length"].count(form) for form in (column, plain))
    assert np.array_equal(one.values, other.values)
    assert np.array_equal(one.faults, other.faults)
    assert numbers(column).missing == one.faults[0]


def rows_of(data, draw_cuts):
    """Cut columns of equal length into parts, empty ones among them."""
    bounds = [0, *sorted(draw_cuts), len(data["x"])]
    return [
        {name: column[low:high] for name, column in data.items()} for low, high in itertools.pairwise(bounds)
    ]


@given(values=strategies.numeric() | strategies.dtyped(), given_cuts=st.data(), seed=st.integers(0, 99))
@example(values=HUGE, given_cuts=None, seed=1)
def test_merged_parts_are_the_whole(values, given_cuts, seed):
    """Parts merged, in any order and grouping, are all rows counted at once: counts to the bit, sums to 1e-9."""
    rng = np.random.default_rng(seed)
    texts = rng.choice(np.array(["de", "fr", "at", None], object), len(values))
    data = {"x": values, "c": [*texts.tolist()], "b": [*(rng.random(len(values)) < 0.5).tolist()]}
    try:
        plan = Baseline.build(data | {"c": [*data["c"][:-1], "de"]}, model="m", features=["x", "c", "b"])
    except BaselineError:
        return  # nothing in it is a number
    cuts = given_cuts.draw(st.lists(st.integers(0, len(values)), max_size=6)) if given_cuts else [2]
    parts = [plan.part(part) for part in rows_of(data, cuts)]
    whole = plan.part(data)
    order = rng.permutation(len(parts))
    merged = Baseline.merge(parts)
    assert Baseline.merge([parts[place] for place in order]).id == merged.id
    middle = int(rng.integers(0, len(parts) + 1))
    grouped = Baseline.merge([Baseline.merge(some) for some in (parts[:middle], parts[middle:]) if some])
    largest = float(np.abs(np.asarray(values, float)[np.isfinite(np.asarray(values, float))]).max(initial=0))
    assert merged.features["x"].dtype == whole.features["x"].dtype
    for found in (merged, grouped, Baseline.from_json(merged.to_json())):
        assert found.rows == whole.rows == len(values)
        for name, feature in found.features.items():
            expected = whole.features[name]
            for field in ("counts", "ratios", "fold", "edges"):
                assert np.array_equal(getattr(feature, field), getattr(expected, field))
            for field in ("faults", "values", "binning", "bins", "range", "quantiles"):
                assert getattr(feature, field) == getattr(expected, field)
            if largest < 1e300:
                assert feature.sums == pytest.approx(expected.sums, rel=1e-9, abs=1e-9 * largest)
                close = pytest.approx((expected.mean, expected.stddev), rel=1e-9, abs=1e-7 * largest)
                assert (feature.mean, feature.stddev) == close
            assert np.isfinite([feature.mean, feature.stddev, *feature.sums]).all()
