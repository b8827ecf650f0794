"""Rows of one entity, spread over the day, are worth what its number of rows says, and no more."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from driftline.columns import of
from driftline.entities import SIZE, clustering, sketch
from driftline.histogram import Histogram
from driftline.sidecar.state import StateFolder
from driftline.statistics.chi_square import chance, chi_square
from driftline.statistics.overdispersion import overdispersion
from driftline.statistics.psi import psi
from watched import Watched, baseline, batch

PHI = "driftline_feature_overdispersion"


@pytest.fixture(scope="module")
def built():
    return baseline()


def truth(who):
    rows = np.unique(who, return_counts=True)[1].astype(float)
    return (rows**2).sum() / rows.sum()


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("alone", np.arange(5000)),
        ("twenty each", np.arange(5000) % 250),
        ("one", np.zeros(5000, int)),
        ("few are most", np.random.default_rng(0).zipf(1.5, 5000) % 10**6),
    ],
)
def test_clustering_is_that_of_the_rows(name, who):
    """From a sketch in parts it is the sum of the squared numbers of rows over the rows, to 20 %."""
    sketched = sum(sketch(part) for part in np.array_split(np.random.default_rng(1).permutation(who), 7))
    assert clustering(sketched, 5000) == pytest.approx(truth(who), rel=0.2)


@given(
    who=st.lists(st.integers(-50, 2**53) | st.integers(0, 30), min_size=1, max_size=200),
    cut=st.integers(0, 200),
)
def test_sketches_add_up_and_do_not_mind_the_type(who, cut):
    """Parts add up to the whole; an id is the same entity as an integer, as a float, with or without gaps."""
    whole = sketch(np.array(who, np.int64))
    assert np.array_equal(
        whole, sketch(np.array(who[:cut], np.int64)) + sketch(np.array(who[cut:], np.int64))
    )
    assert np.array_equal(whole, sketch(np.array(who, np.float64)))
    assert np.array_equal(whole, sketch(np.array([*who, np.nan], np.float64)))
    assert np.array_equal(sketch(of([str(one) for one in who])), sketch(of([*map(str, who), None])))


@given(column=strategies.columns())
def test_any_column_tells_entities(column):
    """Whatever comes as @entity is sketched, and rows without one count as one each."""
    found = sketch(column)
    assert found.shape == (SIZE,)
    assert 0 <= found[-1] <= len(column)
    assert 1.0 <= clustering(found, max(len(column), 1)) <= max(len(column), 1) * 1.001


def test_ids_of_16_bytes():
    """A request's id or a UUID is an entity, too."""
    ids = np.random.default_rng(0).integers(0, 256, (40, 16)).astype(np.uint8).view("V16").ravel()
    assert clustering(sketch(np.repeat(ids, 25)), 1000) == pytest.approx(25, rel=0.25)


def test_phi_is_at_least_that_of_the_entities(built):
    """Twenty rows of each customer, spread over all panes: phi of the panes is 1, that of the entities is 20."""
    found = []
    for with_entities in (False, True):
        watched = Watched(built)
        for pane in range(10):
            extra = {"@entity": np.arange(200) + 1000} if with_entities else {}
            watched.monitor.observe(batch(200, seed=pane, extra=extra))
            watched.monitor.tick()
            watched.clock.now += 300
        watched.monitor.tick()
        found.append(watched.values(PHI, feature="amount", window="1h"))
        entities = watched.values("driftline_sidecar_window_entities")
    assert list(found[0].values()) == [pytest.approx(1.2, abs=0.3)]
    assert list(found[1].values()) == [pytest.approx(10, rel=0.2)]
    assert entities["1h"] == pytest.approx(200, rel=0.2)


def test_who_has_no_entity_counts_as_one(built):
    """Rows without an entity are worth a row each, and a model that sends none has no such series."""
    watched = Watched(built)
    watched.monitor.observe(batch(1000, extra={"@entity": np.r_[np.full(500, np.nan), np.arange(500)]}))
    watched.monitor.tick()
    assert watched.values("driftline_sidecar_window_entities")["1h"] == pytest.approx(1000, rel=0.15)
    plain = Watched(built)
    plain.monitor.observe(batch(1000))
    plain.monitor.tick()
    assert plain.values("driftline_sidecar_window_entities") == {}


def test_entities_survive_a_restart(built, tmp_path):
    """They are kept with the panes."""
    before = Watched(built)
    before.monitor.observe(batch(1000, extra={"@entity": np.arange(1000) % 50}))
    before.monitor.tick()
    told = before.values("driftline_sidecar_window_entities")
    StateFolder(tmp_path, before.telemetry).save(before.monitor)
    after = Watched(built, clock=before.clock)
    StateFolder(tmp_path, after.telemetry).restore(after.monitor)
    after.monitor.tick()
    assert after.values("driftline_sidecar_window_entities") == told
    assert told["1h"] == pytest.approx(50, rel=0.2)


def test_what_a_few_customers_do_is_chance_once_they_are_known():
    """Of 2,000 customers of very different activity, spread over the day, none has changed.

    The gate finds a day significant by the phi of its panes, and by rows per customer; by the entities' it
    does not.
    """
    rng = np.random.default_rng(0)
    bins, rows, known, days = 10, 4800, 10_000, 60
    activity = 1 / np.arange(1, 2001)
    edges = np.arange(bins + 1.0)
    significant = np.zeros(3)
    for _ in range(days):
        who = rng.choice(2000, rows, p=activity / activity.sum())
        held = rng.integers(0, bins, 2000)[who]
        panes = np.array([np.bincount(part, minlength=bins) for part in np.array_split(held, 24)])
        expected = Histogram(edges, rng.multinomial(known, np.ones(bins) / bins))
        observed = Histogram(edges, panes.sum(axis=0))
        of_panes = overdispersion(panes)
        each = rows / len(np.unique(who))
        for number, phi in enumerate(
            (of_panes, max(of_panes, each), max(of_panes, clustering(sketch(who), rows)))
        ):
            surprise = chance(bins) * phi
            score = psi(expected, observed) / (1 / rows + 1 / known)
            significant[number] += score > surprise and chi_square(expected, observed) > surprise
    assert significant.tolist() == [days, days, 0]


def test_a_real_shift_is_seen_through_the_entities(built):
    """Where a customer's rows differ from each other and all have moved, enough customers still say so."""
    watched = Watched(built)
    for pane in range(12):
        who = np.arange(pane * 100, pane * 100 + 500)
        watched.monitor.observe(batch(500, seed=pane, shift=0.8, extra={"@entity": who}))
        watched.monitor.tick()
        watched.clock.now += 240
    watched.monitor.tick()
    (p,) = watched.values("driftline_sidecar_feature_p_value", feature="amount", window="1h").values()
    assert p < 1e-6
