"""The shipped rules, routes and scrape configuration, as the demo runs them."""

import pytest

from driftline.cli.demo import stage
from driftline.cli.demo.stack import _get
from stack.processes import Children, Phone, eventually


@pytest.mark.stack("prometheus", "alertmanager")
def test_the_shipped_files_run_faster(tmp_path):
    """Scaled and readdressed, every rule evaluates without an error, and the watchdog's call reaches the phone."""
    with Children(tmp_path) as children, Phone() as phone:
        instance = stage.Instance("a", 9, "127.0.0.1:9")
        prometheus, _ = stage.watchers(children, [instance], phone)
        eventually(lambda: [call for call in phone.calls if call.receiver == "deadman"])
        # a dead sidecar is noticed after two minutes: a second on this clock
        eventually(
            lambda: [
                a
                for call in phone.calls
                for a in call.alerts
                if a["labels"]["alertname"] == "DriftlineSidecarDown"
            ]
        )
        # on this clock the slowest group is evaluated every five seconds
        rules = eventually(lambda: evaluated(prometheus))
        assert len(rules) > 20
        assert {rule["health"] for rule in rules} == {"ok"}
        # Prometheus 3 discovers its targets after some seconds; until then absent(up) has fired the alert
        targets = eventually(lambda: _get(f"{prometheus}/api/v1/targets")["data"]["activeTargets"])
        assert [target["labels"]["instance"] for target in targets] == ["127.0.0.1:9"]


def evaluated(prometheus):
    """Return all rules once each has been evaluated."""
    groups = _get(f"{prometheus}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return rules if "unknown" not in {rule["health"] for rule in rules} else None
