"""What a minute of the shipped rules costs a real Prometheus: 1,000 features over 3 sidecars and over 20.

Every 15 s a page of each sidecar is scraped, as the shipped prometheus.yml does, and the windows of an hour up to
two weeks are full. CPU time is taken with the rules less that without, so that scraping is not counted: of what runs
every five minutes or more often together, of each slower group alone, a round a minute. All run side by side, three
quarters of an hour.
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
FILLING, ALONE, WARMING, MEASURED, ROUNDS, SETTLING = 20 * 60, 150, 9 * 60, 10 * 60, 3 * 60, 30
EVERY = {
    group["name"]: parse_duration(group["interval"])
    for file in [*RULES.glob("recording/*.yml"), *RULES.glob("alerting/*.yml")]
    for group in yaml.safe_load(file.read_text())["groups"]
}
NO_RULES = Path("none")
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


def write(folder, intervals):
    """Write the shipped rules into *folder*: the groups that have an interval, in seconds, each with that."""
    for file in [*RULES.glob("recording/*.yml"), *RULES.glob("alerting/*.yml")]:
        groups = [
            {**group, "interval": f"{intervals[group['name']]:.0f}s"}
            for group in yaml.safe_load(file.read_text())["groups"]
            if group["name"] in intervals
        ]
        copy = folder / file.parent.name / file.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(yaml.safe_dump({"groups": groups}))


def spent(running, rules, seconds):
    """Return the CPU seconds a minute of each with *rules* for so many seconds, and the time in which a round may end."""
    started = [one.cpu() for one in running]
    for one in running:
        one.evaluate(rules)
    time.sleep(seconds)
    for one in running:
        one.evaluate(NO_RULES)
    time.sleep(SETTLING)
    return [(one.cpu() - cpu) * 60 / (seconds + SETTLING) for one, cpu in zip(running, started, strict=True)]


def of_rules(running, rules, seconds, scraping):
    """Return the CPU seconds that a minute of *rules* takes of each, what scraping takes left out."""
    both = spent(running, rules, seconds)
    return [
        (each - alone) * (seconds + SETTLING) / seconds for each, alone in zip(both, scraping, strict=True)
    ]


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
    slow = sorted((name for name in EVERY if EVERY[name] > 300), key=EVERY.get)
    intervals = {
        "warming": {name: min(every, 120) for name, every in EVERY.items()},  # some read what others recorded
        "quick": {name: every for name, every in EVERY.items() if name not in slow},
        **{name: {name: 60} for name in slow},
    }
    for phase, these in intervals.items():
        write(tmp_path / phase, these)

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
        scraping = spent(running, NO_RULES, ALONE)
        spent(running, tmp_path / "warming", WARMING)
        for one in running:
            for judged in (
                "model_feature:driftline_feature_psi_significant_slow:lastweek3h",
                "version_feature:driftline_feature_psi_significant_slow:training7d",
            ):
                assert one.number(f"count(last_over_time({judged}[12m]))") == MODELS * FEATURES, judged
        took = [{"all others": each} for each in of_rules(running, tmp_path / "quick", MEASURED, scraping)]
        for name in slow:
            rounds = of_rules(running, tmp_path / name, ROUNDS, scraping)
            for parts, each in zip(took, rounds, strict=True):
                parts[name.partition(".")[2]] = each * 60 / EVERY[name]
        lines = [
            "| Prometheus | sidecars | rules | scraping | memory | of the rules |",
            "| --- | ---: | ---: | ---: | ---: | --- |",
        ]
        for one, alone, parts in zip(running, scraping, took, strict=True):
            version = one.ask("status/buildinfo")["version"]
            shares = ", ".join(f"{name} {cpu:.2f}" for name, cpu in parts.items())
            lines.append(
                f"| {version} | {one.sidecars} | {sum(parts.values()):.2f} | {alone:.2f} |"
                f" {one.memory() / 1e9:.2f} GB | {shares} |"
            )
    few = [
        f"{one.name} {'met' if sum(parts.values()) <= BUDGET else '**not met**'}"
        for one, parts in zip(running, took, strict=True)
        if one.sidecars == FLEETS[0]
    ]
    lines += ["", f"Budget at {FLEETS[0]} sidecars: {BUDGET}; {', '.join(few)}."]
    lines += [f"Load {', '.join(f'{load:.1f}' for load in os.getloadavg())}."]
    with capsys.disabled():
        put("rules", lines)
