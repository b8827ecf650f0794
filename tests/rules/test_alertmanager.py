"""The Alertmanager configuration as shipped and as written: who is told of what, and what nobody is told."""

import datetime as dt
import itertools
import json
import re
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from driftline import routing
from driftline.cli import binaries, main
from driftline.cli.timescale import scaled
from driftline.contacts import OLDEST, WAYS, Alerting
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
        if priority == "P1" and tier == "1" and environment in ("prod", "production", None):
            expected = expected | (EVERYBODY if known else {"unowned-on-call"})
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


def timers(route, labels, inherited):
    """Return (receiver, group_wait, group_interval, repeat_interval) of each route that takes *labels*."""
    mine = [route.get(key, value) for key, value in zip(TIMERS, inherited, strict=True)]
    found = []
    for child in route.get("routes", ()):
        if all(fits(matcher, labels) for matcher in child["matchers"]):
            found += timers(child, labels, mine)
            if not child.get("continue"):
                break
    return found or [tuple(mine)]


def fits(matcher, labels):
    label, operator, value = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher).groups()
    same = re.fullmatch(value if "~" in operator else re.escape(value), labels.get(label, "")) is not None
    return same == (operator in ("=", "=~"))


TIMERS = ("receiver", "group_wait", "group_interval", "repeat_interval")


def test_what_nobody_owns_is_told_as_often():
    """At the times at which an owner would hear of it; but the digest, which is nobody's, comes as a ticket."""
    route = yaml.safe_load(CONFIG.read_text())["route"]
    for priority, environment in itertools.product(("P1", "P2", "P3", "P4"), ("prod", "staging")):
        when = {}
        for owner in ("payments", "unowned"):
            labels = {"owner": owner, "environment": environment, "priority": priority, "tier": "1"}
            if priority == "P4" and environment == "prod" and owner == "payments":
                labels["priority"] = "P3"
            when[owner] = {tuple(times) for _, *times in timers(route, labels, [None] * len(TIMERS))}
        assert when["unowned"] == when["payments"], (priority, environment)


# --- every kind of means ------------------------------------------------------------------------

KINDS = {
    "pagerduty": {"routing_key_file": "/etc/alertmanager/key"},
    "slack": {"api_url_file": "/etc/alertmanager/slack", "channel": "#ml"},
    "email": {"to": "ml@example.com"},
    "webhook": {"url": "https://example.com/hook", "token_file": "/etc/alertmanager/token"},
    "teams": {"webhook_url_file": "/etc/alertmanager/teams"},
    "jira": {
        "api_url": "https://jira.example.com/rest/api/2",
        "project": "ML",
        "user": "bot",
        "token_file": "/etc/jira",
    },
}
SERVER = {"smarthost": "mail:587", "from": "am@example.com", "username": "am", "password_file": "/etc/mail"}


def written(*kinds, **more):
    """Return settings in which the contact of each of *kinds* is reached by it in all four ways."""
    platform = {"webhook": {"url": "http://example.com/"}}
    contacts = {"driftline": dict.fromkeys(WAYS, platform)}
    contacts |= {f"team {kind}": {key: {kind: KINDS[kind]} for key in WAYS} for kind in kinds}
    return Alerting.model_validate(
        {"contacts": contacts, "deadman": platform, "email": SERVER, **more}, strict=False
    )


@AMTOOL
@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_valid(kind, tmp_path, request):
    """What is written of each kind is what an Alertmanager of the version it is written for takes."""
    alerting = written(kind)
    needs = alerting.contacts[f"team {kind}"].page.needs
    if needs > OLDEST and request.node.callspec.params["stack"] == "floor":
        return  # of a later Alertmanager; refused below
    (tmp_path / "alertmanager.yml").write_text(routing.alertmanager(alerting, version=needs))
    done = amtool("check-config", tmp_path / "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@AMTOOL
@pytest.mark.parametrize("owner", ["a b", "it's", 'a"b', "a|b", "a.*", "ü", "a\\b", "{{ x }}", "a, b: [c]"])
def test_any_owner_is_a_name(owner, tmp_path):
    """A name is never a pattern, nor YAML: it reaches its own receiver, and no other name does."""
    means = {"webhook": {"url": "http://example.com/"}}
    contacts = {"driftline": dict.fromkeys(WAYS, means), owner: {"ticket": means}}
    alerting = Alerting.model_validate({"contacts": contacts, "deadman": means})
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
SLOW = {"category": "performance", "model": "slow"}
SPENT = {"category": "slo", "model": "spent"}
STOPPED = {
    **MODEL,
    "alertname": "ModelServiceDown",
    "priority": "P1",
    "severity": "critical",
    "category": "availability",
}
SILENT = {
    "alertname": "DriftlineEnvironmentSilent",
    "owner": "driftline",
    "environment": "production",
    "priority": "P2",
    "category": "availability",
}
DOWN = {
    "alertname": "DriftlineSidecarDown",
    "owner": "driftline",
    "environment": "prod",
    "priority": "P2",
    "category": "telemetry",
}
OF_DRIFTLINE = {"owner": "driftline", "severity": "warning", "priority": "P3", "category": "telemetry"}
WATCHDOG = {"alertname": "DriftlineWatchdog", "owner": "driftline", "severity": "none"}


def post(url, alerts, ends=3600, **annotations):
    ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ends))
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


