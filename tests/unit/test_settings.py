"""Settings of the service side."""

from __future__ import annotations

from dataclasses import fields
from functools import partial
from inspect import signature

import pytest

import driftline
from driftline.errors import ConfigurationError
from driftline.instrumentation import problems, process
from driftline.instrumentation.settings import Settings

ENVIRON = {
    "DRIFTLINE_ENDPOINT": "https://sidecar:4328/",
    "DRIFTLINE_TOKEN_FILE": "/run/token",
    "DRIFTLINE_CA_FILE": "/run/ca.pem",
    "DRIFTLINE_CERT_FILE": "/run/own.pem",
    "DRIFTLINE_KEY_FILE": "/run/own.key",
}


def test_environment():
    """What is not given comes from the environment; nothing at all means the sidecar beside the service."""
    assert Settings.load(environ=ENVIRON) == Settings(
        endpoint="https://sidecar:4328",
        token_file="/run/token",
        ca_file="/run/ca.pem",
        cert_file="/run/own.pem",
        key_file="/run/own.key",
    )
    assert Settings.load(environ={}) == Settings(endpoint="http://127.0.0.1:4328")


def test_arguments_win():
    """What the developer wrote wins over the environment."""
    given = {"endpoint": "unix:///run/s.sock", "token_file": "t", "ca_file": "c"}
    given |= {"cert_file": "own", "key_file": "key"}
    assert Settings.load(**given, environ=ENVIRON) == Settings(**given)


@pytest.mark.parametrize(
    "watch", [partial(driftline.instrument, len, name="m", version="1"), partial(driftline.observe, "m", "1")]
)
def test_what_both_take(watch):
    """Whatever the environment says of the way to the sidecar, `instrument` and `observe` take as an argument."""
    assert {field.name for field in fields(Settings)} - signature(watch).parameters.keys() == {"disabled"}
    given = {name: f"given {name}" for name in ("token_file", "ca_file", "cert_file", "key_file")}
    given["endpoint"] = f"unix:///run/{watch.func.__name__}.sock"
    watch(**given)
    assert Settings(**given) in process._outlets


@pytest.mark.parametrize(
    ("said", "disabled"), [("true", True), ("1", True), (" Yes ", True), ("on", True), ("", False), ("0", False), ("False", False)]
)  # fmt: skip
def test_disabled(said, disabled):
    """DRIFTLINE_DISABLED is read like other switches."""
    assert Settings.load(environ={"DRIFTLINE_DISABLED": said}).disabled is disabled


def test_unclear_switch(monkeypatch, caplog):
    """A switch that is neither is taken as on: somebody wanted driftline off; the log says so."""
    monkeypatch.setattr(problems, "_logged", set())
    assert Settings.load(environ={"DRIFTLINE_DISABLED": "please"}).disabled
    assert "DRIFTLINE_DISABLED='please' is neither true nor false" in caplog.text


@pytest.mark.parametrize(
    "endpoint",
    [
        "sidecar:4328",
        "grpc://sidecar:4327",
        "http://",
        "http://sidecar:port",
        "http://[::1",
        "unix://",
        "unix://run/s.sock",
    ],
)
def test_bad_endpoint(monkeypatch, caplog, endpoint):
    """A bad address is the developer's error when written in code; from the environment it is logged, and off."""
    monkeypatch.setattr(problems, "_logged", set())
    with pytest.raises(ConfigurationError, match=r"write http://127\.0\.0\.1:4328"):
        Settings(endpoint=endpoint)
    assert Settings.load(environ={"DRIFTLINE_ENDPOINT": endpoint}).disabled
    assert "DRIFTLINE_ENDPOINT: " in caplog.text
