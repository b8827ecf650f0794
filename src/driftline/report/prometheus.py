"""Asking a Prometheus, or what answers as one: Mimir, Thanos, VictoriaMetrics."""

from __future__ import annotations

import base64
import json
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, NamedTuple

from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TIMEOUT = 60.0
LARGEST = 64 * 2**20


class PrometheusRefused(DriftlineError):
    """Prometheus cannot be reached or does not answer what it is asked; the text says what to do about it."""


class Series(NamedTuple):
    """One series of an answer.

    Attributes:
        labels: Its labels.
        points: Moments and values, the earliest first; of an instant query one.
    """

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


def quoted(text: str) -> str:
    r"""Return *text* as PromQL writes a string.

    >>> print(quoted('a"b\\'))
    "a\"b\\"
    """
    return json.dumps(text, ensure_ascii=False)


class Prometheus:
    """The HTTP API of the Prometheus at *url*.

    Args:
        url: Its root, with the path it is served below; a name and password in it are sent, never shown.
        token: A bearer token.
        ca: What certificates are checked against, instead of the system's.
        cert: A client's certificate and its key.

    Raises:
        PrometheusRefused: The URL is none, or a certificate cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        ca: Path | None = None,
        cert: tuple[Path, Path] | None = None,
    ) -> None:
        try:
            parts = urllib.parse.urlsplit(url)
            good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:  # half an IPv6 address, a port that is none
            good = False
        if not good:  # a password before the @ is not for a log
            raise PrometheusRefused(
                f"{re.sub('//.*@', '//...@', url)} is no address of a Prometheus, give one such as http://prometheus:9090"
            )
        if token and not (token.isascii() and token.isprintable()):
            raise PrometheusRefused("the token holds what no token may: is there a line break in it?")
        self.url = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
        self._authorization = f"Bearer {token}" if token else None
        if parts.username is not None:
            pair = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        try:
            context = ssl.create_default_context(cafile=ca)
            if cert:
                context.load_cert_chain(*cert)
        except OSError as error:  # ssl.SSLError is one
            raise PrometheusRefused(f"a certificate or key cannot be read: {error}") from error
        self._open = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context)).open

    def now(self, expr: str, at: float) -> list[Series]:
        """Return the answer to *expr* at the moment *at*."""
        found = self._ask("query", query=expr, time=f"{at:.3f}")
        return [Series(one["metric"], _points([one["value"]])) for one in found]

    def over(self, expr: str, start: float, end: float, step: float) -> list[Series]:
        """Return the answer to *expr* at every *step* seconds from *start* to *end*."""
        found = self._ask("query_range", query=expr, start=f"{start:.3f}", end=f"{end:.3f}", step=f"{step:g}")
        return [Series(one["metric"], _points(one["values"])) for one in found]

    def _ask(self, path: str, **parameters: str) -> Any:
        request = urllib.request.Request(  # noqa: S310 - http or https, as checked above
            f"{self.url.rstrip('/')}/api/v1/{path}", urllib.parse.urlencode(parameters).encode()
        )
        if self._authorization:  # not sent on to where a redirect leads
            request.add_unredirected_header("Authorization", self._authorization)
        try:
            with self._open(request, timeout=TIMEOUT) as response:
                body = response.read(LARGEST + 1)
        except urllib.error.HTTPError as error:
            with error:
                raise PrometheusRefused(self._remedy(error.code, error.read(LARGEST), parameters)) from error
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error) or type(error).__name__
            raise PrometheusRefused(f"{self.url} cannot be reached: {reason}") from error
        if len(body) > LARGEST:
            raise PrometheusRefused(f"{self.url} answers more than {LARGEST >> 20} MiB: ask for less time")
        try:
            return json.loads(body)["data"]["result"]
        except (ValueError, LookupError, TypeError) as error:
            raise PrometheusRefused(
                f"{self.url} answers, but not as a Prometheus does: give its root, with its sub-path if it has one"
            ) from error

    def _remedy(self, code: int, body: bytes, parameters: Mapping[str, str]) -> str:
        try:
            said = str(json.loads(body)["error"])
        except (ValueError, LookupError, TypeError):
            said = ""
        remedies = {
            401: "it wants a token: --token-file or PROMETHEUS_TOKEN",
            403: "this token may not ask it",
            404: "there is no query API here; is the URL that of Prometheus' root?",
            422: f"it cannot answer {parameters['query']}",
            503: "it took too long: ask for less time, or later",
        }
        remedy = remedies.get(code, f"it answered {code} to {parameters['query']}")
        return f"{self.url}: {remedy}" + (f" (it says: {said})" if said else "")


def _points(values: Sequence[tuple[float, str]]) -> list[tuple[float, float]]:
    return [(float(at), float(value)) for at, value in values]
