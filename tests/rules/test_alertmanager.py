"""The Alertmanager configuration as shipped and as written: who is told of what, and what nobody is told."""

import datetime as dt
import itertools
import json
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from driftline import routing
from driftline.cli import binaries, main
from driftline.cli.timescale import scaled
from stack.processes import Children, Phone, alertmanager, eventually

FOLDER = Path(__file__).parents[2] / "alert-rules" / "alertmanager"
CONFIG, CONTACTS = FOLDER / "alertmanager.yml", FOLDER / "driftline.yaml"
AMTOOL = pytest.mark.stack("amtool")
ALERTMANAGER = pytest.mark.stack("alertmanager")


def amtool(*arguments):
    return subprocess.run([binaries.need("amtool"), *arguments], capture_output=True, text=True, check=False)


def test_shipped_is_written(tmp_path):
    """What is shipped is what the command makes of the contacts beside it, templates and all."""
    written = tmp_path / "alertmanager.yml"
    assert main(["alertmanager", "write", "--config", str(CONTACTS), "--output", str(written)]) == 0
    assert written.read_text() == CONFIG.read_text()
    assert (tmp_path / "driftline.tmpl").read_bytes() == (FOLDER / "driftline.tmpl").read_bytes()


@AMTOOL
@pytest.mark.parametrize("factor", [1, 720])
def test_valid(factor, tmp_path):
    """The configuration is valid, as shipped and as fast as the demo runs it."""
    (tmp_path / "alertmanager.yml").write_text(scaled(CONFIG.read_text(), factor))
    done = amtool("check-config", tmp_path / "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


# Of the shipped contacts: sre has only a pager, pricing no pager, driftline takes what they leave out.
TOLD = {
    "P1": {
        "payments": {"page-payments", "chat-payments"},
        "pricing": {"chat-pricing"},
        "sre": {"page-sre"},
        "driftline": {"page-driftline", "chat-driftline"},
        None: {"unowned-page"},
    },
    "P2": {
        "payments": {"page-payments", "chat-payments"},
        "pricing": {"chat-pricing"},
        "sre": {"page-sre"},
        "driftline": {"page-driftline", "chat-driftline"},
        None: {"unowned-page", "unowned-ticket"},
    },
    "P3": {
        "payments": {"ticket-payments"},
        "pricing": {"ticket-pricing"},
        "sre": {"ticket-driftline"},
        "driftline": {"ticket-driftline"},
        None: {"unowned-ticket"},
    },
    "P4": {
        **{key: {"digest-driftline"} for key in ("payments", "pricing", "sre", "driftline")},
        None: {"unowned-ticket"},
    },
    None: {key: {"unowned-ticket"} for key in ("payments", "pricing", "sre", "driftline", None)},
}
ELSEWHERE = {
    "payments": {"chat-payments"},
    "pricing": {"chat-pricing"},
    "sre": {"ticket-driftline"},
    "driftline": {"chat-driftline"},
    None: {"unowned-ticket"},
}
EVERYBODY = {"page-driftline", "page-sre"}


@AMTOOL
@pytest.mark.parametrize("priority", TOLD)
def test_every_cell(priority):
    """Priority, owner, environment and tier decide together who is told, and nobody is told twice."""
    owners = ("payments", "pricing", "sre", "driftline", "unowned", "payment", None)
    environments = ("prod", "production", "staging", "prod-2", None)
    for owner, environment, tier in itertools.product(owners, environments, ("1", "2", None)):
        known = owner if owner in ELSEWHERE else None
        expected = TOLD[priority][known] if environment in ("prod", "production", None) else ELSEWHERE[known]
        if priority == "P1" and tier == "1" and known and environment in ("prod", "production", None):
            expected = expected | EVERYBODY
        labels = {
            "alertname": "A",
            "priority": priority,
            "owner": owner,
            "environment": environment,
            "tier": tier,
        }
        given = [f"{name}={value}" for name, value in labels.items() if value]
        done = amtool("config", "routes", "test", f"--config.file={CONFIG}", *given)
        assert done.returncode == 0, done.stderr
        told = done.stdout.strip().split(",")
        assert sorted(told) == sorted(expected), given


@AMTOOL
def test_other_routes():
    """The watchdog is nobody's page, and what is no alert of driftline's is not lost."""
    for labels, receiver in (
        ("alertname=DriftlineWatchdog owner=driftline severity=none", "deadman"),
        ("alertname=SomebodyElses", "unowned-ticket"),
    ):
        done = amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels.split())
        assert done.stdout.strip() == receiver


