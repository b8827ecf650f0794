"""What every drift statistic obeys."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from driftline.errors import EdgesDiffer, EmptyHistogram
from driftline.histogram import Histogram
from driftline.statistics import ON_FOLD, STATISTICS
from driftline.statistics.false_discovery import adjusted
from driftline.statistics.overdispersion import overdispersion
from driftline.statistics.shares import proportions

counts = st.integers(1, 12).flatmap(
    lambda bins: st.tuples(
        *[st.lists(st.integers(0, 10**6), min_size=bins, max_size=bins).filter(any) for _ in range(2)]
    )
)
every = pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)
on_fold = pytest.mark.parametrize("statistic", ON_FOLD.values(), ids=ON_FOLD)
distances = pytest.mark.parametrize(
    "name", ["jensen_shannon", "hellinger", "total_variation", "l_infinity", "kolmogorov_smirnov"]
)


def histogram(values, offset=0.5):
    """Return counts whose values lie *offset* above the lower edge of their bin."""
    edges = np.arange(len(values) + 1.0)
    counts = np.array(values)
    return Histogram(edges, counts, counts * (edges[:-1] + offset), stddev=2.0)


@every
@given(pair=counts)
def test_finite_and_never_negative(statistic, pair):
    """Empty bins, few rows and huge counts all give a finite score; only the mean's shift has a sign."""
    score = statistic(histogram(pair[0]), histogram(pair[1]))
    if statistic is STATISTICS["variance_ratio"] and np.count_nonzero(pair[0]) == 1:
        assert np.isnan(score), "there is no ratio to a constant"
        return
    assert np.isfinite(score)
    assert score >= -1e-12 or statistic is STATISTICS["mean_shift"]


@distances
@given(pair=counts)
def test_a_distance_is_at_most_one(name, pair):
    """What is said to end at 1 does."""
    assert STATISTICS[name](histogram(pair[0]), histogram(pair[1])) <= 1.0


@every
@given(values=st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any))
def test_nothing_on_itself(statistic, values):
    """A histogram has not drifted from itself; what the smoothing of small counts leaves goes with their number."""
    many = histogram([count * 10**9 for count in values])
    if statistic is STATISTICS["variance_ratio"]:
        assert statistic(many, many) == pytest.approx(
            1.0 if np.count_nonzero(values) > 1 else np.nan, nan_ok=True
        )
    else:
        assert abs(statistic(many, many)) <= 1e-3


@on_fold
@given(pair=counts)
def test_the_order_of_bins_means_nothing_to_the_fold(statistic, pair):
    """Turning both histograms around changes no score of the fold: categories have no order."""
    turned = [histogram(values[::-1]) for values in pair]
    assert statistic(*turned) == pytest.approx(statistic(histogram(pair[0]), histogram(pair[1])), abs=1e-9)


@given(pair=counts, times=st.floats(0.01, 100))
def test_the_variance_follows_the_spread(pair, times):
    """All distances from the mean a given times as large: the variance is so many times squared."""
    expected = histogram(pair[0])
    assume(np.count_nonzero(pair[0]) > 1)
    mean = expected.sums.sum() / expected.total
    sums = expected.counts * mean + (expected.sums - expected.counts * mean) * times
    wider = Histogram(expected.edges, expected.counts, sums, stddev=2.0)
    assert STATISTICS["variance_ratio"](expected, wider) == pytest.approx(times**2, rel=1e-6)


@given(pair=counts, offset=st.floats(0, 1))
def test_a_move_within_the_bins_is_seen_by_the_sums(pair, offset):
    """All values moved alike: the Wasserstein distance and the mean say by how much, in standard deviations."""
    expected, observed = histogram(pair[0], 0.0), histogram(pair[0], offset)
    assert STATISTICS["wasserstein"](expected, observed) == pytest.approx(offset / 2.0, abs=1e-9)
    assert STATISTICS["mean_shift"](expected, observed) == pytest.approx(offset / 2.0, abs=1e-9)


@given(pair=counts)
def test_the_mean_moves_no_further_than_the_values(pair):
    """The Wasserstein distance is never below the shift of the mean."""
    sides = histogram(pair[0]), histogram(pair[1])
    assert STATISTICS["wasserstein"](*sides) >= abs(STATISTICS["mean_shift"](*sides)) - 1e-9


