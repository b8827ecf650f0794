"""The shipped Alertmanager configuration: who is told of what, and what nobody is told."""

import json
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from driftline.cli import binaries
from driftline.cli.timescale import scaled
from stack.processes import Children, Phone, alertmanager, eventually

CONFIG = Path(__file__).parents[2] / "alert-rules" / "alertmanager" / "alertmanager.yml"
AMTOOL = pytest.mark.stack("amtool")


def amtool(*arguments):
    return subprocess.run([binaries.need("amtool"), *arguments], capture_output=True, text=True, check=False)


@AMTOOL
@pytest.mark.parametrize("factor", [1, 720])
def test_valid(factor, tmp_path):
    """The configuration is valid, as shipped and as fast as the demo runs it."""
    (tmp_path / "alertmanager.yml").write_text(scaled(CONFIG.read_text(), factor))
    done = amtool("check-config", tmp_path / "alertmanager.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@AMTOOL
@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("alertname=DriftlineWatchdog owner=driftline severity=none", "deadman"),
        ("priority=P1 environment=prod owner=payments", "pager-payments,chat-payments"),
        ("priority=P2 environment=prod owner=payments", "pager-payments,chat-payments"),
        ("priority=P3 environment=prod owner=payments", "tickets"),
        ("priority=P4 environment=prod owner=payments", "digest"),
        ("priority=P1 environment=production owner=payments", "pager-payments,chat-payments"),
        # not production: the chat, whatever the priority, whoever owns it
        ("priority=P1 environment=staging owner=payments", "chat-nonprod"),
        ("priority=P3 environment=staging owner=unowned", "chat-nonprod"),
        # no environment is not "not production"
        ("alertname=DriftlineSidecarDown priority=P2 owner=driftline", "pager-driftline,chat-driftline"),
        ("priority=P1 owner=driftline", "pager-driftline,chat-driftline"),
        # nobody's, or of somebody that no route knows: never lost
        ("priority=P1 environment=prod owner=unowned", "unowned"),
        ("priority=P2 environment=prod owner=nobody-knows", "unowned"),
        ("priority=P3 environment=prod owner=unowned", "unowned"),
        ("priority=P4 environment=prod", "unowned"),
        ("priority=P3 environment=prod owner=nobody-knows", "tickets"),
        ("environment=prod owner=payments", "unowned"),
        ("alertname=SomebodyElses", "unowned"),
    ],
)
def test_routes(labels, receivers):
    """Every combination of environment, priority and owner reaches exactly these receivers."""
    done = amtool(
        "config",
        "routes",
        "test",
        f"--config.file={CONFIG}",
        f"--verify.receivers={receivers}",
        *labels.split(),
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_incidents():
    """Whoever is paged or gets a ticket gets one message a model and environment."""
    route = yaml.safe_load(CONFIG.read_text())["route"]
    assert route["group_by"] == ["model", "environment"]
    of_priority = {r["matchers"][0]: r for r in route["routes"]}
    assert "group_by" not in of_priority['priority="P1"']
    assert "group_by" not in of_priority['priority="P2"']
    assert {"model", "environment"} <= set(of_priority['priority="P3"']["group_by"])


@pytest.mark.stack("alertmanager")
def test_one_message_an_incident(tmp_path):
    """Of a hundred features one ticket; of a cause and its symptoms the cause alone.

    Pagers are left out: whether they are held depends on the hour of the day.
    """
    model = {"environment": "prod", "owner": "payments", "tier": "1", "severity": "warning"}
    drift = {**model, "alertname": "ModelFeatureDrift", "priority": "P3", "category": "drift", "version": "1"}
    absent = {**model, "alertname": "ModelTelemetryAbsent", "priority": "P2", "category": "telemetry"}
    down = {
        "alertname": "DriftlineSidecarDown",
        "owner": "driftline",
        "priority": "P2",
        "category": "telemetry",
    }
    alerts = [
        {"alertname": "DriftlineWatchdog", "owner": "driftline", "severity": "none"},
        *({**drift, "model": "fraud", "feature": f"f{n}"} for n in range(100)),
        # a paging alert of the same feature, which a rule of one's own may raise, needs no ticket
        {**drift, "model": "fraud", "feature": "f0", "alertname": "OurOwn", "priority": "P2"},
        # most of risk moved at once: one page about all, and the ticket that lists them
        {
            **model,
            "alertname": "ModelDriftWidespread",
            "priority": "P2",
            "category": "drift",
            "model": "risk",
        },
        *(
            {**model, **kind, "category": "drift", "model": "risk", "feature": f"f{n}"}
            for n in range(30)
            for kind in (
                {"alertname": "ModelFeatureShift", "priority": "P2"},
                {"alertname": "ModelFeatureDrift", "priority": "P3", "version": "1"},
            )
        ),
        # nothing is heard of churn, so what is still known of its features is old
        {**absent, "model": "churn", "cause": "service"},
        *({**drift, "model": "churn", "feature": f"f{n}"} for n in range(10)),
        # the sidecar is down, and with it the series of every model it served
        {**down, "instance": "s1"},
        *({**absent, "model": f"model{n}", "cause": "sidecar"} for n in range(50)),
    ]
    with Children(tmp_path) as children, Phone() as phone:
        config = CONFIG.read_text().replace("http://alerts.example.com", phone.url)
        url = alertmanager(children, scaled(config, 900))
        ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        body = json.dumps([{"labels": labels, "endsAt": ends} for labels in alerts]).encode()
        request = urllib.request.Request(f"{url}/api/v2/alerts", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request).close()
        eventually(lambda: {"deadman", "tickets", "chat-payments", "chat-driftline"} <= heard(phone).keys())
        time.sleep(2)  # two more rounds: whoever was to be told has been told by now
    assert heard(phone) == {
        "deadman": [(None, 1)],
        "tickets": [("fraud", 99), ("risk", 30)],
        "chat-payments": [("churn", 1), ("fraud", 1), ("risk", 1)],
        "chat-driftline": [(None, 1)],
    }


def heard(phone):
    """Return for each receiver that is no pager the model and number of alerts of each different message."""
    found = {}
    for call in phone.calls:
        if not call.receiver.startswith("pager-"):
            said = (call.body["groupLabels"].get("model"), len(call.alerts))
            found.setdefault(call.receiver, set()).add(said)
    return {receiver: sorted(said, key=str) for receiver, said in found.items()}
