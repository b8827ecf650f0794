"""``driftline kubernetes``: what it writes is what Kubernetes and the Prometheus operator take, and starts a sidecar."""

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
import yaml

from driftline import config
from driftline.cli import main
from driftline.dashboards import DASHBOARDS
from driftline.sidecar.baselines import Baselines
from watched import baseline

ROOT = Path(__file__).parents[2]
SETTINGS = """
environment: prod
listen: {grpc: "0.0.0.0:4327", http: "0.0.0.0:4328", metrics: "0.0.0.0:9477", insecure: true}
models: {fraud: {owner: payments}}
"""
RULE = {"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"}
DURATION = r"(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "driftline.yaml").write_text(SETTINGS)
    (tmp_path / "baselines").mkdir()
    baseline().save(tmp_path / "baselines")
    return tmp_path


@pytest.fixture
def written(folder, capsys):
    """Return what is written, by kind and name."""
    return write(folder, capsys)


def write(folder, capsys):
    command = ["kubernetes", "--config", str(folder / "driftline.yaml"), "--image", "registry/driftline:1"]
    assert main([*command, "--namespace", "ml", "--label", "release=prom"]) == 0
    resources = list(yaml.safe_load_all(capsys.readouterr().out))
    found = {(one["kind"], one["metadata"]["name"]): one for one in resources}
    assert len(found) == len(resources), "a name twice would overwrite the first"
    return found


def test_every_resource_is_named_and_labelled(written):
    """Names are Kubernetes' own form; all are in one namespace and carry what Prometheus selects by."""
    for one in written.values():
        meta = one["metadata"]
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", meta["name"])
        assert meta["namespace"] == "ml"
        assert meta["labels"]["release"] == "prom"
        assert one["apiVersion"]


def test_rules_are_the_shipped_ones(written):
    """Every shipped rule is in a PrometheusRule, in the form of its definition: strings, durations, known fields."""
    groups = [
        g for (kind, _), one in written.items() if kind == "PrometheusRule" for g in one["spec"]["groups"]
    ]
    shipped = [
        group
        for file in ROOT.glob("alert-rules/*ing/*.yml")
        for group in yaml.safe_load(file.read_text())["groups"]
    ]
    assert sorted(groups, key=lambda g: g["name"]) == sorted(shipped, key=lambda g: g["name"])
    for group in groups:
        assert set(group) <= {"name", "interval", "rules", "query_offset"}
        assert re.fullmatch(DURATION, group["interval"])
        for rule in group["rules"]:
            assert set(rule) <= RULE
            assert all(re.fullmatch(DURATION, rule[key]) for key in ("for", "keep_firing_for") if key in rule)
            texts = [*rule.get("labels", {}).values(), *rule.get("annotations", {}).values(), rule["expr"]]
            assert all(isinstance(text, str) for text in texts)


def test_dashboards_are_all_there(written):
    """Each dashboard is a ConfigMap of its own, with the label that Grafana's sidecar looks for."""
    for uid, dashboard in DASHBOARDS.items():
        one = written["ConfigMap", uid]
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(one["data"][f"{uid}.json"]) == dashboard


def test_keys_of_config_maps(written):
    """A ConfigMap takes no @ in a key, and baselines have one in their names; none is too large to be applied."""
    for (kind, _), one in written.items():
        if kind == "ConfigMap":
            assert all(re.fullmatch(r"[-._a-zA-Z0-9]+", key) for key in one["data"])
            assert sum(map(len, one["data"].values())) < 1 << 20


def test_the_sidecar_finds_what_is_mounted(written, tmp_path_factory):
    """Laid out as the container mounts it, the configuration is good and its baselines are found."""
    settings = laid_out(written, tmp_path_factory.mktemp("container"))
    found = Baselines.load(settings.baselines)
    assert [(b.model, b.version, b.id) for b in found.all] == [("fraud", "1", baseline().id)]
    assert settings.state.path.is_dir(), "the volume that may be written"


def test_baselines_of_several_folders(folder, capsys, tmp_path_factory):
    """Each is where the configuration says, though two have one name."""
    for version in "23":
        other = folder / f"other{version}"
        other.mkdir()
        baseline(version).save(other)
        next(other.iterdir()).rename(other / "fraud.baseline.json")
    given = 'baselines: ["baselines/", "other2/fraud.baseline.json", "other3"]'
    (folder / "driftline.yaml").write_text(f"{SETTINGS}{given}\n")
    settings = laid_out(write(folder, capsys), tmp_path_factory.mktemp("container"))
    assert [b.version for b in Baselines.load(settings.baselines).all] == ["1", "2", "3"]


