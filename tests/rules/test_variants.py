"""The rules in another form: what only pages, and what an old vmalert takes."""

import runpy
import subprocess
from pathlib import Path

import pytest
import yaml

from driftline.cli import binaries

RULES = Path(__file__).parents[2] / "alert-rules"
FORMS = runpy.run_path(str(RULES / "variants.py"))


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
