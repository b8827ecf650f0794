"""What Prometheus scrapes parses, is whole, and shows a counter at 0 before it rises."""

import datetime as dt

import numpy as np
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from driftline import names
from driftline.columns import Coded
from driftline.sidecar.exposition import escape
from driftline.wire import Batch
from watched import Watched, baseline, batch, select


@pytest.fixture(scope="module")
def built():
    return baseline()


def test_a_counter_is_seen_at_zero_first(built):
    """The first scrape shows 0 for what came before it: else those rows are in no increase."""
    watched = Watched(built)
    watched.monitor.observe(batch(100))
    first, second = watched.scrape(), watched.scrape()
    assert set(select(first, "driftline_feature_values_total").values()) == {0}
    assert select(first, "driftline_predictions_total") == {(): 0}
    assert select(second, "driftline_predictions_total") == {(): 100}


def test_a_late_comer_is_seen_at_zero_first(built):
    """So with an undeclared model, and with a new kind of error."""
    watched = Watched(built)
    watched.scrape()
    watched.scrape()
    watched.monitor.observe(Batch(model="new", version="1", rows=9, columns={"a": np.ones(9)}))
    watched.monitor.observe(batch(3, extra={"@error": Coded(np.zeros(3, np.int8), ("KeyError",))}))
    first, second = watched.scrape(), watched.scrape()
    for found, rows, errors in ((first, 0, 0), (second, 9, 3)):
        assert select(found, "driftline_predictions_total", model="new") == {(): rows}
        assert select(found, "driftline_prediction_errors_total", model="fraud", error_type="KeyError") == {
            (): errors
        }


def test_both_formats_parse_and_agree(built):
    """Prometheus text and OpenMetrics carry the same samples."""
    watched = Watched(built)
    watched.monitor.observe(batch(500))
    watched.monitor.tick()
    watched.scrape()
    text = {k: v for k, v in watched.scrape().items() if "scrape_seconds" not in k[0]}
    openmetrics = {k: v for k, v in watched.scrape(openmetrics=True).items() if "scrape_seconds" not in k[0]}
    assert text == openmetrics
    assert watched.exposition.render(openmetrics=True).endswith(b"# EOF\n")


def test_every_family_is_declared_once_and_is_known(built):
    """Each family stands once, with the type and help that names.py gives it."""
    watched = Watched(built)
    known = {s.name.removesuffix("_total"): s for s in names.MERGED_SERIES + names.LOCAL_SERIES}
    families = list(text_string_to_metric_families(watched.exposition.render().decode()))
    assert len({f.name for f in families}) == len(families)
    for family in families:
        series = known.pop(family.name)
        assert family.type == series.kind
        assert family.documentation == series.help
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(series.labels)
    assert not known, "series in names.py that nothing exposes"
    list(openmetrics_families(watched.exposition.render(openmetrics=True).decode()))


def test_hostile_names_cannot_forge_a_series():
    """Quotes, backslashes and line ends in a model's name stay inside its label."""
    watched = Watched()
    evil = 'x"} 1\ndriftline_predictions_total{model="bank\\'
    watched.monitor.observe(Batch(model=evil, version="1", rows=4, columns={"a": np.ones(4)}))
    assert watched.values("driftline_predictions_total", model=evil) == {(): 4}
    assert watched.values("driftline_predictions_total", model="bank") == {}
    assert escape('a"b\\c\nd') == 'a\\"b\\\\c\\nd'


def test_two_baselines_at_once_name_no_series_twice():
    """A batch that asks for another baseline with the same bins adds to the same series."""
    one, two = baseline("1"), baseline("2")
    watched = Watched(one, two)
    watched.monitor.observe(batch(30))
    watched.monitor.observe(batch(20, baseline_id=two.id))
    watched.monitor.tick()
    found = watched.values("driftline_feature_values_total", version="1", feature="amount")
    assert sum(found.values()) == 50


def test_when_the_baseline_was_built():
    """Of a model with a baseline its time, of a learning one nothing: an age of 57 years would be an alert."""
    one = baseline("1")
    watched = Watched(one)
    watched.monitor.observe(batch(30, version="1"))
    watched.monitor.observe(batch(30, version="9"))
    name = "driftline_model_baseline_created_timestamp_seconds"
    assert watched.values(name, version="9") == {}
    seconds = watched.values(name, version="1")[()]
    assert dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ") == one.created
