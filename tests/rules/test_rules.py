"""The shipped rules: what promtool says of them, and that no alert comes without the rest of it."""

import re
import runpy
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from driftline import names
from driftline.cli import binaries
from driftline.cli.timescale import scaled
from driftline.config import parse_duration

ROOT = Path(__file__).parents[2]
RULES = ROOT / "alert-rules"
FILES = sorted([*RULES.glob("recording/*.yml"), *RULES.glob("alerting/*.yml")])
UNIT_TESTS = sorted(Path(__file__).parent.glob("*.yml"))
PROMTOOL = pytest.mark.stack("promtool")
budgets = runpy.run_path(str(RULES / "slo" / "generate.py"))["rules"]


def rules(kind):
    return {
        rule[kind]: rule
        for file in FILES
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        if kind in rule
    }


def series_in(text):
    """Return the names of driftline's series in PromQL, of a histogram's parts the histogram's."""
    read = re.findall(r"[a-z_]+:driftline_\w+:\w+|(?<![\w:])driftline_\w+", text)
    return {re.sub("(?:(?<=_seconds)|(?<=_ratio))_(bucket|sum|count)$", "", name) for name in read}


def expanded(expression):
    """Return *expression* and those of all the recorded series that it reads, and of those that they read."""
    text, waiting, known = expression, [expression], set()
    while waiting:
        for name in series_in(waiting.pop()) & RECORDED.keys() - known:
            known.add(name)
            waiting.append(RECORDED[name]["expr"])
            text += "\n" + RECORDED[name]["expr"]
    return text


ALERTS = rules("alert")
RECORDED = rules("record")
WATCHDOG = "DriftlineWatchdog"


