"""Segments are counted beside the whole: each row in one of every declared attribute's, no more series than said."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from driftline.baseline import Baseline
from driftline.columns import Coded
from driftline.layout import Layout
from driftline.sidecar.baselines import Baselines
from driftline.sidecar.segments import SegmentLayout, Segments
from driftline.wire import Batch
from watched import Watched, baseline, batch, columns, select

SETTINGS = "environment: prod\nmodels: {fraud: {segments: {plan: [basic, pro], country: [de, 'fr']}}}"
VALUES, FAULTS = "driftline_segment_feature_values_total", "driftline_segment_feature_faults_total"
COUNTRIES = Coded(np.arange(900) % 4 - 1, ("country=de", "country=fr", "tier=gold"))


@pytest.fixture(scope="module")
def built():
    return baseline()


def watch(built, settings=SETTINGS):
    watched = Watched(built, settings=settings)
    watched.scrape()
    return watched


def total(watched, name, **labels):
    return sum(watched.values(name, **labels).values())


def test_segments_add_up_to_the_whole(built):
    """Over the segments of an attribute every bin, fault, row and error is counted once, failed calls as ever."""
    watched = watch(built)
    failed = Coded(np.where(np.arange(900) % 9 == 0, 0, -1), ("ValueError",))
    rows = columns(900, seed=3)
    rows["amount"][::7] = np.nan
    rows["amount"][1::50] = 1e6
    rows["plan"] = Coded(
        np.where(np.arange(900) % 11 == 0, 3, rows["plan"].codes), (*rows["plan"].texts, "gold")
    )
    watched.monitor.observe(
        Batch(model="fraud", version="1", rows=900, columns={**rows, "@segment": COUNTRIES, "@error": failed})
    )
    watched.scrape()
    found = watched.scrape()
    for attribute in ("plan", "country"):
        for name in ("feature_values", "feature_faults", "predictions", "prediction_errors"):
            sums = [Counter(), Counter()]
            for (series, labels), value in found.items():
                said = dict(labels)
                if series == f"driftline_{name}_total":
                    sums[0][said.get("feature"), said.get("fault")] += value
                if series == f"driftline_segment_{name}_total" and said["segment"].startswith(attribute):
                    sums[1][said.get("feature"), said.get("fault")] += value
            sums[0] = Counter({key: n for key, n in sums[0].items() if key[1] != "constant"})
            assert sums[0] == sums[1]
            assert sum(sums[0].values()) >= 100


@given(column=strategies.columns(), segments=st.data())
def test_segments_of_any_column_add_up(built, column, segments):
    """Whatever comes, and wherever its rows belong, the segments hold what the whole holds."""
    rows = len(column)
    declared = Segments({"a": ["x", "y"], "b": ["z"]})
    layout = SegmentLayout(built.features.values(), declared)
    marked = [
        segments.draw(st.lists(st.sampled_from(of_one), min_size=rows, max_size=rows))
        for of_one in ([0, 1, 2], [3, 4])
    ]
    columns = dict.fromkeys(built.features, column)
    found = layout.count(columns, columns, np.array(marked, np.intp).reshape(2, rows), np.ones(rows, bool))
    whole = Layout(built).count(columns, rows)
    for of_one in (slice(0, 3), slice(3, 5)):
        assert np.array_equal(found.faults[of_one].sum(axis=0), whole.faults)
        assert found.values[of_one].sum() == whole.values.sum()


def test_a_segment_holds_its_own_rows(built):
    """What is counted of `plan=pro` is what counting its rows alone gives."""
    watched = watch(built)
    rows = columns(4000, seed=5)
    watched.monitor.observe(Batch(model="fraud", version="1", rows=4000, columns=rows))
    mine = rows["plan"].codes == 2
    feature = built.features["amount"]
    coarse = feature.layout.coarse()
    wanted = coarse.folded(feature.count(rows["amount"][mine]).values)
    found = watched.values(VALUES, segment="plan=pro", feature="amount")
    assert [found[key] for key in sorted(found)] == wanted.tolist()
    assert watched.values("driftline_segment_predictions_total") == {
        "plan=basic": int((rows["plan"].codes == 0).sum()),
        "plan=pro": int(mine.sum()),
        "plan=other": int((rows["plan"].codes == 1).sum()),
        "country=de": 0,
        "country=fr": 0,
        "country=other": 4000,
    }


def test_a_column_tells_the_segment_then_the_mark_then_the_batch(built):
    """The column of the attribute's name comes first, then `@segment`, then what is said of the whole batch."""
    watched = watch(built)
    country = Coded(np.zeros(900, np.intp), ("fr",))
    for extra, segment in (
        ({"country": country, "@segment": COUNTRIES}, "country=de"),
        ({"@segment": COUNTRIES}, "country=de"),
        ({}, "country=de"),
        ({}, "tier=gold"),
        ({}, None),
    ):
        watched.monitor.observe(batch(900, extra=extra, segment=segment))
    assert watched.values("driftline_segment_predictions_total", segment="country=fr") == {(): 900 + 225}
    assert watched.values("driftline_segment_predictions_total", segment="country=de") == {(): 225 + 900}
    assert watched.values("driftline_undeclared_values_total") == {(): 0}


