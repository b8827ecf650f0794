"""Which tests cannot run here, and why; and on which stack each of the others runs."""

import contextlib
import os
import shutil

import pytest

import built
import driftline
import tested_with
from driftline.cli import binaries
from driftline.instrumentation import problems
from otlp_receiver import Receiver

with contextlib.suppress(ImportError):  # the frameworks' environments have none
    from hypothesis import HealthCheck, settings

    # No test is timed: the machine may be busy with anything.
    settings.register_profile("driftline", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("driftline")

collect_ignore_glob = ["benchmarks/peer_*.py"]
"""Scripts that run in the environments of other tools; doctests are looked for in every file."""


def needs(item):
    """Return the programs that the marks of a test or function say it starts."""
    return {
        name
        for marker in item.iter_markers("stack")
        for name in marker.kwargs.get("needs", marker.args or binaries.NAMES)
    }


def pytest_configure(config):
    """With DRIFTLINE_WRITE=1 docs/tested-with.md is renewed by what passes."""
    if os.environ.get("DRIFTLINE_WRITE"):
        config.pluginmanager.register(tested_with.Exercised(needs))


def pytest_generate_tests(metafunc):
    """Run what needs Prometheus or Alertmanager twice: on what ``make demo`` would find, and on the latest.

    A folder that DRIFTLINE_BIN_DIR names decides alone.
    """
    if needs(metafunc.definition) & set(binaries.NAMES):
        given = os.environ.get("DRIFTLINE_BIN_DIR")
        metafunc.parametrize("stack", ["given"] if given else ["floor", "latest"], indirect=True)


def pytest_collection_modifyitems(items):
    """Refuse an id that is another in every process that runs the tests: they could not share them out."""
    unstable = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unstable:
        raise pytest.UsageError(
            "\n".join(["the address of an object is no id of a test: give ids=", *unstable])
        )


@pytest.fixture(autouse=True)
def stack(request, monkeypatch):
    """Let ``binaries.need`` find the programs of this column of the tests."""
    column = getattr(request, "param", None)
    if column is None:
        yield
        return
    if column == "latest":
        monkeypatch.setenv("DRIFTLINE_BIN_DIR", built.need(*binaries.NAMES))
    binaries.need.cache_clear()
    yield
    binaries.need.cache_clear()


@pytest.fixture
def receiver():
    """What the rows of a test are sent to; afterwards nothing of the test is left in the process."""
    with Receiver() as receiver:
        yield receiver
        receiver.gate.set()
        driftline.shutdown()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    from certificates import Certificates  # the frameworks' environments have no cryptography

    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def zero_code(receiver, monkeypatch):
    """Return what does in this process as ``opentelemetry-instrument`` does, until the test is over."""
    from driftline.instrumentation.instrumentor import DriftlineInstrumentor

    monkeypatch.setattr(problems, "_logged", set())
    instrumentor = DriftlineInstrumentor()

    def begin(**environ):
        for name, value in {"DRIFTLINE_ENDPOINT": receiver.endpoint, **environ}.items():
            monkeypatch.setenv(name, value)
        instrumentor.instrument()

    yield begin
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Skip a stack test whose parts cannot be had, naming the part; with DRIFTLINE_REQUIRE_STACK=1 fail it.

    What Go or npm builds is required only where there is one.
    """
    column = item.callspec.params.get("stack") if hasattr(item, "callspec") else None
    for name in sorted(needs(item)):
        of_ours = column == "latest" or name not in binaries.NAMES
        try:
            built.need(name) if of_ours else binaries.need(name)
        except (binaries.Missing, built.Absent) as missing:
            buildable = not of_ours or shutil.which(built.tool(name))
            if os.environ.get("DRIFTLINE_REQUIRE_STACK") == "1" and buildable:
                pytest.fail(str(missing), pytrace=False)
            pytest.skip(str(missing))
