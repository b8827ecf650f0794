"""The fleet's score on real parts: two sidecars, the shipped rules in a real Prometheus, numpy beside it."""

import json
import signal
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from driftline.cli.timescale import scaled
from driftline.wire import encode
from stack.processes import Children, eventually, free_ports, prometheus, query, sidecar
from watched import Watched, baseline, batch, columns, select

ROOT = Path(__file__).parents[2]
FACTOR = 60  # an hour is a minute


def settings(folder, *, every="60s", ports=None):
    http, metrics = ports or free_ports(2)
    (folder / "driftline.yaml").write_text(
        json.dumps(
            {
                "environment": "prod",
                "listen": {"grpc": None, "http": f"127.0.0.1:{http}", "metrics": f"127.0.0.1:{metrics}"},
                "baselines": ["baselines/"],
                "state": {"path": "state/", "every": every},
                "windows": {"1m": "5s", "24m": "1m"},
                "models": {
                    "fraud": {
                        "owner": "payments",
                        "tier": "1",
                        "segments": {"plan": ["basic"]},
                        "attribution": True,
                    }
                },
            }
        )
    )
    return folder / "driftline.yaml", f"http://127.0.0.1:{http}/v1/logs", f"127.0.0.1:{metrics}"


def send(url, one):
    request = urllib.request.Request(url, encode(one), {"content-type": "application/x-protobuf"})
    with urllib.request.urlopen(request, timeout=10) as response:
        assert (response.status, response.read()) == (200, b"")


def configuration(targets):
    rules = "\n".join(f"  - {path}" for path in sorted((ROOT / "alert-rules").glob("recording/*.yml")))
    return (
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files:\n{rules}\n"
        "scrape_configs:\n  - job_name: driftline\n    honor_labels: true\n"
        f"    static_configs: [{{targets: {json.dumps(targets)}}}]\n"
    )


def pooled_psi(feature, observed):
    counts = np.bincount(feature.fold, feature.count(observed).values, len(feature.bins))
    o = (counts + 10 * feature.ratios) / (counts.sum() + 10)
    return float(np.sum((o - feature.ratios) * np.log(o / feature.ratios)))


@pytest.mark.stack("prometheus")
@pytest.mark.timeout(180)
def test_the_fleets_psi_is_that_of_all_rows(tmp_path):
    """Two sidecars see other halves of the traffic: Prometheus says what numpy says of all rows together.

    Each sidecar's own score is far off, and so is their mean, which nothing of ours ever takes.
    """
    built = baseline()
    targets, urls = [], []
    with Children(tmp_path) as children:
        for name in ("east", "west"):
            folder = tmp_path / name
            (folder / "baselines").mkdir(parents=True)
            built.save(folder / "baselines")
            config, url, metrics = settings(folder)
            sidecar(children, config, metrics=metrics, name=name)
            targets.append(metrics)
            urls.append(url)
        for path in (ROOT / "alert-rules").glob("recording/*.yml"):
            (tmp_path / path.name).write_text(scaled(path.read_text(), FACTOR))
        config = configuration(targets).replace(str(ROOT / "alert-rules" / "recording"), str(tmp_path))
        url = prometheus(children, config)
        eventually(lambda: len(query(url, "driftline_predictions_total == 0")) == 2)

        rows = columns(24_000, seed=11, shift=0.3)
        low = rows["amount"] <= np.median(rows["amount"])  # the router splits the traffic by amount
        for part in range(20):  # over more than twenty scrapes, to be a rate and not a step
            for half, target in ((low, urls[0]), (~low, urls[1])):
                mine = np.flatnonzero(half)[part::20]
                send(target, batch_of(rows, mine))
            time.sleep(1.0)

        wanted = pooled_psi(built.features["amount"], rows["amount"])
        score = 'version_feature:driftline_feature_psi:training1h{feature="amount"}'
        rows_seen = 'version_feature:driftline_feature_values:increase1h{feature="amount"}'
        eventually(lambda: query(url, f"{rows_seen} > 23000"), within=20)
        time.sleep(14.0)  # until a slow round has seen the last rows, and a quick one that round
        (fleet,) = [value for _, value in query(url, score)]
        assert fleet == pytest.approx(wanted, abs=0.01)

        basic = rows["plan"].codes == 0
        for segment, mine in (("basic", basic), ("other", ~basic)):
            name = f'driftline_segment_feature_values_total{{segment="plan={segment}", feature="amount"}}'
            bins = {labels["bin"]: count for labels, count in query(url, f"sum by (bin) ({name})")}
            feature = built.features["amount"]
            counts = feature.layout.coarse().folded(feature.count(rows["amount"][mine]).values)
            assert [bins[bin_] for bin_ in sorted(bins)] == counts.tolist()
        assert explained(url) == pytest.approx(explained_by_numpy(built, rows), rel=1e-6)

        own = 'driftline_sidecar_feature_drift{feature="amount", statistic="psi", window="1m"}'
        alone = [value for _, value in eventually(lambda: query(url, own))]
        assert len(alone) == 2
        assert abs(np.mean(alone) - wanted) > 0.2


