"""Connections that are kept open for nothing: senders, scrapers and strangers who take their time."""

import contextlib
import socket
import threading
import time

import grpc
import pytest

from driftline.sidecar.receiver import EXPORT, READ_SECONDS
from driftline.sidecar.web import HEAD_SECONDS
from hostile.target import Target, answered


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    few_files = ("sh", "-c", 'ulimit -Sn 256 && exec "$@"', "sh")  # as many as systems give at first
    with Target(tmp_path_factory.mktemp("target"), wrapper=few_files) as running:
        yield running


@pytest.fixture(scope="module")
def secure(tmp_path_factory, certificates):
    with Target(tmp_path_factory.mktemp("secure"), certificates=certificates) as running:
        yield running


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # the beginning of a handshake
HEAD = b"POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"


def opened(address, first):
    host, _, port = address.partition(":")
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.sendall(first)
    return connection


def drip(connections, stop):
    """Send each a byte a second until it is closed: no single wait is long."""
    while not stop.wait(1.0):
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.sendall(b"x")


def ended(connection, since):
    """Return what came before the other side closed, and how long that took."""
    found = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            found += piece
    connection.close()
    return found, time.monotonic() - since


@pytest.mark.timeout(120)
def test_slow_loris(target):
    """Whoever only begins is let go of in seconds, at every door; meanwhile others are served, and counted."""
    asked = answered("http", 408, 5) | answered("grpc", "DEADLINE_EXCEEDED", 12)
    asked |= answered("http", 200) | answered("grpc", "OK")
    stop = threading.Event()
    with target.unharmed(asked, memory=100 << 20), contextlib.ExitStack() as stack:
        since = time.monotonic()
        heads = [opened(door, HEAD) for door in (target.http, target.metrics) for _ in range(40)]
        silent = [opened(door, b"") for door in (target.grpc, target.http, target.metrics) for _ in range(10)]
        bodies = [opened(target.http, HEAD + b"content-length: 100\r\n\r\nbegun") for _ in range(5)]
        dripping = threading.Thread(target=drip, args=([*heads, *bodies], stop), daemon=True)
        dripping.start()
        channel = stack.enter_context(grpc.insecure_channel(target.grpc))
        calls = [channel.stream_unary(EXPORT).future(iter(stop.wait, True), timeout=60) for _ in range(12)]
        assert target.call(b"") == ("OK", "")
        assert target.post(b"") == (200, "")
        for connection in [*heads, *silent]:
            found, seconds = ended(connection, since)
            assert found == b"" or connection in silent  # gRPC says its settings first
            assert seconds < HEAD_SECONDS + 10
        for connection in bodies:
            found, seconds = ended(connection, since)
            assert found.startswith(b"HTTP/1.1 408 ")
            assert seconds < READ_SECONDS + 10
        for call in calls:
            assert call.code() is grpc.StatusCode.CANCELLED
        assert time.monotonic() - since < READ_SECONDS + 15
        stop.set()
        dripping.join()


def test_a_scraper_that_does_not_read(target):
    """Whoever asks for pages and reads none is let go of, and holds no more than a page in memory."""
    with target.unharmed({}, memory=100 << 20):
        since = time.monotonic()
        connection = opened(target.metrics, b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n" * 2000)
        time.sleep(HEAD_SECONDS + 1)
        _, seconds = ended(connection, since)
        assert seconds < HEAD_SECONDS + 10


def test_slow_handshakes(secure):
    """Whoever does not get on with TLS is let go of in seconds; meanwhile others are served, and memory stays bounded."""
    asked = answered("http", 200) | answered("grpc", "OK")
    with secure.unharmed(asked, memory=100 << 20):
        since = time.monotonic()
        doors = (secure.grpc, secure.http, secure.metrics)
        slow = [opened(door, first) for door in doors for first in (b"", HELLO) for _ in range(150)]
        assert secure.call(b"") == ("OK", "")
        assert secure.post(b"") == (200, "")
        assert secure.page()
        for connection in slow:
            _, seconds = ended(connection, since)
            assert seconds < HEAD_SECONDS + 10


def test_a_crowd(target):
    """A thousand idle connections shut the door for some seconds, with an answer that asks to come back."""
    crowd = [opened(target.http, b"") for _ in range(1000)]
    assert target.post(b"")[0] == 503
    for connection in crowd:
        connection.close()
    with target.unharmed(answered("http", 200)):
        while target.post(b"")[0] != 200:
            pass