def promtool(*arguments, folder=RULES):
    done = subprocess.run(
        [binaries.need("promtool"), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@PROMTOOL
@pytest.mark.parametrize("file", UNIT_TESTS, ids=lambda file: file.stem)
def test_promtool_unit_test(file):
    """Everything that the promtool unit test of this name says of the rules is true."""
    promtool("test", "rules", file.name, folder=file.parent)


@PROMTOOL
def test_example_configuration():
    """The example prometheus.yml and all the rule files it names are valid."""
    promtool("check", "config", "prometheus.yml")


@PROMTOOL
@pytest.mark.parametrize("factor", [60, 720, 86_400])
def test_scaled_rules_are_rules(factor, tmp_path):
    """However fast the clock of the demo runs, what it loads is still valid."""
    for file in FILES:
        (tmp_path / file.name).write_text(scaled(file.read_text(), factor))
    promtool("check", "rules", *(file.name for file in FILES), folder=tmp_path)


def test_scaling_misses_no_duration():
    """No shipped duration is left as it was: scaled beyond all bounds, every one of them is a second, a range three."""
    for file in FILES:
        text = re.sub(r"#.*", "", scaled(file.read_text(), 1e9))
        expressions = re.sub(r"annotations:(\n {10,}.*)+", "", text)
        assert set(re.findall(r"(?<![\w.:])\d+(?:ms|[smhdwy])\b", expressions)) <= {"1s", "3s"}, file.name


def test_no_names_twice():
    """A series is recorded by one rule, and an alert has one rule: two would disagree."""
    found = [
        rule.get("record") or rule["alert"]
        for file in FILES
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
    ]
    assert sorted(found) == sorted({*ALERTS, *RECORDED})


def test_rules_read_what_is_there():
    """Every series a rule reads is one the sidecar has, one a rule records, or Prometheus' own ``up``."""
    exported = {series.name for series in vars(names).values() if isinstance(series, names.Series)}
    for name, rule in {**ALERTS, **RECORDED}.items():
        text = rule["expr"] + rule.get("annotations", {}).get("description", "")
        assert series_in(text) <= exported | set(RECORDED), name


ROUNDS = {
    rule["record"]: parse_duration(group["interval"])
    for file in FILES
    for group in yaml.safe_load(file.read_text())["groups"]
    for rule in group["rules"]
    if "record" in rule
}
LOOKBACK = 300  # of an instant query, in seconds


def reads(text):
    """Yield each recorded series that PromQL reads, and the range over which, in seconds; None for an instant."""
    for name, over in re.findall(r"([a-z_]+:driftline_\w+:\w+)(?:\{[^}]*\})?(?:\[(\w+)[\]:])?", text):
        if name in ROUNDS:
            yield name, parse_duration(over) if over else None


def test_a_missed_round_is_bridged():
    """What is recorded every four minutes or less often is read by other groups over a range that holds two rounds.

    A Prometheus that restarts may miss one, an instant query looks back five minutes, and for want of a single
    series all that fires of a model would end, and fire anew after its `for`.
    """
    slow = 0
    for file in FILES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            every = parse_duration(group["interval"])
            own = {rule.get("record") for rule in group["rules"]}
            for rule in group["rules"]:
                for text in (rule["expr"], *rule.get("annotations", {}).values()):
                    for name, over in reads(text):
                        if name not in own and ROUNDS[name] > (120 if every <= 120 else 240):
                            slow += 1
                            assert over is not None, (rule, name)
                            assert over >= 2 * ROUNDS[name], (rule, name)
    assert slow > 20, "no rule reads what is slow?"


def test_what_has_ended_is_not_kept_in_sight():
    """What is judged by a slow group is 0 where it is not so: absent, a quick group would find the last round's for two more."""
    judged = {name: rule for name, rule in RECORDED.items() if "_significant_slow:" in name}
    assert len(judged) == 4
    for name, rule in judged.items():
        compared = re.findall(r"[<>]=?(?: bool)?", rule["expr"])
        assert compared, name
        assert all(each.endswith(" bool") for each in compared), name
        # When nothing comes any more; a week ends slowly. A comparison alone keeps its name: a backfill finds two series.
        assert re.search(r"or\n0 \* \(.* == 0\)", rule["expr"]) or name.endswith(":training7d"), name
        quick = RECORDED[name.replace("_slow", "")]["expr"]
        assert re.fullmatch(rf"last_over_time\({name}\[\w+\]\) > 0", quick.strip()), quick


def test_what_is_slow_is_seen():
    """A panel or a runbook reads what is recorded less often than an instant query looks back over two rounds, too."""
    texts = [*(RULES / "runbooks").glob("*.md"), *(ROOT / "dashboards").glob("*.json")]
    slow = 0
    for file in texts:
        for name, over in reads(file.read_text().replace("\\", "")):
            if ROUNDS[name] > LOOKBACK:
                slow += 1
                assert over is not None, (file.name, name)
                assert over >= 2 * ROUNDS[name], (file.name, name)
    assert slow > 10, "nobody looks at what is slow?"


def test_a_share_is_of_one_moment():
    """What a share of an hour divides is recorded in one group: two would look at two moments.

    Of a batch that has just come, the faults would be counted and the values not yet, and all would be faults.
    """
    found = 0
    for file in FILES:
        for group in yaml.safe_load(file.read_text())["groups"]:
            own = {rule.get("record") for rule in group["rules"]}
            for rule in group["rules"]:
                if re.fullmatch(r"\w+:driftline_\w+(faults_slow|errors):ratio1h", rule.get("record", "")):
                    found += 1
                    assert {name for name, _ in reads(rule["expr"])} <= own, rule
    assert found == 3, "faults of a feature, errors of a version and of a model"


def test_alerts_about_models_read_nothing_that_one_sidecar_knows():
    """What only one sidecar knows tells of driftline itself alone; its counters add up, and nothing else is added up."""
    for name, rule in {**ALERTS, **RECORDED}.items():
        local = {series for series in names.LOCAL_SERIES if series.name in series_in(rule["expr"])}
        assert not local or name.startswith("Driftline"), name
        alone = not re.search(r"\b(sum|avg|min|max|count|group|quantile) ", rule["expr"])
        assert alone or {series.kind for series in local} <= {"counter"}, name


@pytest.mark.parametrize("alert", ALERTS)
class TestAlert:
    """What every alert has, whatever it says."""

    def test_labels(self, alert):
        """It can be routed: a severity that the stack knows, a category, an owner, a priority."""
        labels, expr = ALERTS[alert]["labels"], ALERTS[alert]["expr"]
        assert labels["severity"] in {"critical", "warning", "info", "none"}
        assert labels["category"] in {
            "drift", "quality", "performance", "volume", "upstream", "availability", "telemetry", "slo", "change"
        }  # fmt: skip
        of_driftline = alert.startswith("Driftline")
        of_its_model = "group_left (owner, tier) model:driftline_model_owner:info" in expr
        assert labels.get("owner") == (None if of_its_model else "driftline")
        assert of_its_model or of_driftline
        assert not (of_its_model and of_driftline) or '"owner", "driftline"' in expr, "what is of no model"
        if labels["severity"] != "none":
            assert "priority" in labels or re.search(r'"?priority(=|", )"P[1-4]"', expr)
        assert not any("$value" in value for value in labels.values())

    def test_annotations(self, alert):
        """A phone can show it: a summary that is a sentence, a description, two links."""
        annotations = ALERTS[alert]["annotations"]
        assert set(annotations) == {"summary", "description", "runbook_url", "dashboard_url"}
        assert "{{" not in annotations["summary"]
        assert annotations["summary"].endswith(".")
        assert len(annotations["summary"]) <= 60, "with model, environment and feature the title of a message"
        assert "humanize " not in annotations["description"], "prints 0.4 as 400m"
        assert "\n" not in "".join(annotations.values()).strip()

    def test_since(self, alert):
        """Its text says since when: a moment, or for how long; the watchdog has no beginning."""
        text = ALERTS[alert]["annotations"]["description"]
        moment = f'ALERTS_FOR_STATE{{alertname=\\"{alert}\\"'
        assert (
            (moment in text and " Since {{" in text)
            or "$value | humanizeDuration" in text
            or alert == WATCHDOG
        )

    def test_patience(self, alert):
        """It waits for a second evaluation at least; and no share of a few rows is one."""
        assert "for" in ALERTS[alert] or alert == WATCHDOG
        read = expanded(ALERTS[alert]["expr"])
        guarded = re.search(r">=\s+\d|min_rows|> on \(environment, model\) group_left \(\) 0.01", read)
        assert guarded or not re.search(r"\s/\s", read) or alert == "ModelRolloutInProgress", (
            "a hint, no verdict"
        )

    def test_digest(self, alert):
        """What goes into the digest fires for a day at least, or no digest may hold it; what ages or counts weeks does so anyway.

        But for a rollout: it holds tickets about drift, and is not to hold them for longer.
        """
        if ALERTS[alert]["labels"].get("priority") == "P4" and alert != "ModelRolloutInProgress":
            kept = parse_duration(ALERTS[alert].get("keep_firing_for", "1s"))
            assert kept >= 86_400 or re.search(r"> 180 \* 86400|ends14d >=", ALERTS[alert]["expr"])

    def test_runbook(self, alert):
        """Its link leads to a runbook in this repository, which says the same things in the same order."""
        path = urlsplit(ALERTS[alert]["annotations"]["runbook_url"]).path
        assert path == f"/driftline/driftline/blob/main/alert-rules/runbooks/{alert}.md"
        text = (RULES / "runbooks" / f"{alert}.md").read_text()
        assert text.startswith(f"# {alert}\n")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
            "What it means", "Confirm", "Likely causes, in order", "Do", "Do not", "Who decides"
        ]  # fmt: skip

    def test_unit_test(self, alert):
        """A promtool unit test of its own names every alert, and what it says when it fires."""
        tests = yaml.safe_load((Path(__file__).parent / f"{alert}.yml").read_text())["tests"]
        fired = [case for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]]
        assert {case["alertname"] for case in fired} == {alert}
        assert all(expected["exp_annotations"] for case in fired for expected in case["exp_alerts"])
        silent = [case for test in tests for case in test["alert_rule_test"] if not case["exp_alerts"]]
        assert silent or alert == WATCHDOG, "it is silent before"
        instances = {
            found
            for test in tests
            for one in test["input_series"]
            for found in re.findall(r'instance="(\w+)', one["series"])
        }
        assert len(instances) > 1 or alert in (WATCHDOG, "DriftlineAlertNoisy"), (
            "two sidecars, or what reads none"
        )


