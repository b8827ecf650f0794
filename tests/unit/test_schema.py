"""What a model is given is told by its columns and types, and each change once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from driftline.columns import of
from driftline.names import MAX_COLUMNS
from driftline.sidecar.schema import Schema
from driftline.sidecar.state import StateFolder
from driftline.wire import Batch
from watched import Watched, baseline, columns, select

CHANGES = "driftline_model_schema_changes_total"
INFO = "driftline_sidecar_model_schema_info"


@pytest.fixture(scope="module")
def built():
    return baseline()


def changes(watched):
    found = watched.values(CHANGES)
    return found["absent"], found["extra"], found["type"]


def send(watched, **replaced):
    rows = {**columns(100), **replaced}
    watched.monitor.observe(
        Batch(model="fraud", version="1", rows=100, columns={n: c for n, c in rows.items() if c is not None})
    )


def test_what_is_expected_is_no_change(built):
    """Columns of the baseline, in the type they first come in, all missing or in another width."""
    watched = Watched(built)
    for amount in (np.zeros(100), np.zeros(100, np.float32), np.full(100, np.nan), np.zeros(100, np.int8)):
        send(watched, amount=amount)
    send(watched, plan=of([None] * 100))
    assert changes(watched) == (0, 0, 0)
    ((schema, count),) = {key[::-1] for key in watched.values(INFO)}
    assert (len(schema), count) == (12, "3")


def test_each_change_is_counted_once_and_named_in_the_log(built, caplog):
    """An absent column, an extra one, one that comes as text: once each, however many batches follow."""
    watched = Watched(built)
    send(watched)
    before = watched.values(INFO)
    for _ in range(3):
        send(watched, amount=None)
        send(watched, secret=np.ones(100))
        send(watched, amount=of(["1"] * 100))
        send(watched)
    assert changes(watched) == (1, 1, 1)
    assert watched.values(INFO).keys() != before.keys()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "model fraud, version 1: column 'amount' is not sent",
        "model fraud, version 1: column 'amount' is text, and was absent, number",
    ]


def test_the_first_batch_is_held_against_the_baseline(built):
    """What a release forgot or added is told from its first row on."""
    watched = Watched(built)
    send(watched, plan=None, member=None, more=np.ones(100))
    assert changes(watched) == (2, 1, 0)


def test_a_model_that_is_learning_is_held_to_its_first_batch():
    """Without a baseline there is nothing to compare the first batch with."""
    watched = Watched()
    watched.scrape()
    send(watched)
    assert changes(watched) == (0, 0, 0)
    send(watched, amount=np.ones(100) > 0, plan=None, more=np.ones(100))
    assert changes(watched) == (1, 1, 1)


def test_what_is_not_watched_is_no_change(built):
    """An ignored column and the one that tells the segment may come and go."""
    watched = Watched(
        built,
        settings="environment: prod\nmodels: {fraud: {segments: {country: [de]}, features: {debug: {ignore: true}}}}",
    )
    send(watched, country=of(["de"] * 100), debug=np.ones(100))
    send(watched)
    assert changes(watched) == (0, 0, 0)


def test_a_feature_that_tells_the_segment_is_sent(built):
    """A column of the baseline is watched, whether or not segments are told by it."""
    watched = Watched(built, settings="environment: prod\nmodels: {fraud: {segments: {plan: [basic]}}}")
    send(watched)
    assert changes(watched) == (0, 0, 0)
    send(watched, plan=None)
    assert changes(watched) == (1, 0, 0)


def test_a_change_is_shown_at_zero_first(built):
    """So that Prometheus sees it rise."""
    watched = Watched(built)
    send(watched, more=np.ones(100))
    assert [select(watched.scrape(), CHANGES, change="extra")[()] for _ in range(2)] == [0, 1]


def test_a_restart_forgets_no_type(built, tmp_path):
    """A column that comes back as text after a restart has changed; what was known has not."""
    before = Watched(built)
    send(before, more=np.ones(100))
    StateFolder(tmp_path, before.telemetry).save(before.monitor)
    after = Watched(built, clock=before.clock)
    StateFolder(tmp_path, after.telemetry).restore(after.monitor)
    assert after.values(INFO) == before.values(INFO)
    send(after, more=np.ones(100))
    assert changes(after) == (0, 0, 0)
    send(after, amount=of(["1"] * 100), more=np.ones(100))
    assert changes(after) == (0, 0, 1)


@given(
    batches=st.lists(
        st.dictionaries(st.sampled_from("abcdef"), strategies.columns(), min_size=1, max_size=4), max_size=6
    )
)
def test_the_same_again_changes_nothing(batches):
    """Whatever came, coming again it is known, and survives being written and read."""
    schema = Schema()
    for inputs in batches:
        schema.observe(inputs)
    told, known = dict(schema.changes), schema.id
    for inputs in batches:
        assert schema.observe(inputs) == []
    assert (schema.changes, schema.id) == (told, known)
    again = Schema()
    again.restore(schema.dump())
    assert again.id == known


def test_a_flood_of_names_is_bounded():
    """However many names come, no more are kept than a record may have columns."""
    schema = Schema()
    for start in range(0, 3 * MAX_COLUMNS, 512):
        schema.observe({f"c{number}": np.ones(1) for number in range(start, start + 512)})
    assert len(schema) == MAX_COLUMNS
    assert schema.changes["extra"] == MAX_COLUMNS - 512


def test_hostile_state_is_left_out():
    """A state file names types that exist, or none."""
    schema = Schema()
    schema.restore([("a", ["text", "evil", "number"])])
    assert schema.dump() == [("a", ["number", "text"])]
