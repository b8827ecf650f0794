"""The newest Prometheus and Alertmanager, the Collector, the examples in Go and Node.js: built into a cache.

And an old VictoriaMetrics with its vmalert, as Debian has it: unpacked, not installed.

Run as a program, as ``make stack`` does, it fetches Debian's packages too and builds what is not there yet.
Where there is no Go or no npm it says so and leaves that out, and the tests that need it are skipped by name.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from driftline.cli import binaries

PINS = tomllib.loads(Path(__file__).with_name("versions.toml").read_text())
BUILDER = Path(__file__).parents[1] / "collector-config" / "builder.yaml"
EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
COLLECTOR = "otelcol-driftline"
GO_SERVICE, NODE_SERVICE = "go-service", "node-service"
VICTORIA = ("victoria-metrics", "vmalert")
# a main module of its own, whatever workspace or flags are set here; replace directives forbid `go install`
GO = {"GOWORK": "off", "GOFLAGS": "-mod=mod -buildvcs=false"}


class Absent(Exception):
    """A program was not built; the text says how it is had."""


def need(*names: str) -> str:
    """Return where the programs *names* are, as a PATH.

    Raises:
        Absent: One was not built.
    """
    for name in names:
        if not (folder(name) / name).exists():
            raise Absent(f"{name} is missing: make stack builds it where there is {tool(name)}")
    return os.pathsep.join(dict.fromkeys(str(folder(name)) for name in names))


def tool(name: str) -> str:
    """Return which tool builds *name*."""
    if name in VICTORIA:
        return "apt-get"
    return "npm" if name == NODE_SERVICE else "go"


def folder(name: str) -> Path:
    """Return where *name* is once built: what is made from other sources has another folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "driftline" / "built" / _source(name)


def _source(name: str) -> str:
    files = {
        COLLECTOR: [BUILDER],
        GO_SERVICE: sorted((EXAMPLES / "go").glob("*.*")),
        NODE_SERVICE: sorted((EXAMPLES / "node").glob("*.*")),
    }
    if name in VICTORIA:
        return "victoria-metrics@debian"
    if name in files:
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files[name]))
        return f"{name}@{digest.hexdigest()[:12]}"
    return next(
        f"{kept}@{pin['version']}"
        for kept, pin in PINS.items()
        if kept != "builder" and name in pin["programs"]
    )


def build(name: str) -> None:
    """Build the program *name* and what is built with it; its folder appears whole or not at all."""
    target = folder(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".build-") as scratch:
        output = Path(scratch) / "bin"
        output.mkdir()
        makers = {COLLECTOR: _collector, GO_SERVICE: _go_service, NODE_SERVICE: _node_service}
        makers |= dict.fromkeys(VICTORIA, _victoria)
        makers.get(name, _module)(name, Path(scratch), output)
        try:
            output.rename(target)
        except OSError:  # somebody else was first
            if not target.exists():
                raise


def _module(name: str, scratch: Path, output: Path) -> None:
    pin = PINS[name]
    asked = _go("mod", "download", "-json", f"{pin['module']}@{pin['version']}", folder=scratch)
    source = scratch / "source"
    shutil.copytree(json.loads(asked)["Dir"], source, copy_function=shutil.copyfile)
    for path in (source, *source.rglob("*/")):
        path.chmod(0o755)  # the module cache is read-only, its folders too
    # the pages of Alertmanager's interface are made with npm and embedded: the API needs none, the compiler one
    page = source / "ui" / "app" / "dist" / "index.html"
    if name == "alertmanager":
        page.parent.mkdir(parents=True)
        page.write_text("This Alertmanager was built without its pages; its API is whole.\n")
    version = (source / "VERSION").read_text().strip()
    _go(
        "build",
        f"-ldflags=-s -w -X github.com/prometheus/common/version.Version={version}",
        f"-o={output}/",
        *(f"./cmd/{program}" for program in pin["programs"]),
        folder=source,
    )


def _collector(name: str, scratch: Path, output: Path) -> None:
    builder = f"go.opentelemetry.io/collector/cmd/builder@{PINS['builder']}"
    _go("run", builder, f"--config={BUILDER}", folder=scratch)
    (scratch / name / name).rename(output / name)


def _go_service(name: str, scratch: Path, output: Path) -> None:
    source = shutil.copytree(EXAMPLES / "go", scratch / "source")
    _go("build", f"-o={output / name}", ".", folder=source)


def _node_service(name: str, scratch: Path, output: Path) -> None:
    installed = shutil.ignore_patterns("node_modules")
    shutil.copytree(EXAMPLES / "node", output, dirs_exist_ok=True, ignore=installed)
    _run("npm", "ci", "--no-audit", "--no-fund", folder=output)
    (output / name).write_text('#!/bin/sh\nexec node "${0%/*}/service.js" "$@"\n')
    (output / name).chmod(0o755)


def _victoria(name: str, scratch: Path, output: Path) -> None:
    said = binaries._download("victoria-metrics", str(scratch))
    archive = next(scratch.glob("*.deb"), None)
    if archive is None:
        sys.exit(f"driftline: apt-get download victoria-metrics failed: {said}")
    _run("dpkg-deb", "-x", archive.name, ".", folder=scratch)
    for program in VICTORIA:
        (scratch / "usr" / "bin" / program).rename(output / program)


def _go(*arguments: str, folder: Path) -> str:
    return _run("go", *arguments, folder=folder)


def _run(*command: str, folder: Path) -> str:
    done = subprocess.run(
        ["nice", "-n", "19", *command],
        cwd=folder,
        env={**os.environ, **GO},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join(done.stderr.splitlines()[-20:])
        sys.exit(f"driftline: {' '.join(command)} failed:\n{said}")
    return done.stdout


def main() -> None:
    """Fetch and build what the stack tests run; a second run finds it all there."""
    for name in binaries.NAMES:
        try:
            binaries.need(name)
        except binaries.Missing as missing:
            print(f"driftline: {missing}")
    for name in ("prometheus", "alertmanager", COLLECTOR, GO_SERVICE, NODE_SERVICE, "vmalert"):
        if folder(name).exists():
            continue
        if shutil.which(tool(name)) is None:
            print(f"driftline: no {tool(name)} on the PATH, so {_source(name)} is not built")
            continue
        print(f"driftline: building {_source(name)}", flush=True)
        start = time.monotonic()
        build(name)
        print(f"driftline: built {_source(name)} in {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
