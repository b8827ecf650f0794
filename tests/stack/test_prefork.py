"""Prefork servers: workers forked from a parent that has, or has not, predicted already."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

import driftline
from driftline.instrumentation.recorder import Recorder
from driftline.instrumentation.settings import Settings

WORKERS, CALLS = 4, 300

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
    # The parent has the sender's thread, which is the case under test.
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]


def in_child(work):
    """Run *work* in a forked child; return its pid. The child leaves without pytest's own ending."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return pid


def ended_well(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_workers_lose_nothing(receiver, warm):
    """Four workers' and the parent's rows all arrive, each once, in streams of their own."""
    model = driftline.instrument(lambda row: row["a"], name="m", version="1", endpoint=receiver.endpoint)
    if warm:  # the parent has a connection that was used, and a row that waits
        model({"a": -1})
        assert driftline.flush(10)
        model({"a": -2})

    def work(worker):
        for at in range(CALLS):
            model({"a": worker * CALLS + at})
            if at == CALLS // 2:
                driftline.flush(10)
        if not driftline.shutdown(20):
            raise TimeoutError

    workers = [in_child(lambda worker=worker: work(worker)) for worker in range(WORKERS)]
    model({"a": -3})
    assert all(ended_well(pid) for pid in workers)
    assert driftline.flush(20)
    expected = [-3, -2, -1] if warm else [-3]
    assert sorted(receiver.values("a")) == expected + list(range(WORKERS * CALLS))
    by_stream = {}
    for batch in receiver.batches:
        by_stream.setdefault(batch.stream, []).append(batch)
    assert len(by_stream) == WORKERS + 1
    for batches in by_stream.values():
        assert [batch.sequence for batch in batches] == list(range(len(batches)))
        assert batches[-1].rows_total == sum(batch.rows for batch in batches)


def test_fork_while_sending(receiver):
    """A child forked while the parent waits for an answer predicts, sends its own and ends; so does the parent."""
    model = driftline.instrument(lambda row: row["a"], name="m", version="1", endpoint=receiver.endpoint)
    receiver.gate.clear()
    model({"a": 1})
    assert not driftline.flush(0)
    assert receiver.asked.wait(10)

    def work():
        model({"a": 2})
        driftline.flush(0.2)  # nobody answers; what counts is that it comes back
        os.write(ready, b".")
        driftline.shutdown(20)

    read, ready = os.pipe()
    pid = in_child(work)
    assert os.read(read, 1) == b"."
    receiver.gate.set()
    assert ended_well(pid)
    assert driftline.flush(20)
    assert sorted(receiver.values("a")) == [1, 2]
    os.close(read)
    os.close(ready)


def test_fork_inside_a_call(receiver):
    """A call that forks counts in the parent, once; in the child it ends, though a lock was held at the fork."""
    recorder = Recorder("m", "1", settings=Settings(endpoint=receiver.endpoint))
    held, done = threading.Event(), threading.Event()

    def hold():
        with recorder.outlet.sender.buffer._lock:
            held.set()
            done.wait(30)

    with recorder.call(np.ones((1, 1))):
        thread = threading.Thread(target=hold)
        thread.start()
        assert held.wait(10)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(10)  # waiting for a thread that is not here would last for ever
        else:
            done.set()
            thread.join()
    if pid == 0:
        os._exit(0 if driftline.flush(0) else 1)
    assert ended_well(pid)
    assert driftline.flush(20)
    assert receiver.rows() == 1


def test_inherited_connection_is_closed(receiver):
    """A child keeps no hold on the parent's connection, and the parent's goes on."""
    recorder = Recorder("m", "1", settings=Settings(endpoint=receiver.endpoint))
    with recorder.call(np.ones((1, 1))):
        pass
    assert driftline.flush(20)
    descriptor = recorder.outlet.sender._transport._connection.sock.fileno()

    def work():
        try:
            os.fstat(descriptor)
        except OSError:
            return
        raise AssertionError

    assert ended_well(in_child(work))
    with recorder.call(np.ones((1, 1))):
        pass
    assert driftline.flush(20)
    assert recorder.outlet.sender._transport._connection.sock.fileno() == descriptor
    assert receiver.rows() == 2


def test_rows_leave_at_exit(receiver):
    """A process that just ends sends what it has, within its budget."""
    code = (
        "import sys, driftline\n"
        "model = driftline.instrument(len, name='m', version='1', endpoint=sys.argv[1])\n"
        "[model([{'a': at}]) for at in range(500)]"
    )
    subprocess.run([sys.executable, "-c", code, receiver.endpoint], check=True, timeout=60)
    assert sorted(receiver.values("a")) == list(range(500))
    assert receiver.values("@prediction") == [1] * 500
