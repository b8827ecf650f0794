"""The sidecar as an operator meets it: starting, refusing to start, being scraped, stopping."""

import http.client
import json
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from driftline.baseline import Baseline
from stack.processes import Children, eventually, free_ports, sidecar
from stack.test_fleet import counter, scrape, send, settings
from watched import baseline, batch

COMMAND = (sys.executable, "-m", "driftline.cli", "sidecar", "--config")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "baselines").mkdir()
    baseline().save(tmp_path / "baselines")
    return tmp_path


def refused(config):
    """Start a sidecar that cannot start; return what it says."""
    done = subprocess.run([*COMMAND, config], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def get(url, headers=None, context=None):
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10, context=context) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_sigterm_writes_the_state_and_exits_0(folder):
    """A stop loses nothing: the windows are there at the next start, the exit code is 0."""
    config, url, metrics = settings(folder)
    with Children(folder) as children:
        first = sidecar(children, config, metrics=metrics)
        send(url, batch(700))
        assert children.stop(first) == 0
        sidecar(children, config, metrics=metrics)
        rows = eventually(
            lambda: counter(scrape(metrics), 'driftline_sidecar_window_rows{environment="prod"')
        )
        assert rows == 2 * 700


def test_pages(folder):
    """Text by default, OpenMetrics and gzip when asked for, healthy, ready, and 405 and 404 for the rest."""
    config, _, metrics = settings(folder)
    with Children(folder) as children:
        sidecar(children, config, metrics=metrics)
        base = f"http://{metrics}"
        status, headers, body = get(f"{base}/metrics")
        assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert body.startswith(b"# HELP driftline_feature_values_total ")
        accept = {
            "accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5",
            "accept-encoding": "gzip",
        }
        status, headers, body = get(f"{base}/metrics", accept)
        assert headers["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
        assert headers["content-encoding"] == "gzip"
        assert body[:2] == b"\x1f\x8b"
        assert get(f"{base}/-/healthy")[0] == 200
        assert get(f"{base}/-/ready")[0] == 200
        assert get(f"{base}/nothing")[0] == 404
        connection = http.client.HTTPConnection(metrics, timeout=5)
        connection.request("POST", "/metrics", b"x")
        assert connection.getresponse().status == 405
        connection.close()


def test_it_says_all_that_is_wrong_and_does_not_start(folder):
    """Bad configuration, bad baselines, two baselines for one version, a taken port: each one clear line."""
    config = folder / "bad.yaml"
    config.write_text("environment: no\nlisten: {grpc: '0.0.0.0:1'}\ncolour: red")
    said = refused(config)
    assert "bad.yaml: environment: no/false is not text" in said
    assert "bad.yaml: colour: is no setting" in said
    assert "No such file" in refused(folder / "absent.yaml")

    config, _, metrics = settings(folder)
    (folder / "baselines" / "broken.json").write_text("{")
    assert "broken.json" in refused(config)
    (folder / "baselines" / "broken.json").unlink()
    baseline().save(folder / "baselines" / "again.json")
    assert "both are for model fraud, version 1" in refused(config)
    (folder / "baselines" / "again.json").unlink()

    with Children(folder) as children:
        sidecar(children, config, metrics=metrics)
        other = json.loads(config.read_text())
        other["state"]["path"] = "elsewhere/"
        other["listen"]["http"] = f"127.0.0.1:{free_ports(1)[0]}"
        (folder / "other.yaml").write_text(json.dumps(other))
        assert f"listen.metrics: {metrics} cannot be bound" in refused(folder / "other.yaml")


def test_baselines_are_watched(folder):
    """A new file is taken up, a bad one is refused and counted and the old ones go on."""
    config, _, metrics = settings(folder)
    with Children(folder) as children:
        sidecar(children, config, metrics=metrics)
        bad = folder / "baselines" / "bad.json"
        bad.write_text("{")
        reloads = 'driftline_sidecar_reloads_total{outcome="%s"}'
        eventually(lambda: counter(scrape(metrics), reloads % "failed") == 1)
        assert "\ndriftline_sidecar_last_reload_successful 0.0\n" in scrape(metrics)
        assert 'model="fraud",version="1"' in scrape(metrics)
        bad.unlink()
        Baseline.build({"x": [n / 7 for n in range(1000)]}, model="churn", version="7").save(
            folder / "baselines"
        )
        eventually(lambda: 'model="churn",version="7"' in scrape(metrics))
        assert "\ndriftline_sidecar_last_reload_successful 1.0\n" in scrape(metrics)


def test_a_token_guards_every_port(folder):
    """Without the token neither rows nor series pass; with it both do; probes need none; no log has it."""
    config, url, metrics = settings(folder)
    document = json.loads(config.read_text())
    document["listen"]["token_file"] = "token"
    config.write_text(json.dumps(document))
    (folder / "token").write_text("a-long-secret\n")
    known = {"authorization": "Bearer a-long-secret"}
    with Children(folder) as children:
        child = sidecar(children, config, metrics=metrics)
        assert get(f"http://{metrics}/metrics")[0] == 401
        assert get(f"http://{metrics}/metrics", {"authorization": "Bearer wrong"})[0] == 401
        assert get(f"http://{metrics}/metrics", known)[0] == 200
        with pytest.raises(urllib.error.HTTPError, match="401"):
            send(url, batch(10))
        assert "a-long-secret" not in child.log.read_text()


def test_tls_guards_every_port(folder, certificates):
    """With a certificate, series and rows pass over TLS and nothing passes in the clear."""
    for file in ("server.crt", "server.key"):
        shutil.copy(certificates / file, folder)
    config, url, metrics = settings(folder)
    document = json.loads(config.read_text())
    document["listen"]["tls"] = {"cert": "server.crt", "key": "server.key"}
    config.write_text(json.dumps(document))
    context = certificates.context()
    with Children(folder) as children:
        process = subprocess.Popen([*COMMAND, config], stderr=subprocess.PIPE)
        try:
            eventually(lambda: reachable(f"https://{metrics}/-/ready", context))
            assert b"driftline_model_info" in get(f"https://{metrics}/metrics", context=context)[2]
            with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
                get(f"http://{metrics}/metrics")
            with pytest.raises((urllib.error.URLError, ConnectionError, http.client.HTTPException)):
                send(url, batch(1))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=20)
        assert process.returncode == 0
        assert children.check() is None


def reachable(url, context):
    try:
        return get(url, context=context)[0] == 200
    except OSError:
        return False


def test_a_sidecar_that_cannot_start_harms_no_other(folder):
    """Two sidecars never share a state folder: the second is refused, and the first one's windows stay."""
    config, url, metrics = settings(folder, every="1s")
    with Children(folder) as children:
        sidecar(children, config, metrics=metrics)
        send(url, batch(300))
        track = folder / "state"
        eventually(lambda: list(track.glob("fraud*/open.npz")))
        document = json.loads(config.read_text())
        ports = free_ports(2)
        document["listen"] |= {"http": f"127.0.0.1:{ports[0]}", "metrics": f"127.0.0.1:{ports[1]}"}
        document["baselines"] = ["elsewhere/"]
        (folder / "second.yaml").write_text(json.dumps(document))
        assert "in use by another sidecar" in refused(folder / "second.yaml")
        assert list(track.glob("fraud*/open.npz"))