def explained(url):
    """Return how much of the prediction the bins of amount explain, over all sidecars and since they started."""
    of_bin, total = "sum by (bin) ({}) ", "sum({}) "
    n, s = (f'driftline_feature_{part}_total{{feature="amount"}}' for part in ("scored_values", "score_sum"))
    squares = total.format('driftline_feature_score_squares_total{feature="amount"}')
    common = f"{total.format(s)} ^ 2 / {total.format(n)}"
    ((_, share),) = query(
        url, f"(sum({of_bin.format(s)} ^ 2 / {of_bin.format(n)}) - {common}) / ({squares} - {common})"
    )
    return share


def explained_by_numpy(built, rows):
    bins = np.searchsorted(built.features["amount"].layout.cuts, rows["amount"])
    scores = np.clip(rows["@prediction"], *built.features["@prediction"].range)
    means = np.bincount(bins, scores) / np.bincount(bins)
    return np.average((means - scores.mean()) ** 2, weights=np.bincount(bins)) / scores.var()


def batch_of(rows, mine):
    from driftline.columns import take
    from driftline.wire import Batch

    return Batch(
        model="fraud",
        version="1",
        rows=len(mine),
        columns={name: take(column, mine) for name, column in rows.items()},
    )


@pytest.mark.timeout(120)
def test_the_same_rows_score_the_same_directly_and_over_otlp(tmp_path):
    """A sidecar that is sent rows over OTLP says what a monitor says that is handed them, to 1e-9."""
    built = baseline()
    (tmp_path / "baselines").mkdir()
    built.save(tmp_path / "baselines")
    config, url, metrics = settings(tmp_path)
    batches = [batch(400, seed=seed, shift=0.3) for seed in range(5)]
    direct = Watched(built, settings="{environment: prod, windows: {1m: 5s, 24m: 1m}}")
    for one in batches:
        direct.monitor.observe(one)
    direct.monitor.tick()
    wanted = select(direct.scrape(), "driftline_sidecar_feature_drift", window="24m")
    assert len(wanted) >= 12
    with Children(tmp_path) as children:
        sidecar(children, config, metrics=metrics)
        for one in batches:
            send(url, one)

        def said():
            samples = [
                s for family in text_string_to_metric_families(scrape(metrics)) for s in family.samples
            ]
            found = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}
            rows = select(found, "driftline_sidecar_window_rows", window="24m")
            return rows == {(): 2000} and select(found, "driftline_sidecar_feature_drift", window="24m")

        assert eventually(said) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.timeout(120)
def test_windows_survive_kill_9_and_counters_begin_at_zero(tmp_path):
    """After kill -9 the scores are there again before a row arrives; the counters are 0."""
    (tmp_path / "baselines").mkdir()
    baseline().save(tmp_path / "baselines")
    ports = free_ports(2)
    config, url, metrics = settings(tmp_path, every="1s", ports=ports)
    with Children(tmp_path) as children:
        first = sidecar(children, config, metrics=metrics)
        for seed in range(5):
            send(url, batch(400, seed=seed, shift=1.0))
        scored = eventually(lambda: local_scores(metrics))
        eventually((tmp_path / "state" / "models.json").exists)
        time.sleep(2.5)
        children.stop(first, signal.SIGKILL)
        sidecar(children, config, metrics=metrics)
        assert eventually(lambda: local_scores(metrics)) == scored
        assert "driftline_predictions_total{" in scrape(metrics)
        assert counter(scrape(metrics), "driftline_predictions_total") == 0
        send(url, batch(100))
        assert counter(scrape(metrics), "driftline_predictions_total") == 100


def scrape(metrics):
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as response:
        return response.read().decode()


def counter(text, name):
    return sum(
        float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.startswith(name if "{" in name else name + "{")
    )


def local_scores(metrics):
    wanted = "driftline_sidecar_feature_drift{"
    lines = [
        line for line in scrape(metrics).splitlines() if line.startswith(wanted) and 'window="24m"' in line
    ]
    return lines if lines and "amount" in "".join(lines) else None