def test_incidents():
    """Whoever is paged or gets a ticket gets one message a model and environment."""
    route = yaml.safe_load(CONFIG.read_text())["route"]
    assert route["group_by"] == ["model", "environment"]
    grouped = {r["matchers"][0]: r["group_by"] for r in route["routes"] if "group_by" in r}
    assert grouped == {'priority="P4"': ["owner"]}


# --- every kind of means ------------------------------------------------------------------------

KINDS = {
    "pagerduty": {"routing_key_file": "/etc/alertmanager/key"},
    "slack": {"api_url_file": "/etc/alertmanager/slack", "channel": "#ml"},
    "email": {"to": "ml@example.com"},
    "webhook": {"url": "https://example.com/hook", "token_file": "/etc/alertmanager/token"},
    "teams": {"webhook_url_file": "/etc/alertmanager/teams"},
    "jira": {
        "api_url": "https://jira.example.com",
        "project": "ML",
        "user": "bot",
        "token_file": "/etc/jira",
    },
}
SERVER = {"smarthost": "mail:587", "from": "am@example.com", "username": "am", "password_file": "/etc/mail"}


def written(*kinds, **more):
    """Return settings in which the contact of each of *kinds* is reached by it in all four ways."""
    platform = {"webhook": {"url": "http://example.com/"}}
    contacts = {"driftline": dict.fromkeys(routing.WAYS, platform)}
    contacts |= {f"team {kind}": {key: {kind: KINDS[kind]} for key in routing.WAYS} for kind in kinds}
    return routing.Alerting.model_validate(
        {"contacts": contacts, "deadman": platform, "email": SERVER, **more}, strict=False
    )


