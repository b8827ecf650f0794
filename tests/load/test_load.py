"""A sidecar under load: it holds for long, sheds whole what is too much, recovers, and scrapes do it no harm.

`make soak MINUTES=30` lasts as long as it says, at SHARE of what one core can count; with DRIFTLINE_WRITE=1 its
figures go into docs/benchmarks.md. Among the other tests it lasts 20 seconds.
"""

import http.client
import os
import re
import socket
import statistics
import threading
import time

import numpy as np
import pytest

from benchmarks import page
from driftline.wire import Batch, encode
from load.service import ROWS, Service, pace
from stack.processes import Children, eventually
from stack.test_fleet import counter

SECONDS = float(os.environ.get("MINUTES", "0.33")) * 60
SHARE = float(os.environ.get("SHARE", "0.5"))
LARGE = 65_536


@pytest.fixture
def service(tmp_path):
    with Children(tmp_path) as children:
        service = Service(tmp_path, children)
        yield service
        service.close()


@pytest.mark.timeout(max(120, SECONDS * 1.2 + 60))
def test_a_soak_loses_nothing_and_memory_stays_flat(service):
    """At a share of what a core can count, every row is counted, every answer is OK, and memory does not grow."""
    for _ in range(50):
        assert service.send() == "OK"
    began = service.cpu()
    for _ in range(100):
        service.send()
    capacity = 100 / (service.cpu() - began)  # batches a second of one core
    start, cpu, sent = time.monotonic(), service.cpu(), service.sequence
    memory, answers, scrapes = [], {}, 0
    for _ in pace(start + SECONDS, 1 / (capacity * SHARE)):
        answer = service.send()
        answers[answer] = answers.get(answer, 0) + 1
        if time.monotonic() >= start + scrapes * min(15.0, SECONDS / 20):
            scrapes += 1
            service.scrape()
            memory.append(service.megabytes())
    seconds = time.monotonic() - start
    used = (service.cpu() - cpu) / seconds
    sent = service.sequence - sent
    assert answers == {"OK": sent}
    assert sent > 10
    eventually(lambda: service.rows() == service.sequence * ROWS)
    assert counter(service.scrape(), "driftline_sidecar_sender_lost_rows_total") == 0
    assert counter(service.scrape(), "driftline_sidecar_rows_dropped_total") == 0
    early, late = (statistics.median(part) for part in np.array_split(memory[len(memory) // 4 :], 2))
    told = (
        f"{seconds / 60:.1f} minutes, {sent * ROWS:,} rows in {sent:,} batches of {ROWS:,}, half over gRPC and half "
        f"over HTTP, {sent * ROWS / seconds:,.0f} rows a second, {used:.0%} of one core where {SHARE:.0%} of what it "
        f"can count was sent ({capacity * ROWS:,.0f} rows a second); {len(memory)} scrapes, state every 10 s. "
        f"All answers OK, all rows counted, none lost. Memory {early:.1f} MB in the first half, {late:.1f} MB in "
        f"the second, {max(memory):.1f} MB at most."
    )
    assert late < early * 1.05 + 2
    page.put("soak", [told])


def large(sequence):
    """Return a batch of 8.4 MB; eight of them are more than all requests together may hold."""
    columns = {f"f{n}": np.linspace(-3, 3, LARGE) for n in range(16)}
    return encode(
        Batch(
            model="m", version="1", rows=LARGE, columns=columns, stream=b"large-large-larg", sequence=sequence
        )
    )


@pytest.mark.timeout(120)
def test_too_much_is_refused_whole_and_the_sidecar_recovers(service):
    """Beyond 64 MiB in flight it answers 429 and UNAVAILABLE, counts nothing of what it refused, and goes on."""
    host, _, port = service.http.partition(":")
    uploads = []
    for sequence in range(7):
        body = large(sequence)
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        connection.putrequest("POST", "/v1/logs")
        connection.putheader("content-type", "application/x-protobuf")
        connection.putheader("content-length", str(len(body)))
        connection.endheaders(body[:-1])
        uploads.append((connection, body[-1:]))
    held = "driftline_sidecar_in_flight_bytes"
    eventually(lambda: float(re.search(rf"^{held} (.*)$", service.scrape(), re.MULTILINE)[1]) > 7 * 8.38e6)
    more = large(7)
    another = http.client.HTTPConnection(service.http)
    assert service.by_http(more, another) == "429"
    another.close()
    assert service.by_grpc(more) == "UNAVAILABLE"
    assert service.send() == "OK", "what still fits is taken in"
    for connection, rest in uploads:
        connection.send(rest)
    assert [connection.getresponse().status for connection, _ in uploads] == [200] * 7
    for connection, _ in uploads:
        connection.close()
    assert service.by_grpc(more) == "OK", "what was refused can be sent again"
    assert service.send() == "OK"
    eventually(lambda: service.rows() == 8 * LARGE + 2 * ROWS)
    text = service.scrape()
    assert counter(text, 'driftline_sidecar_requests_total{code="429",transport="http"}') == 1
    assert counter(text, 'driftline_sidecar_requests_total{code="UNAVAILABLE",transport="grpc"}') == 1
    assert re.search(rf"^{held} 0.0$", text, re.MULTILINE)


@pytest.mark.timeout(120)
def test_slow_and_parallel_scrapes_do_no_harm(service):
    """While twenty ask at once and five read a byte now and then, every row is counted and every page is whole."""
    host, _, port = service.metrics.partition(":")
    slow = []
    for _ in range(5):
        reader = socket.create_connection((host, int(port)))
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        slow.append(reader)
    pages, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            pages.append(service.scrape())
            stop.wait(0.05)

    asking = [threading.Thread(target=ask) for _ in range(20)]
    for thread in asking:
        thread.start()
    answers = []
    for _ in pace(time.monotonic() + 5, 0.05):
        answers.append(service.send())
        for reader in slow:
            assert reader.recv(1)
    stop.set()
    for thread in asking:
        thread.join()
    assert set(answers) == {"OK"}
    assert service.rows() == len(answers) * ROWS
    assert len(pages) > 40
    for text in pages:
        # one moment: whatever a page says was predicted, each feature has so many values
        rows = counter(text, "driftline_predictions_total")
        for feature in ("f0", "f49"):
            here = f'driftline_feature_values_total{{environment="load",model="m",version="1",feature="{feature}"'
            assert counter(text, here) == rows
    for reader in slow:
        reader.close()
