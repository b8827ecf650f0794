"""The demo ends everything it started, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "kill"])
def test_the_demo_ends_with_all_it_started(tmp_path, number):
    """Told to stop, it stops its services and sidecars, removes its files and says so, with the shell's code."""
    # without Prometheus, which is only another child
    environment = {
        **os.environ,
        "TMPDIR": str(tmp_path),
        "DRIFTLINE_BIN_DIR": str(tmp_path),
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "-m", "driftline.cli", "demo"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as demo:
        for line in demo.stdout:
            if "serving" in line:
                break
        started = children(demo.pid)
        assert len(started) == 4
        demo.send_signal(number)
        _, said = demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert "stopped, and so is everything it started" in said
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert list(tmp_path.iterdir()) == []