@AMTOOL
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_valid(kind, tmp_path, request):
    """What is written of each kind is what an Alertmanager of the version it is written for takes."""
    alerting = written(kind)
    needs = alerting.contacts[f"team {kind}"].page.needs
    if needs > routing.OLDEST and request.node.callspec.params["stack"] == "floor":
        return  # of a later Alertmanager; refused below
    (tmp_path / "alertmanager.yml").write_text(routing.alertmanager(alerting, version=needs))
    done = amtool("check-config", tmp_path / "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@AMTOOL
@pytest.mark.parametrize("owner", ["a b", "it's", 'a"b', "a|b", "a.*", "ü", "a\\b", "{{ x }}", "a, b: [c]"])
def test_any_owner_is_a_name(owner, tmp_path):
    """A name is never a pattern, nor YAML: it reaches its own receiver, and no other name does."""
    means = {"webhook": {"url": "http://example.com/"}}
    contacts = {"driftline": dict.fromkeys(routing.WAYS, means), owner: {"ticket": means}}
    alerting = routing.Alerting.model_validate({"contacts": contacts, "deadman": means})
    config = tmp_path / "alertmanager.yml"
    config.write_text(routing.alertmanager(alerting))
    route = yaml.safe_load(config.read_text())["route"]
    assert route["routes"][5]["routes"][1]["receiver"] == f"ticket-{owner}"
    escaped = owner.replace("\\", "\\\\").replace('"', '\\"')
    for label, receiver in ((escaped, f"ticket-{owner}"), ("axb", "unowned-ticket"), ("a", "unowned-ticket")):
        done = amtool(
            "config",
            "routes",
            "test",
            f"--config.file={config}",
            "priority=P3",
            "environment=prod",
            f'owner="{label}"',
        )
        assert done.stdout.strip() == receiver, done.stderr


# --- the real Alertmanager ----------------------------------------------------------------------

MODEL = {"environment": "prod", "owner": "payments", "tier": "1", "severity": "warning"}
DRIFT = {**MODEL, "alertname": "ModelFeatureDrift", "priority": "P3", "category": "drift", "version": "1"}
SHIFT = {**MODEL, "alertname": "ModelFeatureShift", "priority": "P2", "category": "drift"}
ABSENT = {**MODEL, "alertname": "ModelTelemetryAbsent", "priority": "P2", "category": "telemetry"}
DOWN = {
    "alertname": "DriftlineSidecarDown",
    "owner": "driftline",
    "priority": "P2",
    "category": "telemetry",
}
WATCHDOG = {"alertname": "DriftlineWatchdog", "owner": "driftline", "severity": "none"}


def post(url, alerts, **annotations):
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    body = [{"labels": labels, "endsAt": ends, "annotations": annotations} for labels in alerts]
    request = urllib.request.Request(
        f"{url}/api/v2/alerts", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request).close()


def told(phone, *, pagers=False):
    """Return for each receiver the model and number of alerts of each different message.

    Pagers of P2 are left out unless asked for: whether they are held depends on the hour of the day.
    """
    found = {}
    for call in phone.calls:
        if pagers or not call.receiver.startswith("page-"):
            said = (call.body["groupLabels"].get("model"), len(call.alerts))
            found.setdefault(call.receiver, set()).add(said)
    return {receiver: sorted(said, key=str) for receiver, said in found.items()}


def fast(phone, text=None, factor=900):
    return scaled((text or CONFIG.read_text()).replace("http://alerts.example.com", phone.url), factor)


@ALERTMANAGER
def test_one_message_an_incident(tmp_path):
    """Of a hundred features one ticket; of a cause and its symptoms the cause alone."""
    alerts = [
        WATCHDOG,
        *({**DRIFT, "model": "fraud", "feature": f"f{n}"} for n in range(100)),
        # paged about a feature over all versions: no ticket about one of them
        {**SHIFT, "model": "fraud", "feature": "f0"},
        # a paging alert of one version, which a rule of one's own may raise
        {**DRIFT, "model": "fraud", "feature": "f1", "alertname": "OurOwn", "priority": "P2"},
        # most of risk moved at once: one page about all, and the ticket that lists what no page names
        {
            **MODEL,
            "alertname": "ModelDriftWidespread",
            "priority": "P2",
            "category": "drift",
            "model": "risk",
        },
        *({**SHIFT, "model": "risk", "feature": f"f{n}"} for n in range(10)),
        *({**DRIFT, "model": "risk", "feature": f"f{n}"} for n in range(30)),
        # nothing is heard of churn, so what is still known of its features is old
        {**ABSENT, "model": "churn", "cause": "service"},
        *({**DRIFT, "model": "churn", "feature": f"f{n}"} for n in range(10)),
        # the table that credit is fed from is late
        {
            **MODEL,
            "alertname": "ModelUpstreamStale",
            "priority": "P2",
            "category": "upstream",
            "model": "credit",
        },
        *({**DRIFT, "model": "credit", "feature": f"f{n}"} for n in range(10)),
        {**MODEL, "alertname": "ModelVolumeLow", "priority": "P2", "category": "volume", "model": "credit"},
        # a new version of price takes over: its drift waits, its errors do not
        {
            **MODEL,
            "alertname": "ModelRolloutInProgress",
            "priority": "P4",
            "category": "change",
            "model": "price",
        },
        *({**DRIFT, "model": "price", "feature": f"f{n}"} for n in range(10)),
        {
            **MODEL,
            "alertname": "ModelErrorRatioHigh",
            "priority": "P3",
            "category": "performance",
            "model": "price",
        },
        # the sidecar is down, and with it the series of every model it served
        {**DOWN, "instance": "s1"},
        *({**ABSENT, "model": f"model{n}", "cause": "sidecar"} for n in range(50)),
    ]
    with Children(tmp_path) as children, Phone() as phone:
        post(alertmanager(children, fast(phone)), alerts)
        expected = {
            "deadman": [(None, 1)],
            "ticket-payments": [("fraud", 98), ("price", 1), ("risk", 20)],
            "chat-payments": [("churn", 1), ("credit", 1), ("fraud", 2), ("risk", 1)],
            "digest-driftline": [(None, 1)],
            "chat-driftline": [(None, 1)],
        }
        eventually(lambda: expected.keys() <= told(phone).keys())
        time.sleep(2)  # two more rounds: whoever was to be told has been told by now
    assert told(phone) == expected


@ALERTMANAGER
def test_a_cause_that_comes_with_its_symptoms(tmp_path):
    """A hundred features of a model whose service is down are one message, at every hour: the page."""
    page = {**ABSENT, "priority": "P1", "model": "fraud", "cause": "service"}
    with Children(tmp_path) as children, Phone() as phone:
        post(
            alertmanager(children, fast(phone)),
            [*({**DRIFT, "model": "fraud", "feature": f"f{n}"} for n in range(100)), page],
        )
        # a page of tier 1: its owner, whoever runs driftline, whoever is on call
        everybody = {"page-payments", "chat-payments", "page-driftline", "page-sre"}
        eventually(lambda: everybody <= told(phone, pagers=True).keys())
        time.sleep(2)
    assert told(phone, pagers=True) == {key: [("fraud", 1)] for key in everybody}
    at_first = [call.receiver for call in phone.calls if call.at < phone.calls[0].at + 0.5]
    assert sorted(at_first) == sorted(everybody), "each once"


@ALERTMANAGER
def test_a_page_in_the_night_waits_for_the_morning(tmp_path):
    """The chat has a P2 at once, the pager when the business hours begin, and none before."""
    now = dt.datetime.now(dt.UTC)
    opens = (now + dt.timedelta(seconds=65)).replace(second=0, microsecond=0)
    shut = opens + dt.timedelta(minutes=30)
    if opens.date() != shut.date():
        pytest.skip("the next half hour belongs to two days, which no business hours do")
    settings = CONTACTS.read_text()
    mine = f'{{days: "sunday:saturday", from: "{opens:%H:%M}", to: "{shut:%H:%M}", location: UTC}}'
    theirs = '{days: "monday:friday", from: "09:00", to: "18:00", location: UTC}'
    assert theirs in settings
    (tmp_path / "driftline.yaml").write_text(settings.replace(theirs, mine))
    output = tmp_path / "am" / "alertmanager.yml"
    assert (
        main(["alertmanager", "write", "--config", str(tmp_path / "driftline.yaml"), "-o", str(output)]) == 0
    )
    with Children(tmp_path) as children, Phone() as phone:
        post(alertmanager(children, fast(phone, output.read_text())), [{**SHIFT, "model": "fraud"}])
        eventually(lambda: "chat-payments" in told(phone))
        assert time.time() < opens.timestamp(), "the night was too short for this machine"
        eventually(lambda: "page-payments" in told(phone, pagers=True), within=90, every=0.5)
    (page,) = [call for call in phone.calls if call.receiver == "page-payments"]
    assert page.at >= opens.timestamp()


ANNOTATIONS = {
    "summary": "A feature of a model has moved.",
    "description": "amount of fraud 1 (prod): PSI 0.31 of the last 24 h, threshold 0.10. Since 2026-11-20 08:15 UTC.",
    "runbook_url": "https://example.com/runbook.md",
    "dashboard_url": "https://grafana.example.com/d/ds?a=1&b=2",
}


@ALERTMANAGER
def test_what_a_phone_shows(tmp_path):
    """The first line says what moved where; then by how much and since when, the runbook, the dashboard."""
    with Children(tmp_path) as children, Phone() as phone:
        keys = {}
        for name in ("slack", "pagerduty"):
            keys[name] = tmp_path / name
            keys[name].write_text(f"{phone.url}/slack" if name == "slack" else "0" * 32)
        contacts = {
            "driftline": {
                key: {"slack": {"api_url_file": str(keys["slack"]), "channel": "#ml"}} for key in routing.WAYS
            },
            "payments": {"page": {"pagerduty": {"routing_key_file": str(keys["pagerduty"])}}},
        }
        deadman = {"webhook": {"url": f"{phone.url}/deadman"}}
        text = routing.alertmanager(
            routing.Alerting.model_validate({"contacts": contacts, "deadman": deadman})
        )
        text = text.replace("global:", f"global:\n  pagerduty_url: {phone.url}/pagerduty", 1)
        (tmp_path / "driftline.tmpl").write_bytes((FOLDER / "driftline.tmpl").read_bytes())
        url = alertmanager(children, scaled(text, 900))
        post(
            url,
            [
                {**DRIFT, "priority": "P1", "tier": "2", "model": "fraud", "feature": "amount"},
                *({**DRIFT, "owner": "driftline", "model": "many", "feature": f"f{n}"} for n in range(7)),
                {**DRIFT, "owner": "nobody", "model": "lost", "feature": "amount"},
            ],
            **ANNOTATIONS,
        )
        said = lambda: {json.dumps(call.body, sort_keys=True): call for call in phone.calls}  # noqa: E731
        eventually(lambda: len(said()) == 3)
    calls = list(said().values())
    (page,) = [call.body["payload"] for call in calls if call.receiver == "pagerduty"]
    by_title = {
        call.body["attachments"][0]["title"]: call.body["attachments"][0]
        for call in calls
        if call.receiver == "slack"
    }
    assert page["summary"] == "P1 fraud (prod): amount: A feature of a model has moved."
    assert (page["severity"], page["component"], page["group"]) == ("critical", "fraud", "prod")
    alone = f"* {ANNOTATIONS['description']}\n\nRunbook: {ANNOTATIONS['runbook_url']}\nDashboard: {ANNOTATIONS['dashboard_url']}"
    assert page["custom_details"]["what"] == alone
    many = by_title["P3 many (prod): A feature of a model has moved. 7 alerts."]
    assert many["text"] == "\n".join(
        [
            *[f"* {ANNOTATIONS['description']}"] * 5,
            "These are 5 of 7; the dashboard has them all.",
            "",
            f"Runbook: {ANNOTATIONS['runbook_url']}",
            f"Dashboard: {ANNOTATIONS['dashboard_url']}",
        ]
    )
    assert many["title_link"] == ANNOTATIONS["dashboard_url"]
    lost = by_title[
        "NOBODY'S (owner nobody has no contact): P3 lost (prod): amount: A feature of a model has moved."
    ]
    assert lost["text"].startswith(
        '* driftline.yaml has no contact for "nobody". Find out whose it is.\n* amount'
    )


@AMTOOL
def test_other_messages(tmp_path):
    """Of several rules one message names the first; what is over says so; e-mail has it as a page."""
    alert = {"status": "firing", "labels": {**DRIFT, "model": "fraud"}, "annotations": ANNOTATIONS,
             "startsAt": "2026-11-20T08:30:00Z", "endsAt": "2026-11-20T09:30:00Z"}  # fmt: skip
    other = {
        **alert,
        "annotations": {**ANNOTATIONS, "summary": "Calls fail.", "runbook_url": "https://example.com/2"},
    }
    common = {"owner": "payments", "model": "fraud", "environment": "prod"}
    data = {"receiver": "chat-payments", "status": "firing", "alerts": [alert, other],
            "groupLabels": {"model": "fraud"}, "commonLabels": common, "commonAnnotations": {}}  # fmt: skip
    assert (
        rendered(tmp_path, "title", data) == "fraud (prod): 2 alerts, first: A feature of a model has moved."
    )
    text = rendered(tmp_path, "text", data)
    assert text.index("Runbook: https://example.com/runbook.md") < text.index(
        "Runbook: https://example.com/2"
    )
    assert '<a href="https://example.com/2">Runbook</a>' in rendered(tmp_path, "html", data)
    over = {**data, "status": "resolved", "alerts": [{**alert, "status": "resolved"}],
            "commonLabels": alert["labels"], "commonAnnotations": ANNOTATIONS}  # fmt: skip
    assert rendered(tmp_path, "title", over) == "Over: fraud (prod): A feature of a model has moved."
    assert rendered(tmp_path, "text", over).startswith("* Over since Fri 20 Nov 09:30 UTC: amount of fraud")


def rendered(folder, name, data):
    (folder / "data.json").write_text(json.dumps(data))
    kind = "html" if name == "html" else "text"
    done = amtool(
        "template",
        "render",
        f"--template.glob={FOLDER / 'driftline.tmpl'}",
        f"--template.type={kind}",
        f'--template.text={{{{ template "driftline.{name}" . }}}}',
        f"--template.data={folder / 'data.json'}",
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")
