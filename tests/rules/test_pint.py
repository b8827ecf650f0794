"""The configuration of pint, which could not be had here: it says what pint's source can read, and the rules are as it demands.

What pint itself finds in them, nobody has seen: these tests stand for no run of it.
"""

import json
import re

import hcl2
import pytest
import yaml

from driftline.config import parse_duration
from rules.test_rules import ALERTS, FILES, PROMTOOL, RECORDED, ROOT, promtool

FILE = ROOT / ".pint.hcl"

CHECKS = {
    "alerts": "absent annotation comparison count external_labels for template",
    "group": "interval",
    "labels": "conflict",
    "promql": "aggregate counter features fragile impossible nan offset range_query rate regexp selector series syntax"
    " vector_matching",
    "query": "cost",
    "rule": "dependency duplicate for label link name reject report",
}
"""The checks that pint may be told of, from ``CheckNames`` in its internal/checks/base.go; any other name is an error."""

MATCH = dict.fromkeys(("path", "name", "kind", "for", "keep_firing_for", "command", "state"))
DEMAND = dict.fromkeys(("token", "value", "values", "required", "comment", "severity"))
SELECTOR = dict.fromkeys(("requiredLabels", "comment", "severity"))
BLOCKS = {
    "parser": dict.fromkeys(("include", "exclude", "relaxed", "schema", "names")),
    "ci": dict.fromkeys(("baseBranch", "maxCommits")),
    "checks": dict.fromkeys(("enabled", "disabled")),
    "rule": {
        **dict.fromkeys(("enable", "disable", "locked")),
        "match": MATCH,
        "ignore": MATCH,
        "for": dict.fromkeys(("min", "max", "comment", "severity")),
        "label *": DEMAND,
        "annotation *": DEMAND,
        "name *": dict.fromkeys(("comment", "severity")),
        "aggregate *": dict.fromkeys(("keep", "strip", "comment", "severity")),
        "selector *": SELECTOR,
        "call *": {"selector *": SELECTOR},
    },
}
"""The blocks that this configuration is made of and what each may hold, from the ``hcl`` tags in pint's internal/config:
``*`` is a block's label, None an attribute. pint does not start on any other."""


