"""The rules in another form: what only pages, and what an old vmalert takes; on the real ones."""

import json
import math
import re
import runpy
import subprocess
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

import built
from driftline.cli import binaries
from stack.processes import Children, eventually, free_ports

RULES = Path(__file__).parents[2] / "alert-rules"
FORMS = runpy.run_path(str(RULES / "variants.py"))
VICTORIA = pytest.mark.stack(*built.VICTORIA)


def written(form, folder):
    for name, text in FORMS[form]().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def rules(folder, kind="alert"):
    return {
        rule[kind]: rule
        for kept in ("recording", "alerting")
        for path in sorted((folder / kept).glob("*.yml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if kind in rule
    }


class TestStarter:
    """What only pages."""

    def test_what_is_left(self, tmp_path):
        """Every alert that can be P1 or P2, and the watchdog; each says what it said."""
        full = rules(RULES)
        left = rules(written("starter", tmp_path))
        pages = {
            name
            for name, rule in full.items()
            if rule["labels"].get("priority") in ("P1", "P2")
            or ("priority" not in rule["labels"] and '"P2"' in rule["expr"])
        }
        assert set(left) == pages | {"DriftlineWatchdog"}
        for name, rule in left.items():
            assert {**rule, "expr": ""} == {**full[name], "expr": ""}

    @pytest.mark.stack("promtool")
    @pytest.mark.parametrize(
        "name", ["ModelErrorRatioHigh", "ModelVolumeLow", "ModelFeatureFaults", "ModelBudgetBurnFast"]
    )
    def test_what_fires(self, name, tmp_path):
        """Of the rules' own tests all that pages fires as before, and no ticket does."""
        folder = written("starter", tmp_path / "alert-rules")
        (folder / "recording").symlink_to(RULES / "recording")
        document = yaml.safe_load((Path(__file__).parent / f"{name}.yml").read_text())
        document["rule_files"] = [file.removeprefix("../../") for file in document["rule_files"]]
        before = after = 0
        for test in document["tests"]:
            test.pop("promql_expr_test", None)
            for case in test["alert_rule_test"]:
                paging = [one for one in case["exp_alerts"] if one["exp_labels"]["priority"] in ("P1", "P2")]
                before, after = before + len(case["exp_alerts"]), after + len(paging)
                case["exp_alerts"] = paging
        assert 0 < after <= before
        (tmp_path / "test.yml").write_text(yaml.safe_dump(document))
        done = subprocess.run(
            [binaries.need("promtool"), "test", "rules", "test.yml"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


class TestVmalert:
    """What a vmalert takes that knows no ``keep_firing_for``."""

    def test_nothing_else_is_lost(self, tmp_path):
        """The rules are those of Prometheus, less one key."""
        folder = written("vmalert", tmp_path)
        for kind in ("alert", "record"):
            full = rules(RULES, kind)
            for name, rule in rules(folder, kind).items():
                assert rule == {
                    key: value for key, value in full.pop(name).items() if key != "keep_firing_for"
                }
            assert not full

    @VICTORIA
    @pytest.mark.timeout(180)
    def test_on_victoriametrics(self, tmp_path):
        """Vmalert takes every file, VictoriaMetrics every expression, and the fleet's PSI is that of the pooled rows."""
        folder = written("vmalert", tmp_path / "rules")
        vmalert = Path(built.folder("vmalert")) / "vmalert"
        checked = subprocess.run(
            [vmalert, "-dryRun", f"-rule={folder}/*/*.yml"], capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stderr
        (port,) = free_ports(1)
        url = f"http://127.0.0.1:{port}"
        with Children(tmp_path) as children:
            children.start(
                "victoria-metrics",
                vmalert.with_name("victoria-metrics"),
                f"-storageDataPath={tmp_path / 'data'}",
                f"-httpListenAddr=127.0.0.1:{port}",
                "-search.latencyOffset=0s",
                "-search.disableCache",
                ready=f"{url}/health",
            )
            ends = int(time.time()) // 60 * 60
            post(url, fed(ends))
            chain = tmp_path / "chain.yml"
            chain.write_text(rules_for_psi(folder / "recording" / "drift.yml"))
            # That a name has no series VictoriaMetrics remembers for ten seconds: of new rules in a chain each
            # begins ten seconds after the one it reads.
            eventually(lambda: get(url, "driftline_feature_values_total", ends)["data"]["result"])
            subprocess.run(
                [vmalert, f"-rule={chain}", f"-datasource.url={url}", f"-remoteWrite.url={url}",
                 f"-replay.timeFrom={moment(ends - 600)}", f"-replay.timeTo={moment(ends)}",
                 "-replay.rulesDelay=11s", "-remoteWrite.flushInterval=50ms"],
                capture_output=True, check=True,
            )  # fmt: skip
            for name, rule in {**rules(folder), **rules(folder, "record")}.items():
                assert get(url, rule["expr"])["status"] == "success", name
            found = eventually(lambda: get(url, PSI_SERIES, ends)["data"]["result"])
        assert float(found[0]["value"][1]) == pytest.approx(PSI, abs=1e-3)
        assert found[0]["metric"]["feature"] == "amount"
        assert len(found) == 1


PSI_SERIES = "version_feature:driftline_feature_psi:training1h"
# 60 and 80 of a hundred at two sidecars, half and half in training: pooled 8,400 and 3,600 of 12,000
SHARE = (8400 + 10 * 0.5) / (12_000 + 10)
PSI = (SHARE - 0.5) * math.log(SHARE / 0.5) + (0.5 - SHARE) * math.log((1 - SHARE) / 0.5)


def fed(ends):
    of = 'environment="prod",model="fraud",version="1",feature="amount",binning="a"'
    lines = []
    for step in range(121):
        at = (ends - (120 - step) * 60) * 1000
        for sidecar, share in (("s1", 0.6), ("s2", 0.8)):
            for bin_, part in (("00", share), ("01", 1 - share)):
                labels = f'{of},bin="{bin_}",instance="{sidecar}"'
                lines.append(f"driftline_feature_values_total{{{labels}}} {step * 100 * part} {at}")
                lines.append(f"driftline_feature_baseline_ratio{{{labels}}} 0.5 {at}")
    return "\n".join(lines) + "\n"


def rules_for_psi(path):
    """Return the rules of a file up to the first PSI, as a file."""
    group = yaml.safe_load(path.read_text())["groups"][0]
    names = [rule["record"] for rule in group["rules"]]
    return yaml.safe_dump({"groups": [{**group, "rules": group["rules"][: names.index(PSI_SERIES) + 1]}]})


def moment(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def post(url, text):
    urllib.request.urlopen(f"{url}/api/v1/import/prometheus", text.encode()).close()


def get(url, expression, at=None):
    asked = {"query": re.sub(r"\s+", " ", expression), **({"time": at} if at else {})}
    with urllib.request.urlopen(f"{url}/api/v1/query", urllib.parse.urlencode(asked).encode()) as answer:
        return json.load(answer)