@PROMTOOL
@pytest.mark.parametrize("alert", ALERTS)
def test_runbook_queries(alert, tmp_path):
    """Every query of a runbook is PromQL, of series that are there."""
    text = (RULES / "runbooks" / f"{alert}.md").read_text()
    queries = re.findall(r"```promql\n(.*?)```", text, re.DOTALL)
    assert len(queries) == 3
    found = [{"record": f"query:{n}:x", "expr": query} for n, query in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "runbook", "rules": found}]}))
    promtool("check", "rules", "queries.yml", folder=tmp_path)
    exported = {series.name for series in vars(names).values() if isinstance(series, names.Series)}
    assert series_in(" ".join(queries)) <= exported | set(RECORDED)
    for query in queries:
        sides = re.split(r"\bor\b", query)
        # `or` goes by labels and not by name: of two series of one model it shows the first alone
        counted = sides[0].count("(") > sides[0].count(")")
        assert len(sides) == 1 or counted or all("label_replace(" in side for side in sides), query


def test_the_readme_lists_every_alert():
    """Its table has a line for every alert, with its priority."""
    lines = re.findall(
        r"^\| `((?:Model|Driftline)\w+)` \| .* \|(.*)\|$", (RULES / "README.md").read_text(), re.MULTILINE
    )
    assert {name for name, _ in lines} == set(ALERTS)
    for name, told in lines:
        labels, expr = ALERTS[name]["labels"], ALERTS[name]["expr"]
        given = {labels["priority"]} if "priority" in labels else set(re.findall(r"P[1-4]", expr))
        assert set(re.findall(r"P[1-4]", told)) == (given if name != WATCHDOG else set()), name