def plain(value):
    """Return what the parser read, without its own additions: keys and texts in quotes, blocks as lists of one."""
    if isinstance(value, dict):
        return {key.strip('"'): plain(kept) for key, kept in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [plain(kept) for kept in value]
    return value.strip('"') if isinstance(value, str) else value


@pytest.fixture(scope="module")
def configuration():
    return plain(hcl2.loads(FILE.read_text()))


@pytest.fixture(scope="module")
def off(configuration):
    """Return of which rules each check is off: what the block matches."""
    return {check: rule["match"][0] for rule in configuration["rule"] for check in rule.get("disable", ())}


def demanding(configuration, kind, demand):
    """Return the block that demands something of all rules of *kind*, and which of them it passes over."""
    (rule,) = [rule for rule in configuration["rule"] if rule["match"] == [{"kind": kind}] and demand in rule]
    return rule, [ignored["name"] for ignored in rule.get("ignore", ())]


def labelled(block, kind):
    return {name: body for found in block.get(kind, ()) for name, body in found.items()}


def matches(pattern, text):
    """Return whether pint sees *pattern* in *text*: it writes ^ and $ around, and no parentheses."""
    return bool(re.search(f"^{pattern}$", text))


def unknown(body, grammar, at=""):
    """Return the paths of what *grammar* does not have."""
    found = []
    for key, value in body.items():
        if key in grammar:
            inner = value if isinstance(grammar[key], dict) else []
            found += [path for block in inner for path in unknown(block, grammar[key], f"{at}{key}.")]
        elif f"{key} *" in grammar:
            blocks = [block for one in value for block in one.values()]
            found += [path for block in blocks for path in unknown(block, grammar[f"{key} *"], f"{at}{key}.")]
        else:
            found.append(at + key)
    return found


def test_pint_would_start(configuration):
    """No block, attribute or check is named that pint does not know."""
    assert unknown(configuration, BLOCKS) == []
    known = {f"{room}/{name}" for room, names in CHECKS.items() for name in names.split()}
    assert {check for rule in configuration["rule"] for check in rule.get("disable", ())} <= known


def test_unknown_is_found(configuration):
    """The test above does find what pint would refuse, at any depth."""
    (ci,) = configuration["ci"]
    rule = {"match": [{"kinds": "alerting"}], "call": [{"absent": {"selector": [{".+": {"labels": []}}]}}]}
    told = {**configuration, "ci": [{**ci, "include": []}], "rule": [rule], "lint": [{}]}
    assert unknown(told, BLOCKS) == ["ci.include", "rule.match.kinds", "rule.call.selector.labels", "lint"]


def test_patterns_are_whole():
    """Between ^ and $ no pattern is a choice, which would bind the first to the one end and the last to the other."""
    texts = re.findall(r'"([^"\n]*)"', re.sub(r"(?m)^\s*#.*", "", FILE.read_text()))
    assert any("|" in text for text in texts)
    for text in texts:
        outside = text
        while (less := re.sub(r"\([^()]*\)|\[[^\]]*\]", "", outside)) != outside:
            outside = less
        assert "|" not in outside, text


def test_files(configuration):
    """What is included are the rule files, all of them and no other YAML of the project."""
    (parser,) = configuration["parser"]
    yamls = [*ROOT.glob("alert-rules/**/*.yml"), *ROOT.glob("tests/rules/*.yml")]
    included = {
        path
        for path in yamls
        if any(matches(pattern, str(path.relative_to(ROOT))) for pattern in parser["include"])
    }
    assert included == set(FILES)


def test_alerts_without_condition(off):
    """alerts/comparison is off for just those alerts of which a branch compares nothing."""
    found = {
        alert
        for alert, rule in ALERTS.items()
        if not all(
            re.search(r"[<>]|==|\bunless\b|\babsent\b", branch)
            for branch in re.split(r"\bor\b", rule["expr"])
        )
    }
    assert found == {alert for alert in ALERTS if matches(off["alerts/comparison"]["name"], alert)}


def test_slow_groups(off):
    """group/interval is off for just those files that have a group slower than what an instant query looks back."""
    slow = {
        str(file.relative_to(ROOT))
        for file in FILES
        for group in yaml.safe_load(file.read_text())["groups"]
        if parse_duration(group["interval"]) > 300
    }
    files = {str(file.relative_to(ROOT)) for file in FILES}
    assert slow == {file for file in files if matches(off["group/interval"]["path"], file)}


def test_divisions(off):
    """Where a sum adds up what each bin is divided by, it is a score, for which promql/nan is off."""
    bare = {
        record
        for record, rule in RECORDED.items()
        for inside in re.findall(r"\b(?:sum|avg) by \([^)]*\)\s*\(\n(.*?)\n\s*\)", rule["expr"], re.DOTALL)
        if re.search(r"/ (?!on )[a-z]", inside)
    }
    assert bare
    assert {record for record in bare if not matches(off["promql/nan"]["name"], record)} == set()


def test_patterns_of_series_are_patterns():
    """promql/regexp: what is one word is asked for with ``=``, not with ``=~``."""
    for name, rule in {**ALERTS, **RECORDED}.items():
        assert not re.findall(r'[=!]~"\w*"', rule["expr"]), name


@PROMTOOL
def test_queries_in_texts(tmp_path):
    """A query that a text asks is one whatever it is filled with: alerts/template fills every place with a word."""
    written = r'printf ("(?:[^"\\]|\\.)*")[^|}]*\| query'
    asked = [
        json.loads(text)
        for rule in ALERTS.values()
        for annotation in rule["annotations"].values()
        for text in re.findall(written, annotation)
    ]
    assert len(asked) > len(ALERTS)
    filled = [
        re.sub(r"%(?:\[\d\])?([qs])", lambda verb: '"pint"' if verb[1] == "q" else "pint", text)
        for text in asked
    ]
    assert not any("%" in text for text in filled)
    rules = [{"record": f"asked:{number}", "expr": text} for number, text in enumerate(filled)]
    (tmp_path / "asked.yml").write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    promtool("check", "rules", "asked.yml", folder=tmp_path)


def test_alerts_are_as_demanded(configuration):
    """Names, labels, annotations and patience of every alert fit what pint is told to demand, whole."""
    of_all, nobody = demanding(configuration, "alerting", "annotation")
    of_most, (watchdog,) = demanding(configuration, "alerting", "for")
    (patience,) = of_most["for"]
    assert patience == {"min": "1m", "severity": "bug"}
    assert not nobody
    for alert, rule in ALERTS.items():
        for pattern in labelled(of_all, "name"):
            assert matches(pattern, alert)
        for kind in ("label", "annotation"):
            given = rule[f"{kind}s"]
            for name, demand in labelled(of_all, kind).items():
                assert name in given or not demand.get("required"), (alert, name)
                pattern = demand.get("value", ".*").replace("{{ $alert }}", alert)
                assert name not in given or matches(pattern, given[name]), (alert, name, given[name])
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "")) or matches(watchdog, alert)
        absent = re.findall(r"absent(?:_over_time)?\((.*?)\)", rule["expr"])
        assert all("job=" in selector for selector in absent)


def test_records_are_as_demanded(configuration):
    """Names of recorded series have three levels; none is added up over environments, or kept by sidecar."""
    named, nobody = demanding(configuration, "recording", "name")
    added, (sidecars,) = demanding(configuration, "recording", "aggregate")
    ((pattern, _),) = labelled(named, "name").items()
    (aggregate,) = labelled(added, "aggregate").values()
    assert not nobody
    assert any(matches(sidecars, record) for record in RECORDED)
    for record, rule in RECORDED.items():
        assert matches(pattern, record)
        if matches(sidecars, record):
            continue
        for labels in re.findall(r"\bby \(([^)]*)\)", rule["expr"]):
            kept = set(labels.split(", "))
            assert kept >= set(aggregate["keep"]), record
            assert not kept & set(aggregate["strip"]), record
