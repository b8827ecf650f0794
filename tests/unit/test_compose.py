"""compose.yaml, the Dockerfile and Grafana's provisioning: what they name is there, and fits together.

No container engine and no Grafana runs here. What each container reads is checked by the program that reads it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import built
from driftline import config
from driftline.baseline import Baseline
from driftline.cli import binaries
from driftline.dashboards import DASHBOARDS, push
from otlp_receiver import Receiver
from stack.processes import eventually

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "collector-config"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def mounts(service):
    """Yield what a service mounts from the checkout: the path here and the path there."""
    for volume in SERVICES[service].get("volumes", ()):
        here, there = volume.split(":")[:2]
        if here.startswith("."):
            yield FOLDER / here, there
        else:
            assert here in COMPOSE["volumes"]


@pytest.mark.parametrize("service", SERVICES)
def test_what_is_mounted_is_there(service):
    """Docker makes an empty folder of a file that is not there, and the container wonders."""
    for here, _ in mounts(service):
        assert here.exists(), here


@pytest.mark.parametrize("service", SERVICES)
def test_nothing_is_open_to_others(service):
    """Ports are published to this machine alone, and images are of a version."""
    described = SERVICES[service]
    assert all(port.startswith("127.0.0.1:") for port in described.get("ports", ()))
    assert "build" in described or re.search(r":v?\d+\.\d+\.\d+$", described["image"])


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose reads it")
def test_compose_reads_it():
    """Compose itself, which needs no engine for that, finds nothing wrong."""
    command = ["docker-compose", "-f", str(FOLDER / "compose.yaml"), "config", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_parts_find_each_other():
    """Each part speaks with the next where that listens."""
    settings = config.load(FOLDER / "compose" / "driftline.yaml")
    listens = {name: getattr(settings.listen, name).partition(":")[2] for name in ("grpc", "http", "metrics")}
    asked = SERVICES["collector"]["environment"]
    assert asked["SIDECAR"] == f"sidecar:{listens['grpc']}"
    assert SERVICES["service"]["environment"]["DRIFTLINE_ENDPOINT"].endswith(
        asked["COLLECTOR_HTTP"].partition(":")[2]
    )
    prometheus = yaml.safe_load((FOLDER / "compose" / "prometheus.yml").read_text())
    assert prometheus["scrape_configs"][0]["static_configs"] == [
        {"targets": [f"sidecar:{listens['metrics']}"]}
    ]
    assert asked["METRICS"].startswith(SERVICES["grafana"]["environment"]["PROMETHEUS_URL"])
    assert {"--web.enable-otlp-receiver", "--rules.alert.for-grace-period=1m"} <= {
        *SERVICES["prometheus"]["command"]
    }
    assert "--data.retention=744h" in SERVICES["alertmanager"]["command"]
    assert str(settings.state.path) in DOCKERFILE
    for path in ("/etc/driftline/baselines", "/var/lib/driftline"):
        assert any(volume.endswith(f":{path}") for volume in SERVICES["sidecar"]["volumes"])


@pytest.mark.stack("promtool")
def test_prometheus_reads_it(stack):
    """Prometheus' own tool reads configuration and rules from where the container has them."""
    done = subprocess.run(
        [binaries.need("promtool"), "check", "config", FOLDER / "compose" / "prometheus.yml"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    there = {there: here for here, there in mounts("prometheus")}
    relative = "/driftline/collector-config/compose/../../alert-rules"
    assert there[os.path.normpath(relative)].samefile(ROOT / "alert-rules")


@pytest.mark.stack("amtool")
def test_alertmanager_reads_it(stack):
    """Alertmanager's own tool finds nothing wrong."""
    file = FOLDER / "compose" / "alertmanager.yml"
    done = subprocess.run(
        [binaries.need("amtool"), "check-config", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.stack(built.COLLECTOR)
def test_the_collector_reads_it():
    """The Collector finds its configuration whole with the variables of compose.yaml."""
    program = Path(built.need(built.COLLECTOR)) / built.COLLECTOR
    done = subprocess.run(
        [program, "validate", f"--config={FOLDER / 'gateway.yaml'}"],
        env={**os.environ, **SERVICES["collector"]["environment"]},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_image_is_built_from_what_it_needs():
    """What is copied is there and not ignored; the package is built from all it names; nobody is root."""
    copied = [
        word
        for line in re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE)
        for word in line.split()
    ]
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    assert sorted(copied) == sorted(kept)
    assert all((ROOT / path).exists() for path in copied)
    named = set(
        re.findall(
            r'^(?:readme = |license-files = \[|packages = \[)"(\w+)',
            (ROOT / "pyproject.toml").read_text(),
            re.MULTILINE,
        )
    )
    assert {path.partition(".")[0] for path in copied} >= named
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert last.startswith("base AS sidecar")
    assert re.search(r"FROM \S+ AS base\n(?:(?!FROM).*\n)*USER 65532:65532\n", DOCKERFILE)
    assert {described["build"]["target"] for described in SERVICES.values() if "build" in described} <= set(
        re.findall(r" AS (\S+)", DOCKERFILE)
    )


def test_provisioning_is_what_push_makes():
    """Whoever lets files provision Grafana has the folder and the data source that a push makes."""
    (source,) = yaml.safe_load((ROOT / "dashboards/provisioning/datasources/driftline.yaml").read_text())[
        "datasources"
    ]
    assert {source["uid"], source["name"]} == {push.DATASOURCE}
    (provider,) = yaml.safe_load((ROOT / "dashboards/provisioning/dashboards/driftline.yaml").read_text())[
        "providers"
    ]
    assert provider["folderUid"] == push.FOLDER
    asked = SERVICES["grafana"]["environment"]
    assert provider["options"]["path"].strip("$") in asked
    assert source["url"].strip("$") in asked
    home = asked["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert Path(home).parent == Path(asked["DASHBOARDS"])
    assert Path(home).stem in DASHBOARDS


def test_the_service_is_served(tmp_path):
    """The service of compose.yaml writes a baseline that the sidecar takes, and its rows arrive, later ones too."""
    with Receiver() as receiver:
        process = subprocess.Popen(
            [sys.executable, FOLDER / "compose" / "service.py", tmp_path],
            env={**os.environ, "DRIFTLINE_ENDPOINT": receiver.endpoint, "SHIFT_AFTER": "0.5"},
        )
        try:
            eventually(lambda: receiver.rows() > 20, within=60)
        finally:
            process.terminate()
            assert process.wait(30) == 0
    (file,) = tmp_path.iterdir()
    baseline = Baseline.load(file)
    batch = receiver.batches[0]
    assert (batch.model, batch.version) == (baseline.model, baseline.version)
    assert set(batch.columns) >= set(baseline.features)
