"""What a minute of the shipped rules costs a real Prometheus: 1,000 features over 3 sidecars and over 20.

Every 15 s a page of each sidecar is scraped, as the shipped prometheus.yml does, and the windows of an hour up to
two weeks are full. CPU time is taken with the rules less that without, so that scraping is not counted. All run
side by side, an hour.
"""

import json
import os
import shutil
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import built
from benchmarks.fleet import BINS, FEATURES, MODELS, SCRAPE, recorded, served
from benchmarks.page import put
from driftline.cli import binaries
from driftline.config import parse_duration
from stack.processes import Child, Children, eventually, free_ports

RULES = Path(os.environ.get("RULES") or Path(__file__).parents[2] / "alert-rules")
FLEETS = (3, 20)
FILLING, ALONE, WARMING, MEASURED, HOURLY = 20 * 60, 2 * 60, 10 * 60, 30 * 60, 4 * 60
EVERY = {
    group["name"]: parse_duration(group["interval"])
    for file in [*RULES.glob("recording/*.yml"), *RULES.glob("alerting/*.yml")]
    for group in yaml.safe_load(file.read_text())["groups"]
}
BUDGET = 1.5  # CPU seconds a minute, at 3 sidecars, on each Prometheus


@dataclass
class Running:
    name: str
    sidecars: int
    child: Child
    url: str
    config: Path

    def cpu(self):
        """Return the CPU seconds that it has taken."""
        fields = Path(f"/proc/{self.child.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """Return the bytes that it holds, files that it reads left out."""
        status = Path(f"/proc/{self.child.process.pid}/status").read_text()
        return int(status.partition("RssAnon:")[2].split()[0]) * 1024

    def evaluate(self, rules):
        """Let it evaluate *rules* from now on."""
        config = yaml.safe_load(self.config.read_text())
        self.config.write_text(
            yaml.safe_dump({**config, "rule_files": [f"{rules}/recording/*.yml", f"{rules}/alerting/*.yml"]})
        )
        self.child.process.send_signal(signal.SIGHUP)

    def number(self, expression):
        """Return what *expression* is, 0 where it is nothing."""
        found = self.ask(f"query?query={urllib.parse.quote(expression)}")["result"]
        return float(found[0]["value"][1]) if found else 0

    def is_up_to_date(self):
        """Return whether every counter has been told up to now."""
        return (
            self.number("count(driftline_feature_values_total)") == MODELS * FEATURES * BINS * self.sidecars
        )

    def dearest(self):
        """Return the groups that take most of the time, and their shares of it."""
        took = {
            group["name"]: group["evaluationTime"] / EVERY[group["name"]]
            for group in self.ask("rules")["groups"]
        }
        first = sorted(took, key=took.get, reverse=True)[:4]
        return ", ".join(f"{name.partition('.')[2]} {took[name] / sum(took.values()):.0%}" for name in first)

    def ask(self, path):
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}") as answer:
            return json.load(answer)["data"]


def prometheus(children, program, name, sidecars, address, blocks):
    """Start one over a copy of *blocks* that scrapes so many sidecars."""
    (port,) = free_ports(1)
    folder = children.folder / f"{name}-{sidecars}"
    shutil.copytree(blocks, folder, copy_function=os.link)
    targets = [
        {
            "targets": [address],
            "labels": {"instance": f"s{page}", "__metrics_path__": f"/{name}/{sidecars}/{page}"},
        }
        for page in [*range(sidecars), "hours"]
    ]
    scrape = {"job_name": "driftline", "honor_labels": True, "static_configs": targets[:-1]}
    of_rules = {"regex": "instance|job", "action": "labeldrop"}
    past = {"job_name": "past", "metric_relabel_configs": [of_rules], "static_configs": targets[-1:]}
    config = children.folder / f"{name}-{sidecars}.yml"
    every = {"scrape_interval": f"{SCRAPE}s", "scrape_timeout": f"{SCRAPE}s", "evaluation_interval": "1m"}
    config.write_text(yaml.safe_dump({"global": every, "scrape_configs": [scrape, past]}))
    url = f"http://127.0.0.1:{port}"
    child = children.start(
        f"{name}-{sidecars}",
        program,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
        ready=f"{url}/-/ready",
    )
    return Running(name, sidecars, child, url, config)


@pytest.mark.timeout(3600)
def test_a_minute(tmp_path, capsys):
    """The figures are stated; it fails where windows are not full or the rules judged nothing, never for being slow."""
    try:
        programs = {
            "floor": Path(binaries.need("prometheus")),
            "latest": Path(built.need("prometheus")) / "prometheus",
        }
        promtool = binaries.need("promtool")
    except (binaries.Missing, built.Absent) as missing:
        pytest.skip(str(missing))
    text, blocks = tmp_path / "recorded.txt", tmp_path / "blocks"
    with text.open("w") as file:
        file.writelines(recorded(int(time.time())))
    command = [promtool, "tsdb", "create-blocks-from", "--max-block-duration=744h", "--quiet", "openmetrics"]
    subprocess.run([*command, text, blocks], check=True, capture_output=True)
    text.unlink()
    # what runs hourly would run in the measured half an hour or not: it does, and is measured once more alone, to take
    # half of it off; before, all that is slow runs often, for some of it reads what others of it recorded
    warming, rules, hourly = (tmp_path / name for name in ("warming", "rules", "hourly"))
    for file in [*RULES.glob("recording/*.yml"), *RULES.glob("alerting/*.yml")]:
        groups = yaml.safe_load(file.read_text())["groups"]
        seldom = [{**group, "interval": "1m"} for group in groups if group["interval"] == "1h"]
        often = [{**group, "interval": "3m"} if EVERY[group["name"]] > 300 else group for group in groups]
        every = [{**group, "interval": group["interval"].replace("1h", "30m")} for group in groups]
        for folder, these in ((warming, often), (rules, every), (hourly, seldom)):
            copy = folder / file.parent.name / file.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(yaml.safe_dump({"groups": these}))

    with served() as address, Children(tmp_path) as children:
        running = [
            prometheus(children, program, name, sidecars, address, blocks)
            for sidecars in FLEETS
            for name, program in programs.items()
        ]
        eventually(lambda: all(one.is_up_to_date() for one in running), within=FILLING, every=5)
        for one in running:
            held = one.number("avg(count_over_time(driftline_feature_values_total[1h]))")
            assert held > 0.9 * 3600 / SCRAPE, (
                f"{one.name} holds {held:.0f} samples of an hour: the machine is too busy"
            )
        started = [one.cpu() for one in running]
        time.sleep(ALONE)
        scraping = [(one.cpu() - cpu) * 60 / ALONE for one, cpu in zip(running, started, strict=True)]
        for one in running:
            one.evaluate(warming)
        time.sleep(WARMING)
        for one in running:
            one.evaluate(rules)
        started = [one.cpu() for one in running]
        time.sleep(MEASURED)
        spent = [(one.cpu() - cpu) * 60 / MEASURED for one, cpu in zip(running, started, strict=True)]
        dearest = [one.dearest() for one in running]
        for one in running:
            assert one.number("count(model_feature:driftline_feature_chance:lastweek3h)") == MODELS * FEATURES
            assert one.number("count(version_feature:driftline_feature_psi:training7d)") == MODELS * FEATURES
            one.evaluate(hourly)
        started = [one.cpu() for one in running]
        time.sleep(HOURLY)
        rounds = [
            (one.cpu() - cpu) * 60 / HOURLY - alone
            for one, cpu, alone in zip(running, started, scraping, strict=True)
        ]
        ruled = [
            both - alone - each * (1 / 30 - 1 / 60)
            for both, alone, each in zip(spent, scraping, rounds, strict=True)
        ]
        lines = [
            "| Prometheus | sidecars | rules | scraping | memory | dearest groups |",
            "| --- | ---: | ---: | ---: | ---: | --- |",
        ]
        for one, alone, spend, groups in zip(running, scraping, ruled, dearest, strict=True):
            version = one.ask("status/buildinfo")["version"]
            lines.append(
                f"| {version} | {one.sidecars} | {spend:.2f} | {alone:.2f} | {one.memory() / 1e9:.2f} GB |"
                f" {groups} |"
            )
    few = [
        f"{one.name} {'met' if spend <= BUDGET else '**not met**'}"
        for one, spend in zip(running, ruled, strict=True)
        if one.sidecars == FLEETS[0]
    ]
    lines += ["", f"Budget at {FLEETS[0]} sidecars: {BUDGET}; {', '.join(few)}."]
    lines += [f"Load {', '.join(f'{load:.1f}' for load in os.getloadavg())}."]
    with capsys.disabled():
        put("rules", lines)
