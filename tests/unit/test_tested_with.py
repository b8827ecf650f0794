"""docs/tested-with.md is what the tests wrote: of the versions that are pinned, and renewed row by row."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

import built
import tested_with
from tested_with import PAGE, Exercised, parse, render


def test_the_page_is_as_the_tests_write_it():
    """Nothing in it is by hand."""
    text = PAGE.read_text()
    assert render(parse(text)) == text


def test_the_page_names_what_is_pinned():
    """What make stack builds today is what the page says the tests ran on; so is Debian's floor."""
    rows = parse(PAGE.read_text())
    prometheus = built.PINS["prometheus"]["version"]  # v0.315.0 is the module's version of 3.15.0
    pinned = {
        "Prometheus": f"{prometheus[3]}.{int(prometheus[4:6])}.{prometheus.rpartition('.')[2]}",
        "Alertmanager": built.PINS["alertmanager"]["version"].removeprefix("v"),
        "OpenTelemetry Collector": built.PINS["builder"].removeprefix("v"),
    }
    for what, version in pinned.items():
        assert rows[what, "make test, latest"] == version
    for what in ("Prometheus", "promtool", "Alertmanager", "amtool"):
        assert (what, "make test, floor") in rows
    for what in ("Python", "numpy", "protobuf, the oldest", "OpenTelemetry SDK of Go"):
        assert any(name == what for name, _ in rows)
    assert ("pyspark", "make test-spark") in rows


def run(exercised, needs=(), passed=True, said=()):
    item = SimpleNamespace(callspec=SimpleNamespace(params={"stack": "floor"}), needs=set(needs))
    report = SimpleNamespace(when="call", passed=passed, user_properties=list(said))
    hook = exercised.pytest_runtest_makereport(item)
    next(hook)
    with pytest.raises(StopIteration):
        hook.send(report)


def test_rows_are_renewed_and_others_stay(tmp_path, monkeypatch):
    """A run replaces the versions of what passed in it; what it did not touch, or what failed, stays as it was."""
    page = tmp_path / "tested-with.md"
    old = {
        ("Python", "make test"): "3.0.0",
        ("pyspark", "make test-spark"): "4.3.0",
        ("Prometheus", "make test, floor"): "1.0",
        ("Alertmanager", "make test, floor"): "0.1",
    }
    page.write_text(render(old))
    monkeypatch.setattr(tested_with, "ENVIRONMENTS", {Path(sys.prefix): "make test"})
    monkeypatch.setattr(tested_with, "version_of", lambda name, column: f"{name} of {column}")
    exercised = Exercised(lambda item: item.needs, page)
    run(exercised, ["prometheus"], said=[("tested_with", ("pair", "1 with 2")), ("other", "x")])
    run(exercised, ["alertmanager"], passed=False)
    exercised.pytest_sessionfinish()
    rows = parse(page.read_text())
    assert rows["Prometheus", "make test, floor"] == "prometheus of floor"
    assert rows["Alertmanager", "make test, floor"] == "0.1"
    assert rows["pyspark", "make test-spark"] == "4.3.0"
    assert rows["pair", "make test"] == "1 with 2"
    assert rows["Python", "make test"] == ".".join(map(str, sys.version_info[:3]))
    assert ("numpy", "make test") in rows


def test_several_at_once(tmp_path, monkeypatch):
    """A run of several processes puts in what each of them exercised, though they end together."""
    page = tmp_path / "tested-with.md"
    monkeypatch.setattr(tested_with, "ENVIRONMENTS", {Path(sys.prefix): "make test"})
    monkeypatch.setattr(tested_with, "version_of", lambda name, column: f"{name} of {column}")
    monkeypatch.setattr(tested_with, "packages", dict)
    monkeypatch.setattr(tested_with, "render", lambda rows: time.sleep(0.05) or render(rows))
    waiting, names = threading.Barrier(4), ["prometheus", "promtool", "alertmanager", "amtool"]

    def process(name):
        exercised = Exercised(lambda item: item.needs, page)
        run(exercised, [name])
        waiting.wait()
        exercised.pytest_sessionfinish()

    with ThreadPoolExecutor() as pool:
        [*pool.map(process, names)]
    assert {what for what, _ in parse(page.read_text())} == {tested_with.PROGRAMS[name] for name in names}


def test_other_environments_write_nothing(tmp_path, monkeypatch):
    """Only the environments that the page knows have rows, and only when something passed."""
    page = tmp_path / "tested-with.md"
    monkeypatch.setattr(tested_with, "ENVIRONMENTS", {})
    exercised = Exercised(lambda item: item.needs, page)
    run(exercised, [])
    exercised.pytest_sessionfinish()
    monkeypatch.setattr(tested_with, "ENVIRONMENTS", {Path(sys.prefix): "make test"})
    Exercised(lambda item: item.needs, page).pytest_sessionfinish()
    assert not page.exists()