def test_numbers_and_booleans_tell_segments_by_their_text(built):
    """`member: ["true"]` and `zone: ["7"]` are what the columns hold, whatever type they come in."""
    settings = "environment: prod\nmodels: {fraud: {segments: {member: ['true'], zone: ['7']}}}"
    watched = watch(built, settings)
    for zone in (np.full(10, 7), np.full(10, 7.0), np.full(10, np.nan)):
        member = np.arange(10) < 4
        watched.monitor.observe(batch(10, extra={"zone": zone, "member": member}))
    found = watched.values("driftline_segment_predictions_total")
    assert found == {"member=true": 12, "member=other": 18, "zone=7": 20, "zone=other": 10}


def test_segments_of_a_model_that_is_learning():
    """Without a baseline rows and errors are told by segment."""
    watched = Watched(settings=SETTINGS)
    watched.scrape()
    watched.monitor.observe(batch(900, extra={"@segment": COUNTRIES}))
    assert watched.values("driftline_segment_predictions_total", segment="country=de") == {(): 225}
    assert watched.values(VALUES) == {}


def test_a_segment_is_seen_at_zero_first_and_begins_anew_with_a_baseline(built):
    """Its counters are born at 0, and are at 0 again where those of the whole are."""
    from pathlib import Path

    watched = Watched(built, settings=SETTINGS)
    watched.monitor.observe(batch(100))
    seen = [
        sum(select(watched.scrape(), VALUES, segment="plan=pro", feature="amount").values()) for _ in range(2)
    ]
    assert seen[0] == 0 < seen[1]
    retrained = baseline(rows=6000, seed=9, edges_from=built)
    before = set(select(watched.scrape(), VALUES))
    watched.monitor.reload(Baselines([(Path("a"), retrained)]))
    assert total(watched, VALUES) == 0
    assert set(select(watched.scrape(), VALUES)) == before, (
        "a retrain on inherited edges keeps last week's bins"
    )


def test_the_budget_of_a_segment_holds():
    """At most 15 series a feature and segment, and of fifty segments less than 2 MB in memory."""
    rng = np.random.default_rng(0)
    data = {f"f{number}": rng.normal(size=2000) for number in range(20)}
    data["word"] = np.array([f"w{number}" for number in rng.integers(0, 30, 2000)], object)
    wide = Baseline.build(data, model="fraud", version="1", categorical=["word"])
    countries = [f"c{number}" for number in range(49)]
    watched = watch(wide, f"environment: prod\nmodels: {{fraud: {{segments: {{country: {countries}}}}}}}")
    found = watched.scrape()
    for feature in wide.features:
        mine = [
            name
            for name, labels in found
            if ("feature", feature) in labels and ("segment", "country=c7") in labels
        ]
        assert 8 <= len(mine) <= 15
    (model,) = watched.monitor.models.values()
    (track,) = model.tracks.values()
    assert track.segment_totals.values.nbytes + track.segment_totals.faults.nbytes < 2e6


def test_a_model_without_segments_has_none_of_their_series(built):
    """Who declares nothing pays nothing."""
    watched = watch(built, "environment: prod")
    watched.monitor.observe(batch(900, extra={"@segment": COUNTRIES}))
    assert not [name for name, _ in watched.scrape() if name.startswith("driftline_segment_")]
