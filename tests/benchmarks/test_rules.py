"""What a round of the shipped rules costs a real Prometheus: 1,000 features over 3 sidecars.

More than an hour of samples, every 15 seconds, is written as a block that ends now: nothing is
scraped, so that Prometheus' own CPU time, read before and after, is that of the rules.
"""

import os
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

from driftline.cli import binaries
from stack.processes import Children, free_ports

RULES = Path(__file__).parents[2] / "alert-rules"
MODELS, BINS = 10, 10
EVERY, BEFORE, AFTER = 15, 3900, 0


def exposition(features, sidecars, now):
    """Yield OpenMetrics text: counters of every bin at every sidecar, and what goes with them."""
    times = range(now - BEFORE, now + AFTER, EVERY)
    quiet = range(now - 120, now, 60)
    for model in range(MODELS):
        base = f'environment="prod",model="m{model}",version="1"'
        for feature in range(features):
            of = f'{base},feature="f{feature}"'
            for sidecar in range(sidecars):
                at = f'instance="s{sidecar}",job="driftline"'
                for number in range(BINS):
                    labels = f'{of},binning="a",bin="{number:02}",{at}'
                    for step, moment in enumerate(times):
                        yield f"driftline_feature_values_total{{{labels}}} {step * (number + 1)} {moment}\n"
                    for moment in quiet:
                        yield f"driftline_feature_baseline_ratio{{{labels}}} 0.1 {moment}\n"
                for moment in quiet:
                    yield f'driftline_feature_baseline_values{{{of},binning="a",{at}}} 10000 {moment}\n'
                    for fault in ("missing", "wrong_type", "out_of_range"):
                        yield f'driftline_feature_faults_total{{{of},fault="{fault}",{at}}} 0 {moment}\n'
                        yield f'driftline_feature_baseline_fault_ratio{{{of},fault="{fault}",{at}}} 0 {moment}\n'
                    for window in ("24h", "7d"):
                        yield f'driftline_feature_overdispersion{{{of},binning="a",window="{window}",{at}}} 1 {moment}\n'
                    for priority in ("P2", "P3"):
                        yield f'driftline_feature_drift_threshold{{{of},statistic="psi",priority="{priority}",{at}}} 0.1 {moment}\n'
        for sidecar in range(sidecars):
            at = f'instance="s{sidecar}",job="driftline"'
            for moment in quiet:
                yield f"driftline_predictions_total{{{base},{at}}} 1000 {moment}\n"
                yield f"driftline_model_min_rows{{{base},{at}}} 200 {moment}\n"
                yield f'driftline_model_info{{{base},owner="o",tier="1",task="t",{at}}} 1 {moment}\n'
    yield "# EOF\n"


@pytest.mark.stack("prometheus", "promtool")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("features", "sidecars"), [(100, 3)])
def test_a_round(features, sidecars, tmp_path, capsys):
    """The figure is printed; no test fails for being slow."""
    now = int(time.time())
    text = tmp_path / "samples.txt"
    with text.open("w") as file:
        file.writelines(exposition(features, sidecars, now))
    data = tmp_path / "prometheus"
    subprocess.run(
        [binaries.need("promtool"), "tsdb", "create-blocks-from", "openmetrics", text, data],
        check=True,
        capture_output=True,
    )
    text.unlink()
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    with Children(tmp_path) as children:
        config = tmp_path / "prometheus.yml"
        paths = sorted([*RULES.glob("recording/*.yml"), *RULES.glob("alerting/*.yml")])
        # the rules read what earlier rounds recorded: the first two minutes are not counted
        config.write_text(
            yaml.safe_dump({"global": {"evaluation_interval": "1m"}, "rule_files": [*map(str, paths)]})
        )
        child = children.start(
            "prometheus",
            binaries.need("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            "--query.lookback-delta=15m",  # nothing is scraped any more
            ready=f"{url}/-/ready",
        )
        time.sleep(90)
        before, began = cpu(child), time.monotonic()
        time.sleep(60)
        used, minutes = cpu(child) - before, (time.monotonic() - began) / 60
        judged = asked(url, "count(version_feature:driftline_feature_psi:training1h)")
    assert judged == MODELS * features, "what was measured is not the rules at work"
    with capsys.disabled():
        print(
            f"\n{MODELS * features:,} features of {BINS} bins, {sidecars} sidecars: {used / minutes:.2f} CPU s a round"
            f" of a minute; load {os.getloadavg()[0]:.1f}"
        )


def cpu(child):
    """Return the CPU seconds of a child and of what it became."""
    fields = Path(f"/proc/{child.process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def asked(url, expression):
    query = urllib.parse.urlencode({"query": expression})
    with urllib.request.urlopen(f"{url}/api/v1/query?{query}") as answer:
        found = yaml.safe_load(answer.read())["data"]["result"]
    return float(found[0]["value"][1]) if found else None
