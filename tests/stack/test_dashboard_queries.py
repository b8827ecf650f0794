"""Every query of every panel, asked of a real Prometheus that holds two weeks of a fleet and all recorded series."""

import json
import math
import re

import pytest

import two_weeks
from driftline.dashboards import DASHBOARDS
from driftline.dashboards.queries import MOST, health, moved, psi, threshold, verdict

CHOSEN = {"environment": "prod", "model": "fraud", "version": ".+", "feature": "amount", "segment": ".+"}
STEPS = {"__range": "14d", "__interval": "1h", "__rate_interval": "2h"}

pytestmark = [pytest.mark.stack("prometheus", "promtool"), pytest.mark.timeout(300)]


def filled(text, **chosen):
    """Return *text* with Grafana's variables as a person's choices fill them."""
    values = {**CHOSEN, **STEPS, **chosen}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], text)


QUERIES = {
    f"{uid}: {panel['title']}: {target['refId']}": target
    for uid, dashboard in DASHBOARDS.items()
    for panel in dashboard["panels"]
    for target in panel["targets"]
}
ANNOTATIONS = {
    f"{uid}: {annotation['name']}": annotation["expr"]
    for uid, dashboard in DASHBOARDS.items()
    for annotation in dashboard["annotations"]["list"]
    if "expr" in annotation
}
VARIABLES = {
    f"{uid}: {variable['name']}": variable
    for uid, dashboard in DASHBOARDS.items()
    for variable in dashboard["templating"]["list"]
    if variable["type"] == "query"
}


@pytest.mark.parametrize("name", QUERIES)
def test_query(fleet, name):
    """Every query of every panel finds numbers: of one model, or of all where several may be chosen."""
    target = QUERIES[name]
    several = VARIABLES[f"{name.partition(':')[0]}: model"]["multi"]
    expr = filled(target["expr"], model=".+" if several else "fraud")
    # what needs a version's whole week has none of the new one yet
    moments = (two_weeks.END, two_weeks.RELEASE)
    found = (fleet.series(expr, instant=target["instant"], at=at) for at in moments)
    assert any(math.isfinite(value) for one in found for values in one.values() for value in values)


@pytest.mark.parametrize("name", QUERIES)
def test_query_of_a_wide_model(fleet, name):
    """A model with 300 features opens: no query brings more series than a panel can show."""
    target = QUERIES[name]
    expr = filled(target["expr"], model="wide", feature="x001")
    assert len(fleet.series(expr, instant=target["instant"])) <= 2 * MOST


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_annotation(fleet, name):
    """Releases and incidents are found, and are not always there."""
    found = fleet.series(filled(ANNOTATIONS[name]), instant=False)
    assert found
    assert all(len(values) < 7 * 24 for values in found.values())


@pytest.mark.parametrize("name", VARIABLES)
def test_variable(fleet, name):
    """Every variable has choices, and the chosen one is among them."""
    variable = VARIABLES[name]
    query = filled(variable["query"])
    if labels := re.fullmatch(r"label_values\((.*), (\w+)\)", query):
        found = {dict(pairs).get(labels[2]) for pairs in fleet.series(labels[1], instant=True)}
    else:
        asked = re.fullmatch(r"query_result\((.*)\)", query)[1]
        shown = [f"{{{key}={json.dumps(value)}}}" for ((key, value),) in fleet.series(asked, instant=True)]
        found = {re.search(variable["regex"].strip("/"), text)[1] for text in shown}
    chosen = filled("$" + variable["name"], version="2.3.1", segment="country=de")
    assert chosen in found


def test_release_is_marked_once(fleet):
    """A release is a mark at the hour of its first row; what was there from the start has none later."""
    expr = filled(ANNOTATIONS["driftline-model: Releases"])
    found = fleet.ask("query_range", query=expr, start=two_weeks.START + 86_400, end=two_weeks.END, step=3600)
    (release,) = found["result"]
    assert release["metric"]["version"] == "2.3.1"
    assert [at for at, _ in release["values"]] == [two_weeks.RELEASE]


def test_verdict_is_the_alerts(fleet):
    """What is drawn yellow or red is what ModelFeatureDrift names, over all of the two weeks."""
    drawn = fleet.series(filled(f"{verdict()} >= 1"), instant=False)
    alert = fleet.series(
        'max by (environment, model, version, feature) (ALERTS{alertname="ModelFeatureDrift", model="fraud"})',
        instant=False,
    )
    assert {labels: len(values) for labels, values in drawn.items()} == {
        labels: len(values) for labels, values in alert.items()
    }
    assert {"amount", "@score"} <= {dict(labels)["feature"] for labels in drawn}


def test_a_second_weekend_is_green(fleet):
    """What weekends do to a feature is red once, before there is a last week to compare with."""
    channel = filled(verdict(more=', version=~"$version", feature="channel"'))
    first, second = (f"max_over_time(({channel})[7d:1h] {offset})" for offset in ("offset 7d", ""))
    assert [*fleet.series(f"max({first})", instant=True).values()] == [[2.0]]
    assert [*fleet.series(f"max({second})", instant=True).values()] == [[0.0]]


def test_what_is_not_judged_yet_has_no_verdict(fleet):
    """Before its hours tell what chance does a feature has a score and no colour: green is a judgement, too."""
    early, later = (two_weeks.START + hours * 3600 for hours in (6, 36))
    scores = filled(psi("24h"))
    assert fleet.series(scores, instant=True, at=early)
    assert not fleet.series(filled(verdict()), instant=True, at=early)
    judged = fleet.series(filled(verdict()), instant=True, at=later)
    assert len(judged) == len(fleet.series(scores, instant=True, at=later))
    assert all(values == [0] for values in judged.values())


def test_verdict_reads_both_thresholds(fleet):
    """Red is above P2, yellow between P3 and P2, green below P3 or explained."""
    now = {
        dict(labels)["feature"]: value
        for labels, (value,) in fleet.series(filled(verdict()), instant=True).items()
    }
    told = {
        dict(labels)["feature"]: value
        for labels, (value,) in fleet.series(filled(f"max by (feature) ({moved()})"), instant=True).items()
    }
    limits = [
        {
            dict(labels)["feature"]: value
            for labels, (value,) in fleet.series(
                filled(f"max by (feature) ({threshold(p)})"), instant=True
            ).items()
        }
        for p in ("P3", "P2")
    ]
    expected = {name: sum(told.get(name, 0) > limit[name] for limit in limits) for name in now}
    assert now == expected
    assert set(now.values()) >= {0, 2}


def test_health_is_what_fires(fleet):
    """A model is red while an alert pages, yellow while one is a ticket, green else; and has one colour at a time."""
    drawn = fleet.series(filled(health(), model=".+"), instant=True)
    now = {dict(labels)["model"]: value for labels, (value,) in drawn.items()}
    colours = {"P1": 2, "P2": 2, "P3": 1, "P4": 1}
    expected = dict.fromkeys(("fraud", "churn", "wide"), 0)
    for labels in fleet.series('ALERTS{alertstate="firing", model!=""}', instant=True):
        model, priority = dict(labels)["model"], dict(labels)["priority"]
        expected[model] = max(expected[model], colours[priority])
    assert now == expected
    assert now["fraud"] == 2, "a tenth of country is missing: P2"
    assert len(drawn) == len(now)
    over_time = fleet.series(filled(health()), instant=False)
    assert {value for values in over_time.values() for value in values} == {0, 1, 2}
