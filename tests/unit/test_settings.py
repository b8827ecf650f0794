"""Settings of the service side."""

from __future__ import annotations

import pytest

from driftline.errors import ConfigurationError
from driftline.instrumentation import problems
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