def pages(phone):
    return [call.body["receiver"] for call in phone.calls]


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
        # calls of slow are too slow, which is a page, and slower than last week, which is not said as well; that some fail is
        {**MODEL, "alertname": "ModelLatencyHigh", **SLOW, "priority": "P2", "version": "1"},
        {**MODEL, "alertname": "ModelLatencyAboveLastWeek", **SLOW, "priority": "P3"},
        {**MODEL, "alertname": "ModelErrorRatioHigh", **SLOW, "priority": "P3", "version": "1"},
        # one budget of spent is burnt fast, and slowly, and another slowly
        {**MODEL, "alertname": "ModelBudgetBurnFast", **SPENT, "priority": "P1", "slo": "availability"},
        *(
            {**MODEL, "alertname": "ModelBudgetBurnSlow", **SPENT, "priority": "P3", "slo": slo}
            for slo in ("availability", "latency")
        ),
        # unsure answers, other columns, rows that do not count: not of a silent model, and of a late source the last alone
        *(
            {**MODEL, "alertname": name, "priority": "P3", "category": category, "model": model}
            for model in ("churn", "credit", "price")
            for name, category in (
                ("ModelConfidenceLow", "performance"),
                ("ModelSchemaChanged", "quality"),
                ("DriftlineRowsDropped", "telemetry"),
            )
        ),
        # rows of no model that is known, and baselines that two sidecars cannot use
        {**OF_DRIFTLINE, "alertname": "DriftlineRowsDropped", "environment": "prod", "reason": "model_limit"},
        *({**OF_DRIFTLINE, "alertname": "DriftlineReloadFailed", "instance": f"s{n}"} for n in (2, 3)),
        # nobody owns it, and nobody is the owner's contact: whoever runs driftline has it
        {**DRIFT, "owner": "unowned", "model": "lost"},
        {**DRIFT, "owner": "a team without a contact", "model": "lost", "feature": "f1"},
        # the sidecar is down, and with it the series of every model it served
        {**DOWN, "instance": "s1"},
        # a sidecar of staging is down for long, and one that never was up: what another environment loses is told
        {**DOWN, "environment": "staging", "instance": "s8"},
        {key: value for key, value in {**DOWN, "instance": "s9"}.items() if key != "environment"},
        {**ABSENT, "environment": "production", "model": "left", "cause": "sidecar"},
        # most models of another environment are silent, for one reason
        SILENT,
        *(
            {**ABSENT, "environment": "production", "model": f"model{n}", "cause": "service"}
            for n in range(50)
        ),
        *({**ABSENT, "model": f"model{n}", "cause": "sidecar"} for n in range(50)),
    ]
    with Children(tmp_path) as children, Phone() as phone:
        post(alertmanager(children, fast(phone)), alerts)
        expected = {
            "deadman": [(None, 1)],
            "ticket-payments": [
                *(("credit", 1), ("fraud", 98), ("price", 4), ("risk", 20), ("slow", 1), ("spent", 1))
            ],
            "ticket-driftline": [("lost", 2), (None, 1), (None, 2)],
            "chat-payments": [
                *(
                    ("churn", 1),
                    ("credit", 1),
                    ("fraud", 2),
                    ("left", 1),
                    ("risk", 1),
                    ("slow", 1),
                    ("spent", 1),
                )
            ],
            "digest-driftline": [(None, 1)],
            "chat-driftline": [(None, 1)],
        }
        eventually(lambda: expected.keys() <= told(phone).keys())
        time.sleep(2)  # two more rounds: whoever was to be told has been told by now
    assert told(phone) == expected
    platform = [alert for call in phone.calls if call.receiver == "chat-driftline" for alert in call.alerts]
    assert {alert["labels"]["alertname"] for alert in platform} == {DOWN["alertname"], SILENT["alertname"]}


@ALERTMANAGER
def test_without_any_sidecar_one_message(tmp_path):
    """Prometheus has no target at all: that is told, and not that a hundred models of two environments are gone."""
    none = {key: value for key, value in DOWN.items() if key != "environment"}
    gone = [
        {**ABSENT, "environment": environment, "model": f"model{n}", "cause": "sidecar"}
        for environment in ("prod", "production")
        for n in range(50)
    ]
    with Children(tmp_path) as children, Phone() as phone:
        post(alertmanager(children, fast(phone)), [none, *gone])
        eventually(lambda: "chat-driftline" in told(phone))
        time.sleep(2)
    assert told(phone) == {"chat-driftline": [(None, 1)]}


@ALERTMANAGER
def test_a_cause_that_comes_with_its_symptoms(tmp_path):
    """A hundred features of a model whose service is down are one message, at every hour: the page."""
    page = {**STOPPED, "model": "fraud"}
    with Children(tmp_path) as children, Phone() as phone:
        post(
            alertmanager(children, fast(phone)),
            [
                *({**DRIFT, "model": "fraud", "feature": f"f{n}"} for n in range(100)),
                page,
                {**ABSENT, "model": "fraud", "cause": "service"},
                {**page, "model": "lost", "owner": "unowned"},
            ],
        )
        # a page of tier 1: its owner, whoever runs driftline, whoever is on call; of nobody's, the last two
        everybody = {"page-payments", "chat-payments", "page-driftline", "page-sre"}
        eventually(
            lambda: (
                everybody <= told(phone, pagers=True).keys()
                and len(told(phone, pagers=True)["page-driftline"]) == 2
            )
        )
        # ... and again after an hour, whosever it is
        again = ("page-payments", "unowned-page", "unowned-on-call")
        eventually(lambda: all(pages(phone).count(receiver) > 1 for receiver in again))
    expected = {key: [("fraud", 1)] for key in everybody}
    of_both = {key: [("fraud", 1), ("lost", 1)] for key in ("page-driftline", "page-sre")}
    assert told(phone, pagers=True) == expected | of_both
    at_first = [call.body["receiver"] for call in phone.calls if call.at < phone.calls[0].at + 0.5]
    assert sorted(at_first) == sorted({*everybody, "unowned-page", "unowned-on-call"}), "each once"


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