def laid_out(written, root):
    """Lay out in *root* what the container mounts; return the configuration as it reads it."""
    pod = written["StatefulSet", "driftline"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for mount in container["volumeMounts"]:
        there = root / mount["mountPath"].lstrip("/")
        volume = volumes.get(mount["name"], {})
        sources = [volume["configMap"]] if "configMap" in volume else []
        sources += [source["configMap"] for source in volume.get("projected", {}).get("sources", ())]
        data = {}
        for source in sources:
            held = written["ConfigMap", source["name"]]["data"]
            items = source.get("items") or [{"key": key, "path": key} for key in held]
            data |= {item["path"]: held[item["key"]] for item in items}
        if "subPath" in mount:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.write_text(data[mount["subPath"]])
        else:
            there.mkdir(parents=True)
            for key, text in data.items():
                (there / key).write_text(text)
    return config.load(root / container["args"][-1].lstrip("/"))


@pytest.mark.parametrize("baselines", [[], ["baselines/fraud@1.baseline.json"]])
def test_a_baseline_keeps_its_name(tmp_path, capsys, baselines):
    """Names that Kubernetes would have read alike stay two, and a file named by the settings is where they say."""
    made = [baseline(version) for version in ("1", "1.0", "1-0", "v", "V", "\u0431")]
    (tmp_path / "baselines").mkdir()
    for one in made:
        one.save(tmp_path / "baselines")
    path = tmp_path / "driftline.yaml"
    path.write_text(SETTINGS + (f"baselines: {json.dumps(baselines)}\n" if baselines else ""))
    assert main(["kubernetes", "--config", str(path), "--image", "x"]) == 0
    written = [*yaml.safe_load_all(capsys.readouterr().out)]
    maps = {one["metadata"]["name"]: one["data"] for one in written if one["kind"] == "ConfigMap"}
    (pod,) = (one["spec"]["template"]["spec"] for one in written if one["kind"] == "StatefulSet")
    sources = next(volume for volume in pod["volumes"] if volume["name"] == "baselines-0")["projected"][
        "sources"
    ]
    for source in sources:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", source["configMap"]["name"])
    mounted = {
        item["path"]: json.loads(maps[source["configMap"]["name"]][item["key"]])["id"]
        for source in sources
        for item in source["configMap"]["items"]
    }
    wanted = made[:1] if baselines else made
    assert mounted == {f"fraud@{quote(b.version)}.baseline.json": b.id for b in wanted}


def test_prometheus_finds_the_sidecar(written):
    """The monitor selects the service, the service the pod; the job is the one DriftlineSidecarDown watches."""
    service, pods = written["Service", "driftline"], written["StatefulSet", "driftline"]["spec"]["template"]
    monitor = written["ServiceMonitor", "driftline"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["spec"]["selector"].items() <= pods["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["honorLabels"] is True
    ports = {port["name"]: port["containerPort"] for port in pods["spec"]["containers"][0]["ports"]}
    assert ports == {"grpc": 4327, "http": 4328, "metrics": 9477}
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert pods["spec"]["securityContext"]["runAsNonRoot"]


def test_other_settings_start_the_sidecar_again(folder, capsys):
    """They are read at its start alone, and a cluster starts a pod again whose template is another; baselines are watched."""

    def template():
        return write(folder, capsys)["StatefulSet", "driftline"]["spec"]["template"]

    before = template()
    baseline(ignore=["member"]).save(folder / "baselines")
    assert template() == before
    (folder / "driftline.yaml").write_text(SETTINGS.replace("payments", "payments, retired: true"))
    assert template() != before


@pytest.mark.parametrize("name", ["app.kubernetes.io/name", "release"])
def test_a_label_breaks_no_selector(folder, capsys, name):
    """Whatever Prometheus selects by is on what it selects, and the monitor still finds the service."""
    command = ["kubernetes", "--config", str(folder / "driftline.yaml"), "--image", "x", "--label"]
    assert main([*command, f"{name}=theirs"]) == 0
    made = {one["kind"]: one for one in yaml.safe_load_all(capsys.readouterr().out)}
    for kind in ("ServiceMonitor", "PrometheusRule", "ConfigMap"):
        assert made[kind]["metadata"]["labels"][name] == "theirs"
    wanted = made["ServiceMonitor"]["spec"]["selector"]["matchLabels"].items()
    assert wanted <= made["Service"]["metadata"]["labels"].items()
    pods = made["StatefulSet"]["spec"]
    assert made["Service"]["spec"]["selector"] == pods["selector"]["matchLabels"]
    assert made["Service"]["spec"]["selector"].items() <= pods["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("settings", "options", "says"),
    [
        (
            "environment: prod",
            [],
            "driftline.yaml: listen.grpc: no other pod reaches 127.0.0.1, write 0.0.0.0",
        ),
        (
            SETTINGS.replace("insecure: true", "token_file: t"),
            [],
            "listen: tls and token_file need your secrets mounted",
        ),
        (SETTINGS + "\nnope: 1", [], "nope: is no setting of this release"),
        (SETTINGS, ["--label", "release"], '--label: "release" is no label'),
    ],
)
def test_what_would_not_run_is_refused(folder, settings, options, says, capsys):
    """What a pod could not do is said here, not found in its log."""
    (folder / "driftline.yaml").write_text(settings)
    assert main(["kubernetes", "--config", str(folder / "driftline.yaml"), "--image", "x", *options]) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.out == ""


def test_baselines_that_the_sidecar_would_refuse(folder, capsys):
    """Two for one version, and a file that is named and not there, would end every start of the pod."""
    command = ["kubernetes", "--config", str(folder / "driftline.yaml"), "--image", "x"]
    (first,) = (folder / "baselines").iterdir()
    (folder / "baselines" / "again.json").write_bytes(first.read_bytes())
    assert main(command) == 2
    assert "both are for model fraud, version 1" in capsys.readouterr().err
    (folder / "driftline.yaml").write_text(SETTINGS + "baselines: [absent.json]\n")
    assert main(command) == 2
    assert "absent.json" in capsys.readouterr().err


def test_a_baseline_that_cannot_be_read(folder, capsys):
    """A broken baseline stops it, by name."""
    (folder / "baselines" / "broken.json").write_text("{")
    assert main(["kubernetes", "--config", str(folder / "driftline.yaml"), "--image", "x"]) == 2
    assert "broken.json" in capsys.readouterr().err
