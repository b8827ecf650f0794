"""``driftline dashboards push`` through the real grafana-client, against a stand-in that keeps Grafana's HTTP API."""

import copy

import pytest

from driftline.dashboards import DASHBOARDS


@pytest.fixture
def push(grafana_command):
    return lambda *arguments, **options: grafana_command("dashboards", "push", *arguments, **options)


def test_push_makes_all_of_it_once(push, grafana):
    """The first push makes folder, data source and dashboards, the second finds all as it should be."""
    first = push("--prometheus", "http://prometheus:9090")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines() == [
        "folder driftline: created",
        "data source driftline-prometheus: created",
        *(f"{uid}: created" for uid in DASHBOARDS),
    ]
    assert {uid: found["meta"]["folderUid"] for uid, found in grafana.dashboards.items()} == dict.fromkeys(
        DASHBOARDS, "driftline"
    )
    grafana.writes.clear()
    again = push("--prometheus", "http://prometheus:9090")
    assert (again.returncode, again.stdout) == (0, f"{grafana.url}: all as it should be\n")
    assert grafana.writes == []


def test_push_changes_only_what_differs(push, grafana):
    """A dashboard that somebody changed, and a data source that points elsewhere, are brought back."""
    push("--prometheus", "http://old:9090")
    grafana.dashboards["driftline-ops"]["dashboard"]["title"] = "mine"
    grafana.dashboards["driftline-gov"]["meta"]["folderUid"] = "elsewhere"
    found = push("--prometheus", "http://new:9090")
    assert found.stdout.splitlines() == [
        "data source driftline-prometheus: updated",
        "driftline-ops: updated",
        "driftline-gov: updated",
    ]
    assert grafana.dashboards["driftline-ops"]["dashboard"]["title"] == DASHBOARDS["driftline-ops"]["title"]
    assert grafana.dashboards["driftline-ops"]["dashboard"]["version"] == 2
    assert grafana.sources["driftline-prometheus"]["url"] == "http://new:9090"


def test_dry_run_writes_nothing(push, grafana):
    """It shows what would be made, and of what would be changed the difference; its exit code says so."""
    before = push("--dry-run")
    assert before.returncode == 1
    assert "driftline-ds: would be created" in before.stdout
    push()
    grafana.dashboards["driftline-ds"]["dashboard"]["refresh"] = "10s"
    grafana.writes.clear()
    kept = copy.deepcopy(grafana.dashboards)
    found = push("--dry-run")
    assert found.returncode == 1
    lines = found.stdout.splitlines()
    assert lines[0] == "driftline-ds: would be updated"
    assert [line for line in lines[3:] if line[0] in "+-"] == ['-  "refresh": "10s",', '+  "refresh": "5m",']
    assert grafana.writes == []
    assert grafana.dashboards == kept


def test_below_a_path(push, grafana):
    """A Grafana that is served below a path is found by its root."""
    grafana.prefix = "/grafana"
    assert push(url=f"{grafana.url}/grafana").returncode == 0
    assert set(grafana.dashboards) == set(DASHBOARDS)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "9.5.2"}, "is Grafana 9.5.2, these dashboards need 10 or later"),
        ({"prefix": "/grafana"}, "answers, but is no Grafana: give its root"),
        ({"may_write": False}, "its service account needs the role Editor"),
        ({"sources": {"other": {"name": "driftline-prometheus"}}}, "something else has this name: rename it"),
    ],
)
def test_refusals_say_what_to_do(push, grafana, change, says):
    """What Grafana refuses ends with 2, one line, and the remedy; no traceback."""
    for name, value in change.items():
        setattr(grafana, name, value)
    found = push("--prometheus", "http://prometheus:9090")
    assert found.returncode == 2
    assert says in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert grafana.dashboards == {}


def test_a_wrong_token(push):
    """A token that is not this Grafana's is said to be so, and is not printed."""
    found = push(token="glsa_bad")
    assert found.returncode == 2
    assert "the token is not valid here" in found.stderr
    assert "glsa_bad" not in found.stderr + found.stdout


def test_a_provisioned_dashboard(push, grafana):
    """What a file provisions cannot be pushed, and Grafana's own words say so."""
    push()
    grafana.dashboards["driftline-ds"]["meta"]["provisioned"] = True
    grafana.dashboards["driftline-ds"]["dashboard"]["title"] = "old"
    found = push()
    assert found.returncode == 2
    assert "Cannot save provisioned dashboard" in found.stderr


def test_somebody_saves_in_between(push, grafana):
    """What was saved between our look and our write is not written over."""
    push()
    there = grafana.dashboards["driftline-ds"]
    there["dashboard"]["title"] = "old"
    seen = copy.deepcopy(there)
    there["dashboard"]["version"] = 7
    grafana.dashboards["driftline-ds"] = Twice(seen, there)
    found = push()
    assert found.returncode == 2
    assert "somebody changed it in the meantime" in found.stderr


class Twice(dict):
    """What is shown first is older than what is there when it is written."""

    def __init__(self, shown, there):
        super().__init__(shown)
        self.there = there

    def __getitem__(self, key):
        return self.there[key]


@pytest.mark.parametrize(
    ("url", "says"),
    [("http://127.0.0.1:1", "cannot be reached"), ("grafana:3000", "is no address of a Grafana")],
)
def test_a_wrong_url(push, url, says):
    """An address where nothing is, or that is none, is named."""
    found = push(url=url)
    assert found.returncode == 2
    assert says in found.stderr
    assert found.stderr.startswith(url)


def test_without_grafana_client(push, tmp_path):
    """Where the extra is not installed, the command says which, and why not here."""
    found = push(packages=tmp_path)
    assert found.returncode == 2
    assert "pip install 'driftline[grafana]', in an environment of its own" in found.stderr
