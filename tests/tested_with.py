"""docs/tested-with.md: what the tests ran on and passed, version by version, written by the tests themselves.

With DRIFTLINE_WRITE=1 every run puts in the rows of what it exercised; those of other runs stay.
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

import built
from driftline.cli import binaries

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "tested-with.md"
ENVIRONMENTS = {ROOT / ".venv": "make test", ROOT / ".venv" / "spark": "make test-spark"}

HEAD = """\
# Tested with

Written by the tests: with `DRIFTLINE_WRITE=1` a run puts in what it exercised and passed on, so nothing is in the
table that did not run. *Floor* is what Debian 12 has, *latest* what `make stack` builds, pinned in
`tests/versions.toml`. The frameworks of models have [a page of their own](frameworks.md).

| what | version | by |
| --- | --- | --- |
"""
TAIL = """
## Not tested

| what | why |
| --- | --- |
| Grafana | Debian has no package of it, and none could be fetched here. Dashboards are held against the types that Grafana publishes (grafana-foundation-sdk), their queries run on the Prometheus above, pushing runs against a stand-in of its API |
| VictoriaMetrics and its vmalert, current | the Go proxy refuses its module (403, tried in November 2026). Debian's 1.79.5, years older, runs the rules that `make rules FORM=vmalert` writes |
| pint | the Go proxy refuses its module (403, tried in November 2026); PyPI's pint is another program. Its configuration, `.pint.hcl`, and the rules were held to its source (0.86 and later) by reading; pint was never run; promtool checks the rules |
| Python 3.12 and newer | the tests run on one Python, the oldest that is promised |
| Windows, macOS | the tests run on Linux |
"""

PACKAGES = {
    "numpy": "numpy", "scipy": "scipy", "pandas": "pandas", "pyarrow": "pyarrow", "polars": "polars",
    "scikit-learn": "sklearn", "protobuf": "google.protobuf", "opentelemetry-api": "opentelemetry.trace",
    "opentelemetry-proto": "opentelemetry.proto", "opentelemetry-sdk": "opentelemetry.sdk", "grpcio": "grpc",
    "prometheus-client": "prometheus_client", "pydantic": "pydantic", "PyYAML": "yaml", "starlette": "starlette",
    "uvicorn": "uvicorn", "h11": "h11", "Jinja2": "jinja2", "matplotlib": "matplotlib", "wrapt": "wrapt",
    "opentelemetry-instrumentation": "opentelemetry.instrumentation", "pyspark": "pyspark", "pytest": "pytest",
    "hypothesis": "hypothesis", "aiosmtpd": "aiosmtpd", "python-hcl2": "hcl2",
}  # fmt: skip
"""The packages whose versions matter, and the module by which one sees that it was loaded."""

PROGRAMS = {
    "prometheus": "Prometheus", "promtool": "promtool", "alertmanager": "Alertmanager", "amtool": "amtool",
    built.COLLECTOR: "OpenTelemetry Collector", built.GO_SERVICE: "OpenTelemetry SDK of Go",
    built.NODE_SERVICE: "OpenTelemetry SDK of JavaScript",
}  # fmt: skip


class Exercised:
    """Notes what tests that pass ran on, and writes it down at the end.

    Args:
        needs: Returns the programs that a test starts.
        page: The page that is renewed.
    """

    def __init__(self, needs, page=PAGE):
        self._needs = needs
        self._page = page
        self._programs = set()
        self._said = {}
        self._passed = 0

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item):
        report = yield
        if report.when == "call" and report.passed:
            self._passed += 1
            column = item.callspec.params.get("stack", "") if hasattr(item, "callspec") else ""
            self._programs |= {
                (name, column if name in binaries.NAMES else "latest") for name in self._needs(item)
            }
            self._said |= {
                what: version
                for key, (what, version) in _pairs(report.user_properties)
                if key == "tested_with"
            }
        return report

    def pytest_sessionfinish(self):
        run_by = ENVIRONMENTS.get(Path(sys.prefix))
        if run_by is None or not self._passed:
            return
        rows = {(what, run_by): version for what, version in (packages() | self._said).items()}
        for name, column in self._programs:
            if column in ("floor", "latest") and name in PROGRAMS:  # Debian's VictoriaMetrics says no version
                rows[PROGRAMS[name], f"{run_by}, {column}"] = version_of(name, column)
        with self._page.open("a+") as page:
            fcntl.flock(page, fcntl.LOCK_EX)  # each process of a run that has several puts in its own
            page.seek(0)
            known = parse(page.read())
            page.truncate(0)
            page.write(render(known | rows))


def _pairs(properties):
    return [(key, value) for key, value in properties if isinstance(value, tuple)]


def packages():
    """Return what is loaded in this process, and the Python that it is."""
    found = {"Python": platform.python_version()}
    found |= {
        name: importlib.metadata.version(name) for name, module in PACKAGES.items() if module in sys.modules
    }
    if "pyspark" in found:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=True).stderr
        found["Java"] = re.findall(r'version "(.+?)"', said)[0]
    return found


def version_of(name, column):
    """Return the version of a program as it says it; of a service in another language, that of its SDK."""
    examples = ROOT / "docs" / "examples"
    if name == built.GO_SERVICE:
        return re.findall(r"otel/sdk/log (v\S+)", (examples / "go" / "go.mod").read_text())[0]
    if name == built.NODE_SERVICE:
        locked = json.loads((examples / "node" / "package-lock.json").read_text())["packages"]
        node = subprocess.run(
            ["node", "--version"], capture_output=True, text=True, check=True
        ).stdout.strip()
        return f"{locked['node_modules/@opentelemetry/sdk-logs']['version']}, Node.js {node}"
    latest = column == "latest" or name not in binaries.NAMES
    program = built.folder(name) / name if latest else binaries.need(name)
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return re.findall(r"version (\S+)", said.stdout + said.stderr)[0]


def parse(text):
    """Return the versions in a page, by what and by whom."""
    table = text.partition("## Not tested")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| `(.+?)`(.*?) \|$", table, re.MULTILINE)
    return {(what, f"{command}{column}"): version for what, version, command, column in rows}


def render(rows):
    """Return the page."""
    lines = []
    for (what, run_by), version in sorted(rows.items(), key=lambda row: (row[0][0].lower(), row[0][1])):
        command, comma, column = run_by.partition(",")
        lines.append(f"| {what} | {version} | `{command}`{comma}{column} |\n")
    return HEAD + "".join(lines) + TAIL
