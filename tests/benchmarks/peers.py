"""The peers that are measured beside driftline: each in an environment of its own, for their pins conflict.

``measure("evidently", script)`` makes ``~/.cache/driftline/peers/evidently`` once, a minute or two and up to
2 GB, and runs *script* there in a process of its own. A script imports nothing of ours; it prints one JSON
object, and any of ``cpu``'s figures is comparable, over processes, by way of ``reference``.
"""

import json
import os
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

FOLDER = Path.home() / ".cache" / "driftline" / "peers"

PEERS = {
    "bentoml": ("bentoml", "numpy"),
    "boxkite": ("boxkite",),
    "evidently": ("evidently", "pandas<3"),  # its import fails on pandas 3
    "nannyml": (
        "nannyml",
        "statsmodels",
        "pandas<3",
    ),  # which it needs and does not declare; fails on pandas 3
    "scouter": ("scouter-ml", "pandas", "numpy"),
    "whylogs": ("whylogs[viz]", "pandas<3", "numpy<2"),  # text columns fail on numpy 2
}
"""What is installed for each; a pin is what it takes to run at all, and that there is one is a finding."""

SILENT = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "WHYLOGS_NO_ANALYTICS": "True",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class Refused(Exception):
    """A peer that cannot be installed or does not run; it is named in the table, with the reason."""


def measure(peer, script, *arguments, within=900):
    """Return the JSON that *script* prints in the environment of *peer*."""
    run = _run([_python(peer), "-W", "ignore", script, *arguments], within)
    try:
        return json.loads(run.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise Refused(f"{peer}: {(run.stderr or run.stdout)[-300:]}") from error


def _python(peer):
    folder = FOLDER / peer
    python, ready = folder / "bin" / "python", folder / "installed.txt"
    wanted = "\n".join(PEERS[peer])
    if not ready.exists() or ready.read_text() != wanted:
        folder.parent.mkdir(parents=True, exist_ok=True)
        venv.create(folder, with_pip=True, clear=True)
        pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *PEERS[peer]]
        if (run := _run(pip, 1800)).returncode:
            raise Refused(f"{peer}: pip install {' '.join(PEERS[peer])}: {run.stderr[-300:]}")
        ready.write_text(wanted)
    return python


def _run(command, within):
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=within, env=os.environ | SILENT
        )
    except subprocess.TimeoutExpired as error:
        raise Refused(f"{command[-1]} took more than {within} s") from error


# --- for the scripts themselves, which run where nothing but the peer is ------------------------


def cpu(works, repetitions=5):
    """Return the median CPU time of each of *works*, in microseconds, run in turn after a first time.

    One that raises has the text of its error instead.
    """
    found = {name: [] for name in works}
    for repetition in range(repetitions + 1):
        for name, work in works.items():
            if isinstance(found[name], str):
                continue
            began = time.process_time()
            try:
                work()
            except Exception as error:  # noqa: BLE001 - whatever a peer raises
                found[name] = f"{type(error).__name__}: {error}"[:200]
                continue
            if repetition:
                found[name].append((time.process_time() - began) * 1e6)
    return {name: told if isinstance(told, str) else statistics.median(told) for name, told in found.items()}


def reference():
    """Return the CPU time, in microseconds, of work that is the same in every process: so noisy is the machine."""

    def work():
        total = 0
        for number in range(200_000):
            total += number * number
        return total

    return cpu({"reference": work})["reference"]


def say(**what):
    """Print the one line that :func:`measure` reads."""
    print(json.dumps(what))
    sys.stdout.flush()