@every
def test_other_edges_are_refused(statistic):
    """Two baselines are never compared by accident."""
    with pytest.raises(EdgesDiffer):
        statistic(Histogram(np.array([0.0, 1.0, 2.0]), np.array([1, 2])), histogram([1, 2, 3]))
    with pytest.raises(EdgesDiffer):
        statistic(Histogram(np.array([0.0, 1.5, 2.0]), np.array([1, 2])), histogram([1, 2]))


@every
def test_no_values_is_an_error_and_no_score(statistic):
    """No rows, no score."""
    for pair in (([0, 0], [1, 2]), ([1, 2], [0, 0])):
        with pytest.raises(EmptyHistogram):
            statistic(histogram(pair[0]), histogram(pair[1]))


@given(pair=counts)
def test_shares_sum_to_one_and_none_is_zero(pair):
    """Both sides are distributions, on every bin."""
    for shares in proportions(histogram(pair[0]), histogram(pair[1])):
        assert shares.sum() == pytest.approx(1.0)
        assert (shares > 0).all()


@given(
    panes=st.integers(1, 6).flatmap(
        lambda bins: st.lists(
            st.lists(st.integers(0, 1000), min_size=bins, max_size=bins), min_size=0, max_size=20
        ).map(lambda rows: np.array(rows, np.uint32).reshape(-1, bins))
    )
)
def test_overdispersion_is_at_least_one_or_unknown(panes):
    """Phi never makes a test easier, and is not told from fewer than eight panes that hold values."""
    phi = overdispersion(panes)
    filled = int((panes.sum(axis=1) > 0).sum())
    assert np.isnan(phi) == (filled < 8)
    assert np.isnan(phi) or (np.isfinite(phi) and phi >= 1.0)


@given(seed=st.integers(0, 1000), cluster=st.sampled_from([1, 5, 20]))
def test_overdispersion_is_about_the_size_of_a_cluster(seed, cluster):
    """Twenty equal rows in a row count as one: phi finds the twenty."""
    rng = np.random.default_rng(seed)
    panes = rng.multinomial(4000 // cluster, np.ones(10) / 10, 24) * cluster
    assert 0.7 * cluster <= overdispersion(panes) <= 1.5 * cluster


@every
@given(pairs=st.lists(counts, min_size=1, max_size=5))
def test_many_features_score_as_each_does_alone(statistic, pairs):
    """Histograms stacked along an axis before the bins give each feature the score it has by itself."""
    bins = len(pairs[0][0])
    pairs = [pair for pair in pairs if len(pair[0]) == bins]
    alone = [[histogram(values) for values in pair] for pair in pairs]
    stacked = [
        Histogram(
            np.stack([each[side].edges for each in alone]),
            np.stack([each[side].counts for each in alone]),
            np.stack([each[side].sums for each in alone]),
            stddev=np.full(len(alone), 2.0),
        )
        for side in (0, 1)
    ]
    wanted = [statistic(*each) for each in alone]
    assert statistic(*stacked) == pytest.approx(np.array(wanted), rel=1e-9, abs=1e-9, nan_ok=True)


@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=50).map(np.array))
def test_adjusted_p_values_keep_their_order_and_are_never_smaller(p_values):
    """What looks at many features asks more of each, and ranks them as before."""
    found = adjusted(p_values)
    assert ((p_values <= found) & (found <= 1)).all()
    assert (np.diff(found[np.argsort(p_values)]) >= 0).all()
    assert adjusted(p_values[::-1]) == pytest.approx(found[::-1])


@given(seed=st.integers(0, 1000))
def test_overdispersion_of_many_features_is_that_of_each(seed):
    """Features side by side, some without values in some panes, do not touch each other."""
    rng = np.random.default_rng(seed)
    panes = rng.integers(0, 50, (12, 4, 5)) * (rng.random((12, 4, 1)) < 0.8)
    alone = [overdispersion(panes[:, feature]) for feature in range(4)]
    assert overdispersion(panes) == pytest.approx(np.array(alone), nan_ok=True)
