"""Real Prometheus, Alertmanager and sidecars as children of this process: for the demo and the stack tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from driftline import names
from driftline.cli import binaries
from driftline.errors import DriftlineError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIED = Path(__file__).with_name("tied.py")
_SHOWN_LINES = 20
_STOP_SECONDS = 5.0

READY_SECONDS = 60.0
"""How long a program may take to answer: a busy machine's import of scikit-learn takes ten."""


class ChildEnded(DriftlineError):
    """A program ended, or was not ready in time; the text ends with the last lines of its log."""


@dataclass(frozen=True)
class Child:
    """A program that was started, and where it writes."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        """Return the last lines of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-_SHOWN_LINES:]
        return "\n".join(f"  {self.name}: {line}" for line in lines) or f"  {self.name} wrote nothing"


class Children:
    """Programs that end when the block ends, by whatever way, and are killed when this process is.

    Each is the leader of a session of its own: Ctrl-C reaches only us, and we stop them last first.
    Start them in the main thread, for the kernel ends a child with the *thread* that started it.

    Args:
        folder: Where their logs, configurations and data go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in reversed(self._running):
            child.process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        for child in reversed(self._running):
            try:
                child.process.wait(max(0.0, deadline - time.monotonic()))
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                deadline = 0.0
            with contextlib.suppress(ProcessLookupError):  # what it may have started itself
                os.killpg(child.process.pid, signal.SIGKILL)
            child.process.wait()
        self._running.clear()

    def start(self, name: str, *command: str | Path, ready: str) -> Child:
        """Launch *command* and wait until the address *ready* answers.

        Raises:
            ChildEnded: It did not get ready.
        """
        child = self.launch(name, *command)
        self.await_ready(child, ready)
        return child

    def launch(self, name: str, *command: str | Path, environment: Mapping[str, str] | None = None) -> Child:
        """Start *command* and do not wait.

        Args:
            name: What it is called in errors, and its log's name.
            command: The program and its arguments.
            environment: Variables added to ours.
        """
        log = self.folder / f"{name}.log"
        tied = (sys.executable, "-I", "-S", str(_TIED), str(os.getpid()))
        with log.open("ab") as output:
            process = subprocess.Popen(
                [*tied, *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        child = Child(name, process, log)
        self._running.append(child)
        return child

    def await_ready(self, child: Child, address: str, *, within: float = READY_SECONDS) -> None:
        """Wait until *address* answers 200.

        Raises:
            ChildEnded: It does not *within* so many seconds, or a child has ended.
        """
        deadline = time.monotonic() + within
        while not answers(address):
            self.check()
            if time.monotonic() > deadline:
                raise ChildEnded(
                    f"{child.name} was not ready within {within:.0f} s ({address})\n{child.said()}"
                )
            time.sleep(0.05)

    def stop(self, child: Child, number: signal.Signals = signal.SIGTERM) -> int:
        """End one of them with SIGTERM, or the signal given; return its exit code."""
        child.process.send_signal(number)
        code = child.process.wait(_STOP_SECONDS)
        self._running.remove(child)
        return code

    def check(self) -> None:
        """Raise when one has ended by itself.

        Raises:
            ChildEnded: With the last it said.
        """
        for child in self._running:
            code = child.process.poll()
            if code is not None:
                raise ChildEnded(f"{child.name} ended with code {code}\n{child.said()}")


def free_ports(count: int) -> tuple[int, ...]:
    """Return *count* different ports of 127.0.0.1 that nobody listens on."""
    with contextlib.ExitStack() as open_sockets:
        ports = []
        for _ in range(count):
            taken = open_sockets.enter_context(socket.socket())
            taken.bind(("127.0.0.1", 0))
            ports.append(int(taken.getsockname()[1]))
        return tuple(ports)


def prometheus(children: Children, config: str, *, port: int | None = None, name: str = "prometheus") -> str:
    """Start Prometheus on the text *config*, whose relative paths begin at the children's folder; return its URL."""
    return _serving(
        children,
        "prometheus",
        config,
        f"--storage.tsdb.path={children.folder / name}",
        # an alert of the first seconds finds no Alertmanager discovered yet: not a minute till the next try
        "--rules.alert.resend-delay=2s",
        "--web.enable-lifecycle",
        port=port,
        name=name,
    )


def alertmanager(
    children: Children, config: str, *, port: int | None = None, name: str = "alertmanager"
) -> str:
    """Start one Alertmanager without peers on the text *config*; return its URL."""
    storage = f"--storage.path={children.folder / name}"
    return _serving(
        children, "alertmanager", config, storage, "--cluster.listen-address=", port=port, name=name
    )


def _serving(
    children: Children, program: str, config: str, *options: str, port: int | None, name: str
) -> str:
    file = children.folder / f"{name}.yml"
    file.write_text(config)
    address = f"127.0.0.1:{port or free_ports(1)[0]}"
    children.start(
        name,
        binaries.need(program),
        f"--config.file={file}",
        f"--web.listen-address={address}",
        "--log.level=warn",
        *options,
        ready=f"http://{address}/-/ready",
    )
    return f"http://{address}"


def sidecar(children: Children, config: Path, *, metrics: str, name: str = "sidecar") -> Child:
    """Start ``driftline sidecar`` on the file *config*, whose ``listen.metrics`` is *metrics*."""
    command = (sys.executable, "-m", "driftline.cli", "sidecar", "--config", config)
    return children.start(name, *command, ready=f"http://{metrics}/-/ready")


def answers(url: str) -> bool:
    """Return whether *url* answers 200 now."""
    try:
        with _open(url, timeout=1.0) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def query(prometheus_url: str, expression: str) -> list[tuple[dict[str, str], float]]:
    """Return the labels and value of every series of an instant query; none while Prometheus is out of reach."""
    data = _get(f"{prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    return [(found["metric"], float(found["value"][1])) for found in data["data"]["result"]]


def alerts(prometheus_url: str) -> list[dict[str, Any]]:
    """Return every pending and firing alert of Prometheus: ``labels``, ``annotations``, ``state``, ``activeAt``."""
    return list(_get(f"{prometheus_url}/api/v1/alerts")["data"]["alerts"])


def local_drift(metrics: str, window: str) -> dict[str, float]:
    """Return the PSI by feature that one sidecar alone computes, from the address of its metrics."""
    from prometheus_client.parser import text_string_to_metric_families

    with _open(metrics, timeout=10.0) as response:
        families = text_string_to_metric_families(response.read().decode())
        return {
            sample.labels["feature"]: sample.value
            for family in families
            if family.name == names.LOCAL_DRIFT.name
            for sample in family.samples
            if sample.labels["statistic"] == "psi" and sample.labels["window"] == window
        }


def _get(url: str) -> Any:
    try:
        with _open(url, timeout=10.0) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        raise DriftlineError(
            f"{url} answered {error.code}: {error.read().decode(errors='replace')}"
        ) from error


def _open(url: str, timeout: float) -> Any:
    # a proxy set for the outside world knows nothing of our loopback
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(url, timeout=timeout)
