"""docs/retiring.md, done as it is written: on a real sidecar, Prometheus and Alertmanager."""

import datetime as dt
import json
import re
import shlex
import subprocess
import textwrap
import time
import urllib.request
from pathlib import Path

import pytest
import yaml

from driftline.baseline import Baseline
from driftline.cli import binaries
from driftline.cli.timescale import scaled
from driftline.wire import Batch
from stack.processes import Children, alertmanager, eventually, free_ports, prometheus, query, sidecar
from stack.test_fleet import scrape, send
from watched import columns, table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "retiring.md").read_text()
FACTOR = 720  # an hour is five seconds
WEEKS = 16 * 60  # seconds; at that pace a week and some hours
SILENCE = "4s"


def written(kind):
    """Return the one block of this *kind* on the page."""
    (block,) = re.findall(rf"^ *```{kind}\n(.*?)^ *```", PAGE, re.DOTALL | re.MULTILINE)
    return textwrap.dedent(block)


def alive(url, *models):
    """Send what the services of *models* would."""
    for model in models:
        send(url, Batch(model=model, version="1", rows=100, columns=columns(100)))


def backfilled(folder, models):
    """Give Prometheus past weeks in which every one of *models* had rows at every hour."""
    now = int(time.time())
    with (folder / "past.txt").open("w") as file:
        for series, version in (
            ("model:driftline_predictions_seen:increase1h", ""),
            ("model:driftline_predictions:increase1h", ""),
            ("version:driftline_predictions:increase1h", ',version="1"'),
        ):
            file.write(f"# TYPE {series} gauge\n")
            for model in models:
                file.writelines(
                    f'{series}{{environment="prod",model="{model}"{version}}} 500 {moment}\n'
                    for moment in range(now - WEEKS, now - 2)
                )
        file.write("# EOF\n")
    subprocess.run(
        [
            binaries.need("promtool"),
            *("tsdb", "create-blocks-from", "openmetrics", "past.txt", "prometheus"),
        ],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


@pytest.mark.stack("prometheus", "promtool")
@pytest.mark.timeout(180)
def test_a_model_of_tier_1_is_retired(tmp_path):
    """Step by step: no alert fires for it, whereas for its neighbour, which only stopped, the page does.

    Nothing of it stays in the sidecar, in memory or on disk. An instance that was forgotten is told.
    """
    with_it = yaml.safe_load(written("yaml"))["models"]["fraud"]
    before = {key: value for key, value in with_it.items() if key != "retired"}
    assert with_it["retired"] is True
    assert before["tier"] == "1"
    for model in ("fraud", "churn"):
        Baseline.build(table(), model=model, version="1", prediction="answer").save(tmp_path / "baselines")
    http, port = free_ports(2)
    url, metrics = f"http://127.0.0.1:{http}/v1/logs", f"127.0.0.1:{port}"

    def settings(entry):
        models = {"fraud": entry, "churn": before}
        document = {
            "environment": "prod",
            "listen": {"grpc": None, "http": f"127.0.0.1:{http}", "metrics": metrics},
            "state": {"every": "1s"},
            "windows": {"5s": "1s", "2m": "5s"},
            "models": {name: {**said, "silence": SILENCE} for name, said in models.items()},
        }
        (tmp_path / "driftline.yaml").write_text(json.dumps(document))
        return tmp_path / "driftline.yaml"

    for path in (ROOT / "alert-rules").glob("*ing/*.yml"):
        copy = tmp_path / "rules" / path.parent.name / path.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(scaled(path.read_text(), FACTOR))
    config = (
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules/recording/*.yml, rules/alerting/*.yml]\n"
        "scrape_configs:\n  - job_name: driftline\n    honor_labels: true\n"
        f"    static_configs: [{{targets: ['{metrics}']}}]\n"
    )
    backfilled(tmp_path, ("fraud", "churn"))
    with Children(tmp_path) as children:
        prometheus_url = prometheus(children, config)

        def fired(model, since):
            ago = f"{1 + (time.time() - since) * 1000:.0f}ms"
            found = query(
                prometheus_url, f'count_over_time(ALERTS{{alertstate="firing", model="{model}"}}[{ago}])'
            )
            return {labels["alertname"] for labels, _ in found}

        first = sidecar(children, settings(before), metrics=metrics)

        def missed():
            alive(url, "fraud", "churn")
            return query(prometheus_url, 'model:driftline_predictions_past_weeks:min1h{model="fraud"}')

        eventually(missed, every=0.5, within=60)
        assert children.stop(first) == 0
        second = sidecar(children, settings(with_it), metrics=metrics, name="restarted")

        def settled():  # at this pace the restart was an outage of half an hour
            alive(url, "fraud", "churn")
            said = query(prometheus_url, 'model:driftline_model_retired:info{model="fraud"}')
            return said and not query(prometheus_url, 'ALERTS{model=~"fraud|churn"}')

        eventually(settled, every=0.5)
        since = time.time()  # the services stop
        eventually(lambda: fired("churn", since) >= {"ModelServiceDown", "ModelVolumeLow"}, within=60)

        eventually(lambda: "fraud, version 1 is forgotten" in second.log.read_text())
        assert re.findall(r'(\w+)\{.*model="fraud"', scrape(metrics)) == ["driftline_model_retired"]
        eventually(lambda: not list((tmp_path / "state").glob("fraud*")))
        forgotten = 'max_over_time(timestamp(driftline_predictions_total{model="fraud"})[2m:1s])'
        eventually(lambda: query(prometheus_url, f"time() - {forgotten} > 5"))  # an hour
        assert fired("fraud", since) == set()
        assert query(prometheus_url, 'model:driftline_model_owner:info{model="fraud"}') == []

        def told():
            alive(url, "fraud")
            return fired("fraud", since)

        assert eventually(told, every=0.5) == {"ModelRetiredInUse"}
        assert "model fraud, version 1 is retired: its rows are counted" in second.log.read_text()


@pytest.mark.stack("alertmanager", "amtool")
def test_an_environment_is_torn_down(tmp_path):
    """The page's silence holds what rings for that environment, for the day that Prometheus remembers, and nothing else."""
    config = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"
    with Children(tmp_path) as children:
        url = alertmanager(children, config)
        line = written("sh").strip()
        environment = re.search(r"environment=(\w+)$", line)[1]
        command = shlex.split(line.replace("http://127.0.0.1:9093", url))
        assert command[0] == "amtool"

        def amtool(*arguments):
            subprocess.run([binaries.need("amtool"), *arguments], check=True, capture_output=True)

        amtool(*command[1:])
        for one in (environment, "prod"):
            labels = (f"environment={one}", "model=fraud")
            amtool("alert", "add", f"--alertmanager.url={url}", "alertname=ModelTelemetryAbsent", *labels)

        def asked(what):
            with urllib.request.urlopen(f"{url}/api/v2/{what}", timeout=10) as answer:
                return json.load(answer)

        assert {one["labels"]["environment"]: one["status"]["state"] for one in asked("alerts")} == {
            environment: "suppressed",
            "prod": "active",
        }
        (silence,) = asked("silences")
        lasts = dt.datetime.fromisoformat(silence["endsAt"]) - dt.datetime.fromisoformat(silence["startsAt"])
        assert lasts > dt.timedelta(days=1)
