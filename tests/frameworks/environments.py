"""Where the frameworks' tests run: each set of frameworks in an environment of its own, made once and kept.

Run as a program, as ``make test-frameworks`` does, it makes what is not there yet, in ``~/.cache/driftline``,
and runs the tests in each; names of environments as arguments run those only.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]

ENVIRONMENTS = {
    "trees": {
        "sklearn": ("scikit-learn==1.9.1", "pandas==3.1.1"),
        "xgboost": ("xgboost-cpu==3.2.0",),  # the wheel without CUDA's libraries; one code, one module
        "lightgbm": ("lightgbm==4.7.0",),
        "catboost": ("catboost==1.2.10",),
        "onnxruntime": ("onnxruntime==1.31.1", "skl2onnx==1.20.0"),
    },
    "torch": {"torch": ("torch==2.15.0",)},
    "keras": {"keras": ("keras==3.15.1", "tensorflow-cpu==2.21.0")},
    "older": {  # as they were together in 2024, on numpy 1
        "sklearn": ("scikit-learn==1.5.2", "pandas==2.1.4", "scipy==1.13.1", "numpy==1.26.4"),
        "xgboost": ("xgboost-cpu==2.1.4",),
        "lightgbm": ("lightgbm==4.3.0",),
        "catboost": ("catboost==1.2.5",),
        "onnxruntime": ("onnxruntime==1.18.1", "skl2onnx==1.17.0", "onnx==1.16.2"),
    },
}
"""The modules of the frameworks that are tested in an environment, and what is installed for each."""

WARNINGS = {"older": "default"}
"""What becomes of warnings, where old libraries say that others have moved on; elsewhere they are errors."""

_TESTS = (
    *("numpy", "opentelemetry-api", "opentelemetry-instrumentation", "opentelemetry-proto", "pytest"),
    *("pytest-timeout", "wrapt"),
)


class Refused(Exception):
    """An environment cannot be made; the text says which and why."""


def python(name: str) -> Path:
    """Return the interpreter of environment *name*, made if it is not there yet; it appears whole or not at all."""
    wanted = [*_TESTS, *(pin for pins in ENVIRONMENTS[name].values() for pin in pins)]
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(" ".join([version, *wanted]).encode()).hexdigest()[:12]
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "driftline" / "frameworks" / f"{name}@{digest}"
    if not (folder / "installed.txt").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        print(f"driftline: installing {' '.join(wanted)}", flush=True)
        began = time.monotonic()
        _install(folder, wanted)
        (folder / "installed.txt").write_text("\n".join(wanted))
        print(f"driftline: installed in {time.monotonic() - began:.0f} s", flush=True)
    return folder / "bin" / "python"


def _install(folder: Path, wanted: list[str]) -> None:
    """Make the environment *folder*, with uv where there is one, as the Makefile does."""
    if shutil.which("uv"):
        steps = [["uv", "venv", "-q", "--python", sys.executable, folder]]
        steps += [["uv", "pip", "install", "-q", "--python", folder / "bin" / "python", *wanted]]
    else:
        steps = [[sys.executable, "-m", "venv", folder]]
        steps += [
            [folder / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted]
        ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(folder, ignore_errors=True)
            raise Refused(f"{' '.join(map(str, step))} failed:\n{done.stderr[-1000:]}")


def run(name: str, *arguments: str) -> int:
    """Run the tests of environment *name*; return pytest's exit code."""
    command = [python(name), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/frameworks", *arguments]
    command += ["-o", f"filterwarnings={WARNINGS.get(name, 'error')}"]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests"))),
        "DRIFTLINE_FRAMEWORKS": " ".join(ENVIRONMENTS[name]),
        "DRIFTLINE_ENVIRONMENT": name,
    }
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> None:
    """Run the tests in the environments that are named, or in all."""
    asked = sys.argv[1:] or list(ENVIRONMENTS)
    unknown = [name for name in asked if name not in ENVIRONMENTS]
    if unknown:
        sys.exit(f"driftline: no environment {', '.join(unknown)}; there are {', '.join(ENVIRONMENTS)}")
    failed = []
    for name in asked:
        print(f"driftline: {name}", flush=True)
        try:
            if run(name):
                failed.append(name)
        except Refused as refused:
            print(f"driftline: {refused}", flush=True)
            failed.append(name)
    sys.exit(f"driftline: failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
