"""One HTTP port: an ASGI application served by uvicorn in a thread of its own, guarded by TLS and token."""

from __future__ import annotations

import asyncio
import errno
import hmac
import socket
import ssl
import threading
from asyncio.sslproto import SSLProtocol
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from driftline import files
from driftline.config import UNIX
from driftline.errors import ConfigurationError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from driftline.config import Listen


SSLProtocol.max_size = 16 << 10
"""What asyncio sets aside for each connection with TLS, as much as a record holds; of its own accord 256 KiB."""
HEAD_SECONDS = 10.0
"""How long the first lines of a request may take to arrive, a TLS handshake before them, and an answer to be read."""
MAX_TOKEN_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Security:
    """Files of the certificate, the authority that signs clients, and the token that a caller must know."""

    certificate: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    token: str | None = None

    @classmethod
    def of(cls, listen: Listen) -> Security:
        """Return what the settings ask for.

        Raises:
            ConfigurationError: The token cannot be read.
        """
        token = _token(listen.token_file) if listen.token_file else None
        if listen.tls is None:
            return cls(token=token)
        return cls(listen.tls.cert, listen.tls.key, listen.tls.client_ca, token)

    def check(self) -> None:
        """Read the files, as a listener will.

        Raises:
            ConfigurationError: They are not there, no certificates, or not of each other.
        """
        if self.certificate is None:
            return
        given = [path for path in (self.certificate, self.key, self.client_ca) if path is not None]
        absent = [f"listen.tls: {path}: there is no such file" for path in given if not path.exists()]
        if absent:
            raise ConfigurationError(absent)
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key)
            if self.client_ca is not None:
                context.load_verify_locations(self.client_ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"listen.tls: {', '.join(map(str, given))}: {error}; give files in PEM, and the key that belongs to "
                "the certificate"
            ) from error

    def knows(self, authorization: str | None) -> bool:
        """Return whether an ``Authorization`` value is right; always, where no token is asked for."""
        if self.token is None:
            return True
        scheme, _, given = (authorization or "").partition(" ")
        same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), self.token.encode())
        return same and scheme.lower() == "bearer"


