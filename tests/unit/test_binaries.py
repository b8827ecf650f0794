"""Finding Prometheus and Alertmanager: where they are looked for, and what is said when they are not there."""

import os
import subprocess
from pathlib import Path

import pytest

from driftline.cli import binaries

VERSION = "#!/bin/sh\necho '{name}, version {version} (branch: x)'\n"


def program(folder: Path, name: str, version: str = "2.42.0") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(VERSION.format(name=name, version=version))
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """Nothing is on the PATH but the shell, nothing is cached, nothing is remembered."""
    (tmp_path / "path").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("DRIFTLINE_BIN_DIR", raising=False)
    binaries.need.cache_clear()
    yield
    binaries.need.cache_clear()


def apt(folder: Path, *, packages: bool, says: str = "") -> Path:
    """An apt-get and a dpkg-deb whose archive is one file; downloads count in the file ``log``."""
    content = "for p in prometheus promtool; do printf '%s\\n' '#!/bin/sh' 'echo x, version 2.42.0' > $3/usr/bin/$p; done"
    script = f'#!/bin/sh\necho "$@" >> {folder}/log\n'
    script += "case $* in *download*) echo > p.deb;; esac\n" if packages else f"echo '{says}' >&2; exit 100\n"
    unpack = f"#!/bin/sh\n/bin/mkdir -p $3/usr/bin\n{content}\n/bin/chmod +x $3/usr/bin/*\n"
    for name, text in (("apt-get", script), ("dpkg-deb", unpack)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    return folder / "log"


def test_the_named_folder_decides_alone(tmp_path, monkeypatch):
    """DRIFTLINE_BIN_DIR comes before the PATH, and nothing else is tried when it does not hold the program."""
    program(tmp_path / "path", "prometheus")
    monkeypatch.setenv("DRIFTLINE_BIN_DIR", str(tmp_path / "own"))
    with pytest.raises(binaries.Missing, match=r"DRIFTLINE_BIN_DIR=.*own does not hold it"):
        binaries.need("prometheus")
    expected = program(tmp_path / "own", "prometheus")
    assert binaries.need("prometheus") == expected


def test_path_before_cache_before_debian(tmp_path):
    """The PATH wins over the cache; with either, apt is not asked."""
    log = apt(tmp_path / "path", packages=True)
    cached = program(tmp_path / "cache/driftline/debian/usr/bin", "promtool")
    assert binaries.need("promtool") == cached
    binaries.need.cache_clear()
    on_path = program(tmp_path / "path", "promtool")
    assert binaries.need("promtool") == on_path
    assert not log.exists()


def test_debians_name_of_alertmanager(tmp_path):
    """Alertmanager is found under the name that Debian gives it."""
    expected = program(tmp_path / "path", "prometheus-alertmanager", "0.25.0")
    assert binaries.need("alertmanager") == expected


@pytest.mark.parametrize(
    ("name", "version"), [("prometheus", "2.41.0"), ("promtool", "1.9.9"), ("amtool", "0.24.0")]
)
def test_too_old_is_refused(tmp_path, name, version):
    """A program that cannot load the shipped files is refused, with its path and what is needed."""
    path = program(tmp_path / "path", name, version)
    with pytest.raises(binaries.Missing, match=f"{path} is version {version[:-2]}, the shipped files need"):
        binaries.need(name)
    assert binaries.find(name) is None


@pytest.mark.parametrize("version", ["2.42.0", "2.100.1", "3.0.0"])
def test_young_enough(tmp_path, version):
    """Versions are compared as numbers: 2.100 is above 2.42."""
    path = program(tmp_path / "path", "prometheus", version)
    assert binaries.find("prometheus") == path


def test_what_does_not_run_is_missing(tmp_path):
    """A program of another machine is missing, not an unhandled error."""
    path = program(tmp_path / "path", "prometheus")
    path.write_bytes(b"\x7fELF of another machine")
    with pytest.raises(binaries.Missing, match="does not run"):
        binaries.need("prometheus")


def test_fetched_once_and_left_whole(tmp_path):
    """Debian's package is unpacked into the cache, both its programs at once, and nothing else stays there."""
    log = apt(tmp_path / "path", packages=True)
    cache = tmp_path / "cache/driftline/debian/usr/bin"
    assert binaries.need("prometheus") == cache / "prometheus"
    assert binaries.need("promtool") == cache / "promtool"
    assert len(log.read_text().splitlines()) == 1
    assert [p.name for p in (tmp_path / "cache/driftline/debian").iterdir()] == ["usr"]


def test_no_debian_says_what_to_install():
    """Without apt the remedy names the package and the variable."""
    with pytest.raises(
        binaries.Missing, match=r"no Debian with apt; install it .* prometheus-alertmanager\), or set"
    ):
        binaries.need("amtool")


@pytest.mark.parametrize(("user", "asked"), [(0, ["download", "update", "download"]), (1000, ["download"])])
def test_no_network_says_what_apt_said(tmp_path, monkeypatch, user, asked):
    """A failed download is reported in apt's words; only root may renew the package lists first."""
    log = apt(tmp_path / "path", packages=False, says="E: Unable to locate package prometheus")
    monkeypatch.setattr(os, "geteuid", lambda: user)
    with pytest.raises(
        binaries.Missing, match=r"failed .E: Unable to locate package prometheus.; install it"
    ):
        binaries.need("prometheus")
    assert [next(w for w in line.split() if w in asked) for line in log.read_text().splitlines()] == asked


def test_cache_that_cannot_be_written(tmp_path, monkeypatch):
    """A home that is no folder is a missing program, not a crash."""
    apt(tmp_path / "path", packages=True)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(binaries.Missing, match="cannot be unpacked"):
        binaries.need("prometheus")


def test_a_half_unpacked_package_is_not_used(tmp_path):
    """When dpkg-deb fails, what it left is thrown away: the cache never holds half a program."""
    apt(tmp_path / "path", packages=True)
    with (tmp_path / "path" / "dpkg-deb").open("a") as script:
        script.write("exit 2\n")
    with pytest.raises(binaries.Missing, match="cannot be unpacked"):
        binaries.need("prometheus")
    assert not list((tmp_path / "cache/driftline/debian").iterdir())


def test_alertmanager_is_made_movable(tmp_path):
    """Debian's Alertmanager, which looks below /usr/share, looks beside itself once unpacked; no byte moves."""
    binary = tmp_path / "usr/bin/prometheus-alertmanager"
    binary.parent.mkdir(parents=True)
    binary.touch(0o755)
    binary.write_bytes(b"#!/bin/sh\ncat /usr/share/prometheus/alertmanager/default.tmpl; echo $1\n")
    template = tmp_path / "usr/share/prometheus/alertmanager/default.tmpl"
    template.parent.mkdir(parents=True)
    template.write_text("its template\n")
    before = binary.read_bytes()
    binaries._make_movable(tmp_path)
    moved = (tmp_path / "usr/libexec/prometheus-alertmanager").read_bytes()
    assert len(moved) == len(before)
    assert moved.replace(b"usr//share", b"/usr/share") == before
    said = subprocess.run(
        [binary, "given"], capture_output=True, check=True, env={"PATH": "/bin"}, cwd="/", text=True
    )
    assert said.stdout == "its template\ngiven\n"
