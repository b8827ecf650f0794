"""``driftline annotate`` through the real grafana-client, against a stand-in that keeps Grafana's HTTP API."""

import json

import pytest

from driftline.dashboards import DASHBOARDS

NOON = 1_772_452_800_000
ABOUT = ("--model", "fraud", "--environment", "prod")


@pytest.fixture
def annotate(grafana_command):
    return lambda *arguments, **options: grafana_command("annotate", *arguments, **options)


def test_a_deployment_is_marked_once(annotate, grafana):
    """Told twice it is one mark, with what it is about as its tags; the second time nothing is written."""
    told = (
        "deployment",
        *ABOUT,
        "--version",
        "2.3.1",
        "--text",
        "fraud 2.3.1 to all",
        "--at",
        "2026-03-02T12:00",
    )
    first = annotate(*told)
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.endswith(": created\n")
    (mark,) = grafana.annotations.values()
    assert (mark["time"], mark["timeEnd"], mark["text"]) == (NOON, NOON, "fraud 2.3.1 to all")
    assert {"driftline", "deployment", "model:fraud", "environment:prod", "version:2.3.1"} < set(mark["tags"])
    grafana.writes.clear()
    mark["tags"].reverse()
    again = annotate(*told)
    assert again.stdout.endswith(": there already\n")
    assert grafana.writes == []


def test_an_incident_ends(annotate, grafana):
    """An incident that has a name is told when it begins, and again when it is over: one mark with two ends."""
    named = ("incident", *ABOUT, "--id", "INC-7")
    annotate(*named, "--text", "country is missing", "--at", "2026-03-02T12:00")
    done = annotate(*named, "--text", "country was missing", "--until", "2026-03-02T13:00+01:00")
    assert done.stdout == "incident INC-7: updated\n"
    (mark,) = grafana.annotations.values()
    assert (mark["time"], mark["timeEnd"], mark["text"]) == (NOON, NOON, "country was missing")
    assert "id:INC-7" in mark["tags"]


def test_a_pipeline_that_runs_again_does_not_move_its_mark(annotate, grafana):
    """With a name and no time it is marked now, and stays there however often the pipeline is run again."""
    named = ("deployment", *ABOUT, "--id", "run-1", "--text", "x")
    annotate(*named)
    (before,) = grafana.annotations.values()
    assert annotate(*named).stdout == "deployment run-1: there already\n"
    assert [*grafana.annotations.values()] == [before]


def test_others_are_left_alone(annotate, grafana):
    """What differs in anything is another mark: model, kind, text or time."""
    for kind, model, text, at in [
        ("deployment", "fraud", "x", "2026-03-02"),
        ("incident", "fraud", "x", "2026-03-02"),
        ("deployment", "churn", "x", "2026-03-02"),
        ("deployment", "fraud", "y", "2026-03-02"),
        ("deployment", "fraud", "x", "2026-03-03"),
    ]:
        annotate(kind, "--model", model, "--text", text, "--at", at)
    assert len(grafana.annotations) == 5


def test_dashboards_show_what_is_told(annotate, grafana):
    """Every dashboard asks for the tags that its marks have: those of its model, and events of none."""
    annotate("deployment", *ABOUT, "--text", "x", "--at", "2026-03-02")
    annotate("event", "--text", "Black Friday", "--at", "2026-03-02")
    for dashboard in DASHBOARDS.values():
        asked = [set(one["target"]["tags"]) for one in dashboard["annotations"]["list"] if "target" in one]
        asked = [{tag.replace("$model", "fraud") for tag in tags} for tags in asked]
        for mark in grafana.annotations.values():
            assert sum(tags <= set(mark["tags"]) for tags in asked) == 1, "shown, and shown once"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("deployment", "--text", "x"),
            "a deployment is of a model, say --model; what is of none is an event",
        ),
        (
            ("event", "--text", "x", "--at", "noon"),
            '--at: "noon" is no moment, write for instance 2026-03-02T12:00',
        ),
        (("event", "--text", "x", "--at", "2026-03-02", "--until", "2026-03-01"), "--until is before --at"),
    ],
)
def test_wrong_arguments(annotate, grafana, arguments, says):
    """What cannot be marked is one clear line, and nothing is written."""
    found = annotate(*arguments)
    assert found.returncode == 2
    assert says in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert grafana.annotations == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "9.5.2"}, "is Grafana 9.5.2"),
        ({"prefix": "/grafana"}, "answers, but is no Grafana: give its root"),
        ({"may_write": False}, "its service account needs the role Editor"),
    ],
)
def test_refusals_say_what_to_do(annotate, grafana, change, says):
    """What Grafana refuses ends with 2, one line, and the remedy."""
    for name, value in change.items():
        setattr(grafana, name, value)
    found = annotate("event", "--text", "x")
    assert found.returncode == 2
    assert says in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_without_grafana_client(annotate, tmp_path):
    """Where the extra is not installed, the command says which, and why not here."""
    found = annotate("event", "--text", "x", packages=tmp_path)
    assert found.returncode == 2
    assert "pip install 'driftline[grafana]', in an environment of its own" in found.stderr


def test_tags_are_plain_text(annotate, grafana):
    """A model may be called as it likes: its name goes into a tag as it is, and finds its mark again."""
    told = ("incident", "--model", 'a&b=c "ü"', "--text", "x", "--at", "2026-03-02", "--id", "1&tags=2")
    annotate(*told)
    assert annotate(*told).stdout.endswith(": there already\n")
    assert 'model:a&b=c "ü"' in json.loads(json.dumps(grafana.annotations))["1"]["tags"]