def test_no_runbook_without_its_alert():
    """What is left of an alert that is gone misleads whoever finds it."""
    assert {path.stem for path in (RULES / "runbooks").glob("*.md")} == set(ALERTS)


class TestErrorBudgets:
    """The rules that ``slo/generate.py`` writes from ``slo/slo.yaml``."""

    def test_generated(self):
        """What is shipped is what the script makes of the shipped objectives."""
        slos = yaml.safe_load((RULES / "slo" / "slo.yaml").read_text())
        assert (RULES / "recording" / "slo.yml").read_text() == budgets(slos)

    @PROMTOOL
    def test_exceptions(self, tmp_path):
        """A model may have an objective of its own, whatever its name, and one objective may be all there is."""
        slos = {"latency": {"objective": 99, "seconds": 3, "tiers": ["1", "2"], "models": {'a "b"': 95}}}
        (tmp_path / "slo.yml").write_text(budgets(slos))
        promtool("check", "rules", "slo.yml", folder=tmp_path)
        (budget,) = [
            rule["expr"]
            for rule in yaml.safe_load(budgets(slos))["groups"][0]["rules"]
            if rule["record"] == "model:driftline_slo_budget:ratio"
        ]
        assert "0.05 * " in budget
        assert budget.index("0.05 * ") < budget.index("0.01 * "), "the first of an `or` holds"
        assert '{tier=~"1|2"}' in budget

    @pytest.mark.parametrize(
        ("slos", "fault"),
        [
            (None, "slo.yaml: has no objective, may have availability, latency, schema"),
            ({"uptime": {}}, "slo.yaml: has uptime, may have"),
            ({"schema": {}}, "slo.yaml: schema has nothing, may have models, objective, tiers"),
            (
                {"schema": {"objective": 99, "seconds": 1}},
                "slo.yaml: schema has objective, seconds, may have",
            ),
            ({"schema": {"objective": 100}}, "slo.yaml: schema.objective: 100 is not between"),
            (
                {"schema": {"objective": 99, "models": {"m": "95"}}},
                "slo.yaml: schema.models.m: '95' is not between",
            ),
            ({"latency": {"objective": 99, "seconds": 0.3}}, "slo.yaml: latency.seconds: 0.3 is no bound"),
            ({"latency": {"objective": 99}}, "slo.yaml: latency.seconds: None is no bound"),
        ],
    )
    def test_faults(self, slos, fault):
        """What cannot be kept or measured is refused, and what may stand there is said."""
        with pytest.raises(ValueError, match=f"^{re.escape(fault)}"):
            budgets(slos)
