"""A Prometheus that somebody configured in a hurry: what it makes of the sidecar's labels, and who hears of it."""

import json
from pathlib import Path

import pytest

from driftline.cli.timescale import scaled
from stack.processes import Children, alerts, eventually, prometheus, query, sidecar
from stack.test_fleet import send, settings
from watched import baseline, batch

RULES = Path(__file__).parents[2] / "alert-rules" / "alerting" / "telemetry.yml"
POD = {"environment": "monitoring", "version": "7f9c"}  # what relabelling often takes over from a pod


def configuration(target, folder):
    (folder / "telemetry.yml").write_text(scaled(RULES.read_text(), 300))
    jobs = [
        {
            "job_name": "honoured",
            "honor_labels": True,
            "static_configs": [{"targets": [target], "labels": POD}],
        },
        {"job_name": "bare", "static_configs": [{"targets": [target]}]},
        {"job_name": "hurried", "static_configs": [{"targets": [target], "labels": POD}]},
    ]
    fast = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return json.dumps({"global": fast, "rule_files": ["telemetry.yml"], "scrape_configs": jobs})


@pytest.mark.stack("prometheus")
def test_without_honor_labels(tmp_path):
    """A target that has labels of the sidecar's names renames those: an alert names the job, and only that."""
    baseline().save(tmp_path / "baselines")
    config, url, metrics = settings(tmp_path)
    with Children(tmp_path) as children:
        sidecar(children, config, metrics=metrics)
        send(url, batch(50))
        asked = prometheus(children, configuration(metrics, tmp_path))
        (found,) = eventually(
            lambda: [
                alert
                for alert in alerts(asked)
                if alert["labels"]["alertname"] == "DriftlineLabelsRenamed" and alert["state"] == "firing"
            ]
        )
        assert (found["labels"]["job"], found["labels"]["instance"]) == ("hurried", metrics)
        assert "1 models and versions have an exported_ label" in found["annotations"]["description"]
        said = {
            labels["job"]: {
                name: labels.get(name) for name in (*POD, "exported_environment", "exported_version")
            }
            for labels, _ in query(asked, "driftline_predictions_total")
        }
        own = {"environment": "prod", "version": "1"}
        nothing = {"exported_environment": None, "exported_version": None}
        assert said == {
            "honoured": own | nothing,
            "bare": own | nothing,
            "hurried": POD | {f"exported_{name}": value for name, value in own.items()},
        }
