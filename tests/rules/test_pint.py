"""The configuration of pint, which could not be had here: that it parses, and that the rules are as it demands.

What pint itself finds in them, nobody has seen: these tests stand for no run of it.
"""

import re
from pathlib import Path

import hcl2
import pytest

from rules.test_rules import ALERTS, RECORDED

FILE = Path(__file__).parents[2] / ".pint.hcl"


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


def labelled(block, kind):
    return {name: body for found in block.get(kind, ()) for name, body in found.items()}


def test_every_exception_has_its_reason(configuration):
    """No check is off without a comment above it that says why."""
    (checks,) = configuration["checks"]
    lines = FILE.read_text().splitlines()
    for name in checks["disabled"]:
        (at,) = [number for number, line in enumerate(lines) if line.strip() == f'"{name}",']
        assert lines[at - 1].strip().startswith("# ")


def test_alerts_are_as_demanded(configuration):
    """Names, labels, annotations and patience of every alert fit what pint is told to demand, whole."""
    of_all, of_most, _ = configuration["rule"]
    for alert, rule in ALERTS.items():
        for pattern in labelled(of_all, "name"):
            assert re.fullmatch(pattern, alert)
        for kind in ("label", "annotation"):
            given = rule[f"{kind}s"]
            for name, demand in labelled(of_all, kind).items():
                assert name in given or not demand.get("required"), (alert, name)
                pattern = demand.get("value", ".*").replace("{{ $alert }}", alert)
                assert name not in given or re.fullmatch(pattern, given[name]), (alert, name, given[name])
        (ignored,) = of_most["ignore"]
        (patience,) = of_most["for"]
        assert patience == {"min": "1m", "severity": "bug"}
        assert re.fullmatch(r"\d+[mh]", rule.get("for", "")) or alert == ignored["name"]
        absent = re.findall(r"absent(?:_over_time)?\((.*?)\)", rule["expr"])
        assert all("job=" in selector for selector in absent)


def test_records_are_as_demanded(configuration):
    """Names of recorded series have three levels; none is added up over environments, or kept by sidecar."""
    of_records = configuration["rule"][2]
    ((pattern, _),) = labelled(of_records, "name").items()
    (aggregate,) = labelled(of_records, "aggregate").values()
    for record, rule in RECORDED.items():
        assert re.fullmatch(pattern, record)
        for labels in re.findall(r"\bby \(([^)]*)\)", rule["expr"]):
            kept = set(labels.split(", "))
            assert kept >= set(aggregate["keep"]), record
            assert not kept & set(aggregate["strip"]), record
