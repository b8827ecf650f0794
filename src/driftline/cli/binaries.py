"""Where Prometheus, Alertmanager and their tools are, and how they are had on Debian without being installed."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from driftline.errors import DriftlineError

_PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "alertmanager": "prometheus-alertmanager",
    "amtool": "prometheus-alertmanager",
}
_DEBIAN_NAMES = {"alertmanager": "prometheus-alertmanager"}
_OLDEST = {
    "prometheus": ((2, 42), "keep_firing_for"),
    "promtool": ((2, 42), "keep_firing_for"),
    "alertmanager": ((0, 25), "active_time_intervals as the shipped routes use them"),
    "amtool": ((0, 25), "active_time_intervals as the shipped routes use them"),
}
_APT = ("apt-get", "-q", "-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1")
_APT_SECONDS = 180
_KEPT = ("usr/share/prometheus/alertmanager", "usr/libexec", "usr/bin")  # programs last: once there, they run
_DEBIAN_SHARE = b"/usr/share/prometheus/alertmanager"
_OWN_SHARE = b"usr//share/prometheus/alertmanager"  # of the same length, from the working directory
_IN_OWN_FOLDER = """\
#!/bin/sh
# Debian's Alertmanager reads its templates below /usr/share; this copy of it does below the working directory.
cd "${0%/*}/../.." && exec usr/libexec/prometheus-alertmanager "$@"
"""

NAMES = tuple(_PACKAGES)
"""The programs that can be asked for."""


class Missing(DriftlineError):
    """A program that is not here; ``name`` is which, ``remedy`` what to do about it."""

    def __init__(self, name: str, remedy: str) -> None:
        self.name = name
        self.remedy = remedy
        super().__init__(f"{name} is missing: {remedy}")


def find(name: str) -> Path | None:
    """Return where the program *name*, one of ``NAMES``, is; None when it cannot be had."""
    try:
        return need(name)
    except Missing:
        return None


@functools.cache
def need(name: str) -> Path:
    """Return where the program *name*, one of ``NAMES``, is.

    ``DRIFTLINE_BIN_DIR`` decides alone where it is set. Else the PATH is searched, then the cache, and
    at last Debian's package is fetched into the cache: unpacked, not installed, so no service starts and
    nobody has to be root.

    Raises:
        Missing: It is nowhere, or what is there is too old for the shipped rules.
    """
    names = dict.fromkeys((name, _DEBIAN_NAMES.get(name, name)))
    given = os.environ.get("DRIFTLINE_BIN_DIR")
    if given:
        path = _which(names, given)
        if path is None:
            raise Missing(
                name, f"DRIFTLINE_BIN_DIR={given} does not hold it; put it there, or unset the variable"
            )
        return _young_enough(name, path)
    path = _which(names, os.environ.get("PATH", os.defpath)) or _which(names, str(_cache() / "usr/bin"))
    if path is None:
        _fetch(name)
        path = _which(names, str(_cache() / "usr/bin"))
    if path is None:
        raise Missing(name, f"Debian's package {_PACKAGES[name]} does not hold it; {_install(name)}")
    return _young_enough(name, path)


def _which(names: dict[str, None], folders: str) -> Path | None:
    found = (shutil.which(name, path=folders) for name in names)
    return next((Path(path) for path in found if path), None)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "driftline" / "debian"


def _install(name: str) -> str:
    return (
        f"install it (Debian: sudo apt-get install {_PACKAGES[name]}), or set DRIFTLINE_BIN_DIR to its folder"
    )


def _young_enough(name: str, path: Path) -> Path:
    try:
        shown = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(name, f"{path} does not run ({error}); {_install(name)}") from error
    found = re.search(r"version v?(\d+)\.(\d+)", shown.stdout + shown.stderr)
    oldest, reason = _OLDEST[name]
    if found is None or (int(found[1]), int(found[2])) < oldest:
        version = f"version {found[1]}.{found[2]}" if found else "of an unknown version"
        floor = ".".join(map(str, oldest))
        raise Missing(
            name, f"{path} is {version}, the shipped files need {floor} for {reason}; {_install(name)}"
        )
    return path


def _fetch(name: str) -> None:
    """Unpack Debian's package of *name* and put its programs into the cache, each file by an atomic rename."""
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb"):
        raise Missing(name, f"it is not on the PATH, and this is no Debian with apt; {_install(name)}")
    package = _PACKAGES[name]
    cache = _cache()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".fetch-") as folder:
            said = _download(package, folder)
            archive = next(Path(folder).glob("*.deb"), None)
            if archive is None:
                raise Missing(name, f"apt-get download {package} failed ({said}); {_install(name)}")
            code, _ = _run("dpkg-deb", "-x", archive.name, ".", folder=folder)
            if code != 0:
                raise OSError("dpkg-deb failed")  # noqa: TRY301 - as when it is absent or the disk is full
            _make_movable(Path(folder))
            for path in (
                path for kept in _KEPT for path in (Path(folder) / kept).glob("*") if path.is_file()
            ):
                target = cache / path.relative_to(folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(
            name, f"Debian's package {package} cannot be unpacked ({error}); {_install(name)}"
        ) from error


def _make_movable(root: Path) -> None:
    """Let Alertmanager, unpacked below *root*, run without being installed: it wants its templates to start.

    They are looked for at a path that Debian compiled in, and no flag changes it; so the copy is changed.
    Started through a script in its own folder, it takes absolute paths only.
    """
    program = root / "usr/bin/prometheus-alertmanager"
    if program.exists():
        moved = root / "usr/libexec" / program.name
        moved.parent.mkdir(parents=True)
        moved.write_bytes(program.read_bytes().replace(_DEBIAN_SHARE, _OWN_SHARE))
        moved.chmod(0o755)
        program.write_text(_IN_OWN_FOLDER)


def _download(package: str, folder: str) -> str:
    """Download *package* into *folder*; return the last thing apt said.

    Package lists that are absent or name files no longer there are renewed where we may, as root; the
    lists of others' archives may fail as they like.
    """
    code, said = _run(*_APT, "download", package, folder=folder)
    if code != 0 and os.geteuid() == 0:
        _run(*_APT, "update", folder=folder)
        _, said = _run(*_APT, "download", package, folder=folder)
    return said


def _run(*command: str, folder: str) -> tuple[int, str]:
    ended = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=_APT_SECONDS, check=False
    )
    errors = [line for line in ended.stderr.splitlines() if line.startswith("E:")]
    return ended.returncode, errors[-1] if errors else ""


if __name__ == "__main__":  # for the Makefile: python -m driftline.cli.binaries promtool
    try:
        print(need(sys.argv[1]))
    except Missing as missing:
        sys.exit(f"driftline: {missing}")
