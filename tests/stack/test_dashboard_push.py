"""``driftline dashboards push`` through the real grafana-client, against a stand-in that keeps Grafana's HTTP API.

grafana-client never enters the environment of the tests, for its dependencies replace urllib3: it is installed
into a folder of its own, which only the pushing process sees.
"""

import copy
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from driftline.dashboards import DASHBOARDS

PINNED = "grafana-client==5.1.4"
TOKEN = "glsa_good"


class Grafana(ThreadingHTTPServer):
    """What the documentation of Grafana's HTTP API says of folders, data sources and dashboards."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.version = "11.6.0"
        self.may_write = True
        self.prefix = ""
        self.folders, self.sources, self.dashboards, self.writes = {}, {}, {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def answer(self, method, path, token, body):
        if not path.startswith(f"{self.prefix}/api/"):
            return None
        if token != f"Bearer {TOKEN}":
            return 401, {"message": "Invalid API key"}
        path = path.removeprefix(f"{self.prefix}/api")
        if path == "/frontend/settings":
            return 200, {"buildInfo": {"version": self.version}}
        if method != "GET":
            if not self.may_write:
                return 403, {"message": "You'll need additional permissions"}
            self.writes.append(path)
        kind, _, uid = path.strip("/").partition("/")
        return getattr(self, f"_{kind}")(method, uid, body)

    def _folders(self, method, uid, body):
        if method == "POST":
            self.folders[body["uid"]] = body
            return 200, body
        return (200, self.folders[uid]) if uid in self.folders else (404, {"message": "folder not found"})

    def _datasources(self, method, uid, body):
        uid = uid.removeprefix("uid/")
        if method == "POST" and body["name"] in {source["name"] for source in self.sources.values()}:
            return 409, {"message": "data source with the same name already exists"}
        if method in ("POST", "PUT"):
            self.sources[body["uid"]] = body
            return 200, {"datasource": body}
        return (
            (200, self.sources[uid]) if uid in self.sources else (404, {"message": "Data source not found"})
        )

    def _dashboards(self, method, path, body):
        if method == "GET":
            found = self.dashboards.get(path.removeprefix("uid/"))
            return (200, found) if found else (404, {"message": "Dashboard not found"})
        sent = body["dashboard"]
        there = self.dashboards.get(sent["uid"])
        if there and there["meta"].get("provisioned"):
            return 400, {"message": "Cannot save provisioned dashboard"}
        if there and sent["version"] != there["dashboard"]["version"] and not body["overwrite"]:
            return 412, {
                "status": "version-mismatch",
                "message": "The dashboard has been changed by someone else",
            }
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found"}
        number = there["dashboard"]["version"] + 1 if there else 1
        stored = {**sent, "id": sent["id"] or len(self.dashboards) + 1, "version": number}
        self.dashboards[sent["uid"]] = {"dashboard": stored, "meta": {"folderUid": body["folderUid"]}}
        return 200, {"status": "success", "uid": sent["uid"], "version": number}


class Answer(BaseHTTPRequestHandler):
    def respond(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.answer(
            self.command, self.path, self.headers.get("Authorization"), json.loads(body) if body else None
        )
        code, said = answer or (404, "<html>not here</html>")
        self.send_response(code)
        self.send_header("Content-Type", "application/json" if answer else "text/html")
        self.end_headers()
        self.wfile.write(json.dumps(said).encode() if answer else said.encode())

    do_GET = do_POST = do_PUT = respond  # noqa: N815 - so http.server calls them

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def client():
    """The folder of grafana-client and what comes with it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "driftline" / PINNED
    if not (cache / "grafana_client").exists():
        uv = shutil.which("uv")  # whose environments have no pip
        pip = (
            [uv, "pip", "install", "--python", sys.executable]
            if uv
            else [sys.executable, "-m", "pip", "install"]
        )
        install = [*pip, "-q", "--target", str(cache), PINNED]
        done = subprocess.run(install, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = f"{PINNED} cannot be installed: {done.stderr[-300:]}"
            pytest.fail(reason) if os.environ.get("DRIFTLINE_REQUIRE_STACK") == "1" else pytest.skip(reason)
    return cache


@pytest.fixture
def grafana():
    with Grafana() as server:
        yield server
        server.shutdown()


@pytest.fixture
def push(client, grafana):
    def run(*arguments, url=None, token=TOKEN, packages=client):
        environment = {k: v for k, v in os.environ.items() if k not in ("GRAFANA_URL", "GRAFANA_TOKEN")}
        environment |= {"PYTHONPATH": os.pathsep.join([str(packages), *sys.path]), "GRAFANA_TOKEN": token}
        command = [sys.executable, "-m", "driftline.cli", "dashboards", "push"]
        return subprocess.run(
            [*command, "--url", url or grafana.url, *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    return run


def test_push_makes_all_of_it_once(push, grafana):
    """The first push makes folder, data source and dashboards, the second finds all as it should be."""
    first = push("--prometheus", "http://prometheus:9090")
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.splitlines() == [
        "folder driftline: created",
        "data source driftline-prometheus: created",
        *(f"{uid}: created" for uid in DASHBOARDS),
    ]
    assert {uid: found["meta"]["folderUid"] for uid, found in grafana.dashboards.items()} == dict.fromkeys(
        DASHBOARDS, "driftline"
    )
    grafana.writes.clear()
    again = push("--prometheus", "http://prometheus:9090")
    assert (again.returncode, again.stdout) == (0, f"{grafana.url}: all as it should be\n")
    assert grafana.writes == []


def test_push_changes_only_what_differs(push, grafana):
    """A dashboard that somebody changed, and a data source that points elsewhere, are brought back."""
    push("--prometheus", "http://old:9090")
    grafana.dashboards["driftline-ops"]["dashboard"]["title"] = "mine"
    grafana.dashboards["driftline-gov"]["meta"]["folderUid"] = "elsewhere"
    found = push("--prometheus", "http://new:9090")
    assert found.stdout.splitlines() == [
        "data source driftline-prometheus: updated",
        "driftline-ops: updated",
        "driftline-gov: updated",
    ]
    assert grafana.dashboards["driftline-ops"]["dashboard"]["title"] == DASHBOARDS["driftline-ops"]["title"]
    assert grafana.dashboards["driftline-ops"]["dashboard"]["version"] == 2
    assert grafana.sources["driftline-prometheus"]["url"] == "http://new:9090"


def test_dry_run_writes_nothing(push, grafana):
    """It shows what would be made, and of what would be changed the difference; its exit code says so."""
    before = push("--dry-run")
    assert before.returncode == 1
    assert "driftline-ds: would be created" in before.stdout
    push()
    grafana.dashboards["driftline-ds"]["dashboard"]["refresh"] = "10s"
    grafana.writes.clear()
    kept = copy.deepcopy(grafana.dashboards)
    found = push("--dry-run")
    assert found.returncode == 1
    lines = found.stdout.splitlines()
    assert lines[0] == "driftline-ds: would be updated"
    assert [line for line in lines[3:] if line[0] in "+-"] == ['-  "refresh": "10s",', '+  "refresh": "5m",']
    assert grafana.writes == []
    assert grafana.dashboards == kept


def test_below_a_path(push, grafana):
    """A Grafana that is served below a path is found by its root."""
    grafana.prefix = "/grafana"
    assert push(url=f"{grafana.url}/grafana").returncode == 0
    assert set(grafana.dashboards) == set(DASHBOARDS)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": "9.5.2"}, "is Grafana 9.5.2, these dashboards need 10 or later"),
        ({"prefix": "/grafana"}, "answers, but is no Grafana: give its root"),
        ({"may_write": False}, "its service account needs the role Editor"),
        ({"sources": {"other": {"name": "driftline-prometheus"}}}, "something else has this name: rename it"),
    ],
)
def test_refusals_say_what_to_do(push, grafana, change, says):
    """What Grafana refuses ends with 2, one line, and the remedy; no traceback."""
    for name, value in change.items():
        setattr(grafana, name, value)
    found = push("--prometheus", "http://prometheus:9090")
    assert found.returncode == 2
    assert says in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert grafana.dashboards == {}


def test_a_wrong_token(push):
    """A token that is not this Grafana's is said to be so, and is not printed."""
    found = push(token="glsa_bad")
    assert found.returncode == 2
    assert "the token is not valid here" in found.stderr
    assert "glsa_bad" not in found.stderr + found.stdout


def test_a_provisioned_dashboard(push, grafana):
    """What a file provisions cannot be pushed, and Grafana's own words say so."""
    push()
    grafana.dashboards["driftline-ds"]["meta"]["provisioned"] = True
    grafana.dashboards["driftline-ds"]["dashboard"]["title"] = "old"
    found = push()
    assert found.returncode == 2
    assert "Cannot save provisioned dashboard" in found.stderr


def test_somebody_saves_in_between(push, grafana):
    """What was saved between our look and our write is not written over."""
    push()
    there = grafana.dashboards["driftline-ds"]
    there["dashboard"]["title"] = "old"
    seen = copy.deepcopy(there)
    there["dashboard"]["version"] = 7
    grafana.dashboards["driftline-ds"] = Twice(seen, there)
    found = push()
    assert found.returncode == 2
    assert "somebody changed it in the meantime" in found.stderr


class Twice(dict):
    """What is shown first is older than what is there when it is written."""

    def __init__(self, shown, there):
        super().__init__(shown)
        self.there = there

    def __getitem__(self, key):
        return self.there[key]


@pytest.mark.parametrize(
    ("url", "says"),
    [("http://127.0.0.1:1", "cannot be reached"), ("grafana:3000", "is no address of a Grafana")],
)
def test_a_wrong_url(push, url, says):
    """An address where nothing is, or that is none, is named."""
    found = push(url=url)
    assert found.returncode == 2
    assert says in found.stderr
    assert found.stderr.startswith(url)


def test_without_grafana_client(push, tmp_path):
    """Where the extra is not installed, the command says which, and why not here."""
    found = push(packages=tmp_path)
    assert found.returncode == 2
    assert "pip install 'driftline[grafana]', in an environment of its own" in found.stderr