def _token(path: Path) -> str:
    try:
        token = files.read(path, MAX_TOKEN_BYTES).decode("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror or error) if isinstance(error, OSError) else "it is no ASCII"
        raise ConfigurationError(f"listen.token_file: {path} cannot be read as a token: {why}") from error
    if not token:
        raise ConfigurationError(f"listen.token_file: {path} is empty")
    return token


class WebServer:
    """Serves *app* on ``host:port`` until stopped.

    Args:
        app: The application; answers 401 itself are not needed, the token is checked before it.
        address: ``host:port``, where port 0 lets the system choose; or ``unix:///run/driftline.sock``.
        security: TLS and token.
        name: What the port is for, as ``listen.<name>`` in the configuration.
        connections: How many may be open; beyond, requests are answered 503.
    """

    def __init__(
        self, app: ASGIApp, address: str, security: Security, *, name: str, connections: int = 256
    ) -> None:
        self._app = _Guard(app, security) if security.token else app
        self._address = address
        self._security = security
        self._name = name
        self._connections = connections
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None
        self.port: int | None = None

    def start(self) -> None:
        """Bind and serve.

        Raises:
            ConfigurationError: The port is taken, or the certificate cannot be used.
        """
        listener = self._bind()
        self.port = None if listener.family == socket.AF_UNIX else listener.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            interface="asgi3",  # uvicorn would take a bound method for the older form
            http=_Impatient,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",  # what strangers send is no line in the log
            access_log=False,
            server_header=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=3,
            limit_concurrency=self._connections,
            h11_max_incomplete_event_size=64 << 10,
            ssl_certfile=self._security.certificate,
            ssl_keyfile=self._security.key,
            ssl_ca_certs=None if self._security.client_ca is None else str(self._security.client_ca),
            ssl_cert_reqs=ssl.CERT_REQUIRED if self._security.client_ca else ssl.CERT_NONE,
        )
        try:
            config.load()
        except (OSError, ssl.SSLError, ValueError) as error:
            listener.close()
            raise ConfigurationError(f"listen.tls: the certificate or key cannot be used: {error}") from error
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._serve, args=(self._server, listener), name=f"driftline-{self._name}", daemon=True
        )
        self._thread.start()
        waited = threading.Event()
        while not self._server.started and self._thread.is_alive() and not waited.wait(0.01):
            pass

    @staticmethod
    def _serve(server: uvicorn.Server, listener: socket.socket) -> None:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.run(server.serve([listener]))

    def _bind(self) -> socket.socket:
        if self._address.startswith(UNIX):
            return self._bind_unix(self._address.removeprefix(UNIX))
        host, _, port = self._address.rpartition(":")
        host = host.strip("[]")
        try:
            found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
            family, _, _, _, address = found[0]
            listener = socket.create_server(address[:2], family=family, backlog=512)
        except (OSError, UnicodeError) as error:
            why = str(getattr(error, "strerror", error)).partition(" (while")[0]  # the address again
            raise ConfigurationError(
                f"listen.{self._name}: {self._address} cannot be bound: {why}; "
                "stop what holds it or choose another port"
            ) from error
        return listener

    def _bind_unix(self, path: str) -> socket.socket:
        """Bind a socket in the file system; one that a killed sidecar left behind makes room."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
                if other.connect_ex(path) == errno.ECONNREFUSED and Path(path).is_socket():
                    Path(path).unlink()
            listener.bind(path)
            listener.listen(512)
        except OSError as error:
            listener.close()
            raise ConfigurationError(
                f"listen.{self._name}: {self._address} cannot be bound: {error.strerror}; "
                "is its folder there and writable, and does no other sidecar listen on it?"
            ) from error
        return listener

    def stop(self, grace: float = 3.0) -> None:
        """Finish what is being answered, at most *grace* seconds, and close."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join(grace)
        self._server.force_exit = True
        self._thread.join(1.0)
        if self._address.startswith(UNIX):
            Path(self._address.removeprefix(UNIX)).unlink(missing_ok=True)


class _Loop(asyncio.SelectorEventLoop):
    """Gives up on a TLS handshake as on any other beginning; uvicorn leaves it the minute that asyncio waits."""

    async def create_server(self, *args: Any, ssl: Any = None, **options: Any) -> asyncio.Server:
        patience = HEAD_SECONDS if ssl else None
        return await super().create_server(*args, ssl=ssl, ssl_handshake_timeout=patience, **options)


class _Impatient(H11Protocol):
    """Ends a connection on which a request only begins, or whose answer nobody reads.

    Uvicorn ends one that is silent between two requests. One that sends a byte now and then would keep its place
    for ever, and the places are few.
    """

    _head: asyncio.TimerHandle | None = None
    _answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head = self._within_patience()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            _stop(self._head)
            self._head = None
        elif self._head is None:
            self._head = self._within_patience()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer = self._within_patience()

    def resume_writing(self) -> None:
        super().resume_writing()
        _stop(self._answer)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        _stop(self._head)
        _stop(self._answer)

    def _within_patience(self) -> asyncio.TimerHandle:
        return self.loop.call_later(HEAD_SECONDS, self.transport.abort)


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


class _Guard:
    """Answers 401 to whoever does not know the token; only probes, which are told nothing, need none."""

    def __init__(self, app: ASGIApp, security: Security) -> None:
        self._app = app
        self._security = security

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith("/-/"):
            given = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
            if not self._security.knows(given):
                headers = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
                await send({"type": "http.response.start", "status": 401, "headers": headers})
                await send({"type": "http.response.body", "body": b""})
                return
        await self._app(scope, receive, send)
