"""Settings of the service side: keyword arguments, else ``DRIFTLINE_*`` in the environment."""

from __future__ import annotations

import os
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftline.errors import ConfigurationError
from driftline.instrumentation.problems import problem

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_ENDPOINT = "http://127.0.0.1:4328"
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where batches go.

    Attributes:
        endpoint: The sidecar's OTLP/HTTP address, without ``/v1/logs``; ``unix:///run/driftline.sock`` for a socket.
        token_file: A file with a bearer token, read anew for every request; or None.
        ca_file: A file with the certificates that ``https`` is checked against; None for the system's.
        cert_file: A file with this service's own certificate, where the sidecar asks for one; or None.
        key_file: A file with its key; None where the key is in the same file.
        sample_rate: The share of rows that is sent; all are counted.
        baseline: A baseline's file, or a folder of them: rows are counted on its bins and no value leaves. Or None.
        disabled: Observe nothing at all.
    """

    endpoint: str = DEFAULT_ENDPOINT
    token_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    sample_rate: float = 1.0
    baseline: str | None = None
    disabled: bool = False

    def __post_init__(self) -> None:
        fault = _endpoint_fault(self.endpoint)
        if fault:
            raise ConfigurationError(f"endpoint: {fault}")
        if not 0 < self.sample_rate <= 1:
            raise ConfigurationError(f"sample_rate: {self.sample_rate} is no share, write 0.1 for a tenth")

    @classmethod
    def load(
        cls,
        sample_rate: float | None = None,
        baseline: str | None = None,
        endpoint: str | None = None,
        token_file: str | None = None,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        *,
        environ: Mapping[str, str] = os.environ,
    ) -> Settings:
        """Return the settings given, in the order of ``instrument`` and ``observe``, completed from *environ*.

        A bad environment is logged and counted and disables driftline: whoever deploys a service must
        not take it down with a typing error in its monitoring.

        Raises:
            ConfigurationError: *endpoint* is no address of ours, or *sample_rate* no share: that is the
                developer's to mend.
        """
        given = endpoint or environ.get("DRIFTLINE_ENDPOINT") or DEFAULT_ENDPOINT
        disabled = environ.get("DRIFTLINE_DISABLED", "").strip().lower()
        if disabled not in (*_YES, *_NO):
            problem("settings", f"DRIFTLINE_DISABLED={disabled!r} is neither true nor false; taken as true")
        if not endpoint and (fault := _endpoint_fault(given)):
            problem("settings", f"DRIFTLINE_ENDPOINT: {fault}; nothing is observed")
            return cls(disabled=True)
        return cls(
            endpoint=given.rstrip("/"),
            token_file=token_file or environ.get("DRIFTLINE_TOKEN_FILE") or None,
            ca_file=ca_file or environ.get("DRIFTLINE_CA_FILE") or None,
            cert_file=cert_file or environ.get("DRIFTLINE_CERT_FILE") or None,
            key_file=key_file or environ.get("DRIFTLINE_KEY_FILE") or None,
            sample_rate=_share(environ) if sample_rate is None else sample_rate,
            baseline=baseline or environ.get("DRIFTLINE_BASELINE") or None,
            disabled=disabled not in _NO,
        )


def _share(environ: Mapping[str, str]) -> float:
    said = environ.get("DRIFTLINE_SAMPLE_RATE") or "1"
    try:
        share = float(said)
    except ValueError:
        share = 0.0
    if 0 < share <= 1:
        return share
    problem("settings", f"DRIFTLINE_SAMPLE_RATE={said!r} is no share above 0, at most 1; all rows are sent")
    return 1.0


def _endpoint_fault(endpoint: str) -> str:
    try:
        url = urllib.parse.urlsplit(endpoint)
        url.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        return f"{endpoint!r} is no address ({error}), write {DEFAULT_ENDPOINT}"
    if url.scheme == "unix" and not url.hostname and url.path.strip("/"):
        return ""
    if url.scheme not in ("http", "https") or not url.hostname:
        return f"{endpoint!r} is no http or https address, write {DEFAULT_ENDPOINT} or unix:///run/driftline.sock"
    return ""
