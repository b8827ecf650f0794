"""What every drift statistic obeys."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from driftline.errors import EdgesDiffer, EmptyHistogram
from driftline.histogram import Histogram
from driftline.statistics import STATISTICS
from driftline.statistics.overdispersion import overdispersion
from driftline.statistics.shares import proportions

counts = st.integers(1, 12).flatmap(
    lambda bins: st.tuples(
        *[st.lists(st.integers(0, 10**6), min_size=bins, max_size=bins).filter(any) for _ in range(2)]
    )
)
every = pytest.mark.parametrize("statistic", STATISTICS.values(), ids=STATISTICS)


def histogram(values):
    return Histogram(np.arange(len(values) + 1.0), np.array(values))


@every
@given(pair=counts)
def test_finite_and_never_negative(statistic, pair):
    """Empty bins, few rows and huge counts all give a finite score from 0."""
    score = statistic(histogram(pair[0]), histogram(pair[1]))
    assert np.isfinite(score)
    assert score >= -1e-12


@every
@given(values=st.lists(st.integers(0, 10**6), min_size=1, max_size=12).filter(any))
def test_near_zero_on_itself(statistic, values):
    """A histogram has drifted from itself by no more than the smoothing of small counts explains."""
    bins, total = len(values), sum(values)
    assert statistic(histogram(values), histogram(values)) <= bins * 12 / total


@every
@given(pair=counts)
def test_the_order_of_bins_means_nothing_to_the_fold(statistic, pair):
    """Turning both histograms around changes no score of the fold."""
    turned = [histogram(values[::-1]) for values in pair]
    assert statistic(*turned) == pytest.approx(statistic(histogram(pair[0]), histogram(pair[1])), abs=1e-9)


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
    assert (phi is None) == (filled < 8)
    assert phi is None or (np.isfinite(phi) and phi >= 1.0)


@given(seed=st.integers(0, 1000), cluster=st.sampled_from([1, 5, 20]))
def test_overdispersion_is_about_the_size_of_a_cluster(seed, cluster):
    """Twenty equal rows in a row count as one: phi finds the twenty."""
    rng = np.random.default_rng(seed)
    panes = rng.multinomial(4000 // cluster, np.ones(10) / 10, 24) * cluster
    assert 0.7 * cluster <= overdispersion(panes) <= 1.5 * cluster
