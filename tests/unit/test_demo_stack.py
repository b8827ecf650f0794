"""Programs that end with us, however we end; the phone; the rule that skips what cannot run."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from driftline.cli.demo.phone import Phone
from driftline.cli.demo.stack import ChildEnded, Children, free_ports

LISTEN = "import http.server, sys; http.server.test(http.server.SimpleHTTPRequestHandler, port=int(sys.argv[1]), bind='127.0.0.1')"
PARENT = f"""
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell started us in the background
from pathlib import Path
from driftline.cli.demo.stack import Children, free_ports
with Children(Path(sys.argv[1])) as children:
    port, = free_ports(1)
    child = children.start("web", sys.executable, "-c", {LISTEN!r}, port, ready=f"http://127.0.0.1:{{port}}/")
    print(child.process.pid, flush=True)
    time.sleep(600)
"""


def start(children, name="web"):
    (port,) = free_ports(1)
    return children.start(name, sys.executable, "-c", LISTEN, str(port), ready=f"http://127.0.0.1:{port}/")


def gone(pid, within=10.0):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True  # ended; its new parent has yet to hear of it
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_children_end_with_the_block(tmp_path):
    """Leaving the block, by an error too, ends every child."""
    started = []

    def fail_with_children():
        with Children(tmp_path) as children:
            started.extend([start(children, "a"), start(children, "b")])
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        fail_with_children()
    assert len(started) == 2
    assert all(child.process.returncode is not None for child in started)


@pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel ends children of a killed process on Linux only"
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_children_end_with_the_process(tmp_path, number):
    """Ctrl-C, and a kill that leaves no time to tidy up, end every child."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as parent:
        child = int(parent.stdout.readline())
        parent.send_signal(number)
        parent.wait(20)
    assert gone(child)


def test_a_stubborn_child_is_killed(tmp_path, monkeypatch):
    """A child that ignores SIGTERM is killed after a while."""
    monkeypatch.setattr("driftline.cli.demo.stack._STOP_SECONDS", 0.2)
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + LISTEN.replace("; ", "\n")
    (port,) = free_ports(1)
    with Children(tmp_path) as children:
        child = children.start(
            "x", sys.executable, "-c", stubborn, str(port), ready=f"http://127.0.0.1:{port}/"
        )
    assert child.process.returncode == -signal.SIGKILL


def test_a_child_that_ends_says_why(tmp_path):
    """A child that ends before it is ready is an error with its code and its last lines."""
    with (
        Children(tmp_path) as children,
        pytest.raises(ChildEnded, match=r"(?s)x ended with code 3.*x: no such file"),
    ):
        children.start(
            "x", sys.executable, "-c", "print('no such file'); exit(3)", ready="http://127.0.0.1:9/"
        )


def test_a_child_that_is_never_ready(tmp_path):
    """A child that runs and does not answer is an error, and ends."""
    with Children(tmp_path) as children:
        child = children.launch("x", "sleep", "60")
        with pytest.raises(ChildEnded, match=r"x was not ready within 0 s .*\n  x wrote nothing"):
            children.await_ready(child, "http://127.0.0.1:9/", within=0.2)
        children.check()


def test_one_ended_child_is_noticed(tmp_path):
    """check() names a child that ended by itself; stop() returns the code of one that was told to."""
    with Children(tmp_path) as children:
        stopped, killed = start(children, "a"), start(children, "b")
        assert children.stop(stopped) == -signal.SIGTERM
        children.check()
        os.kill(killed.process.pid, signal.SIGKILL)
        killed.process.wait()
        with pytest.raises(ChildEnded, match="b ended with code -9"):
            children.check()


def test_the_phone_keeps_calls():
    """What is posted is kept in order, under the receiver's name; resolved alerts are not among those that fire."""
    body = {"alerts": [{"status": "firing", "n": 1}, {"status": "resolved", "n": 2}]}
    before = time.time()
    with Phone() as phone:
        for receiver in ("tickets", "pager"):
            request = urllib.request.Request(
                f"{phone.url}/{receiver}", json.dumps(body).encode(), method="POST"
            )
            with urllib.request.urlopen(request, timeout=5) as response:
                assert response.status == 200
    assert [call.receiver for call in phone.calls] == ["tickets", "pager"]
    assert phone.calls[0].alerts == [{"status": "firing", "n": 1}]
    assert before <= phone.calls[0].at <= phone.calls[1].at


@pytest.mark.parametrize(("required", "outcome"), [("", "skipped"), ("1", "error")])
def test_missing_parts(tmp_path, required, outcome):
    """A stack test without its part is skipped with the part's name, and an error where the stack is required."""
    (tmp_path / "test_it.py").write_text("import pytest\n@pytest.mark.stack('amtool')\ndef test_it(): pass\n")
    (tmp_path / "conftest.py").write_text((Path(__file__).parents[1] / "conftest.py").read_text())
    environment = {**os.environ, "DRIFTLINE_BIN_DIR": str(tmp_path), "DRIFTLINE_REQUIRE_STACK": required}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-rA",
            "-p",
            "no:cacheprovider",
            "-c",
            os.devnull,
            f"--rootdir={tmp_path}",
        ],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
        env=environment,
        cwd=tmp_path,
    )
    assert f"1 {outcome}" in ran.stdout
    assert "amtool is missing" in ran.stdout
