"""A real Prometheus that holds two weeks of a fleet and all that the shipped rules record of it.

The sidecars' series are backfilled every half hour, the rules are then evaluated on them every hour, level
by level, by promtool; alerts are recorded as Prometheus would have kept them. A look-back of an hour stands in
for the usual five minutes, and so does an hour for the five minutes in which the rules count events.
"""

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

import two_weeks
from driftline.cli import binaries
from stack.processes import free_ports

ROOT = Path(__file__).parents[2]


def shipped_rules():
    """Yield what is recorded; an alert as the ALERTS series that Prometheus keeps while it fires."""
    for file in sorted([*ROOT.glob("alert-rules/recording/*.yml"), *ROOT.glob("alert-rules/alerting/*.yml")]):
        for group in yaml.safe_load(file.read_text())["groups"]:
            for rule in group["rules"]:
                if "record" in rule:
                    yield {"record": rule["record"], "expr": rule["expr"].replace("[5m]", "[1h]")}
                else:
                    labels = {**rule["labels"], "alertname": rule["alert"], "alertstate": "firing"}
                    yield {"record": "ALERTS", "expr": f"0 * ({rule['expr']}) + 1", "labels": labels}


def levels():
    """Return the rules in passes, each of which reads only what earlier passes recorded."""
    waiting = list(shipped_rules())
    passes = []
    while waiting:
        names = {rule["record"] for rule in waiting}
        reads = [names & set(re.findall(r"[\w:]+", rule["expr"])) - {rule["record"]} for rule in waiting]
        ready = [rule for rule, unread in zip(waiting, reads, strict=True) if not unread]
        # what is recorded of alerts is read by alerts: these are told of all the others
        ready = ready or [rule for rule, unread in zip(waiting, reads, strict=True) if unread == {"ALERTS"}]
        assert ready, f"rules that read each other: {sorted(names)}"
        passes.append(ready)
        waiting = [rule for rule in waiting if rule not in ready]
    return passes


class Backfilled:
    """A Prometheus over the blocks in *folder*, restarted to see new ones."""

    def __init__(self, children, folder):
        self.children, self.folder = children, folder
        (folder / "prometheus.yml").write_text("global: {scrape_interval: 30m}\n")
        self.child = None

    def start(self):
        self.stop()
        port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{port}"
        self.child = self.children.start(
            "prometheus",
            binaries.need("prometheus"),
            f"--config.file={self.folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            "--storage.tsdb.retention.time=60d",
            f"--web.listen-address=127.0.0.1:{port}",
            "--query.lookback-delta=3599s",  # an hourly sample is found until the next one, and no longer
            "--log.level=warn",
            ready=f"{self.url}/-/ready",
        )

    def stop(self):
        if self.child:
            self.children.stop(self.child)
            self.child = None

    def backfill(self, *arguments):
        done = subprocess.run(
            [
                binaries.need("promtool"),
                *("tsdb", "create-blocks-from", "--max-block-duration=744h", "--quiet", *arguments),
            ],
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr

    def fill(self, scraped):
        self.backfill("openmetrics", scraped, "data")
        span = (f"--start={two_weeks.START:.0f}", f"--end={two_weeks.END:.0f}", "--eval-interval=1h")
        for rules in levels():
            self.start()
            # One name for all, from which promtool takes the minute of the hour that a group is evaluated at: of
            # this one the 57th on the floor, the 37th on the latest, for a query on the hour looks back 40 minutes.
            group = {"name": "pass", "interval": "1h", "rules": rules}
            (self.folder / "rules.yml").write_text(yaml.safe_dump({"groups": [group]}))
            self.backfill("rules", *span, f"--url={self.url}", "--output-dir=data", "rules.yml")
        self.stop()

    def ask(self, path, **parameters):
        body = urllib.parse.urlencode(parameters).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/{path}", body, timeout=60) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            pytest.fail(f"{parameters}\n{error.read().decode()}")

    def series(self, expr, *, instant, at=two_weeks.END):
        """Return {labels: values} of *expr*, at a moment or over the two weeks, as Grafana would ask."""
        if instant:
            found = self.ask("query", query=expr, time=at)["result"]
        else:
            found = self.ask("query_range", query=expr, start=two_weeks.START, end=two_weeks.END, step=3600)[
                "result"
            ]
        return {
            tuple(sorted(one["metric"].items())): [float(v) for _, v in one.get("values") or [one["value"]]]
            for one in found
        }
