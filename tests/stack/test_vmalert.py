"""The rules on a real VictoriaMetrics with a real vmalert: Debian's, years old, which knows no ``keep_firing_for``.

That a name has no series VictoriaMetrics remembers for ten seconds, so that of new rules that read each other each
begins ten seconds after the one it reads. A restart forgets it: a test restarts it instead of waiting for minutes.
"""

import json
import math
import re
import runpy
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
import yaml

import built
from driftline.cli.timescale import scaled
from stack.processes import Children, Phone, eventually, free_ports

RULES = Path(__file__).parents[2] / "alert-rules"
WRITTEN = runpy.run_path(str(RULES / "variants.py"))["vmalert"]()
VICTORIA = pytest.mark.stack(*built.VICTORIA)
FACTOR = 720  # a day is two minutes, an hour five seconds


class VictoriaMetrics:
    """One of Debian's, and what is asked of it."""

    def __init__(self, children):
        self._children = children
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        self._command = [
            program("victoria-metrics"), f"-storageDataPath={children.folder / 'data'}", f"-httpListenAddr=127.0.0.1:{port}",
            "-search.latencyOffset=0s", "-search.disableCache",
        ]  # fmt: skip
        self._start()

    def _start(self):
        self._child = self._children.start("victoria-metrics", *self._command, ready=f"{self.url}/health")

    def restart(self):
        self._children.stop(self._child)
        self._start()

    def take(self, lines):
        text = "\n".join(lines) + "\n"
        urllib.request.urlopen(f"{self.url}/api/v1/import/prometheus", text.encode()).close()

    def says(self, expression, at=None):
        asked = {"query": re.sub(r"\s+", " ", expression), **({"time": at} if at else {})}
        with urllib.request.urlopen(
            f"{self.url}/api/v1/query", urllib.parse.urlencode(asked).encode()
        ) as answer:
            return json.load(answer)


def program(name):
    return Path(built.folder(name)) / name


def written(folder, factor=1):
    for name, text in WRITTEN.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(scaled(text, factor))
    return folder


@VICTORIA
@pytest.mark.timeout(180)
def test_expressions(tmp_path):
    """Vmalert takes every file, VictoriaMetrics every expression, and the fleet's PSI is that of the pooled rows."""
    rules = written(tmp_path / "rules")
    checked = subprocess.run(
        [program("vmalert"), "-dryRun", f"-rule={rules}/*/*.yml"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    with Children(tmp_path) as children:
        victoria = VictoriaMetrics(children)
        ends = int(time.time()) // 60 * 60
        victoria.take(two_sidecars(ends))
        eventually(lambda: victoria.says("driftline_feature_values_total", ends)["data"]["result"])
        group = yaml.safe_load((rules / "recording" / "drift.yml").read_text())["groups"][0]
        names = [rule["record"] for rule in group["rules"]]
        alone = tmp_path / "alone.yml"
        for rule in group["rules"][: names.index(PSI_SERIES) + 1]:
            alone.write_text(yaml.safe_dump({"groups": [{**group, "rules": [rule]}]}))
            subprocess.run(
                [program("vmalert"), f"-rule={alone}", f"-datasource.url={victoria.url}", f"-remoteWrite.url={victoria.url}",
                 f"-replay.timeFrom={moment(ends - 600)}", f"-replay.timeTo={moment(ends)}",
                 "-replay.rulesDelay=0s", "-remoteWrite.flushInterval=50ms"],
                capture_output=True, check=True,
            )  # fmt: skip
            victoria.restart()
        for path in rules.glob("*/*.yml"):
            for group in yaml.safe_load(path.read_text())["groups"]:
                for rule in group["rules"]:
                    assert victoria.says(rule["expr"])["status"] == "success", rule
        found = eventually(lambda: victoria.says(PSI_SERIES, ends)["data"]["result"])
    assert float(found[0]["value"][1]) == pytest.approx(PSI, abs=1e-3)
    assert found[0]["metric"]["feature"] == "amount"
    assert len(found) == 1


PSI_SERIES = "version_feature:driftline_feature_psi_slow:training1h"
# 60 and 80 of a hundred at two sidecars, half and half in training: pooled 8,400 and 3,600 of 12,000
SHARE = (8400 + 10 * 0.5) / (12_000 + 10)
PSI = (SHARE - 0.5) * math.log(SHARE / 0.5) + (0.5 - SHARE) * math.log((1 - SHARE) / 0.5)


def two_sidecars(ends):
    of = 'environment="prod",model="fraud",version="1",feature="amount",binning="a"'
    for step in range(121):
        at = (ends - (120 - step) * 60) * 1000
        for sidecar, share in (("s1", 0.6), ("s2", 0.8)):
            for bin_, part in (("00", share), ("01", 1 - share)):
                labels = f'{of},bin="{bin_}",instance="{sidecar}"'
                yield f"driftline_feature_values_total{{{labels}}} {step * 100 * part} {at}"
                yield f"driftline_feature_baseline_ratio{{{labels}}} 0.5 {at}"


def moment(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


# --- alerts -------------------------------------------------------------------------------------

SINCE = r" Since 20\d\d-\d\d-\d\d \d\d:\d\d UTC\."
# One of each family at least: what is wrong with the model, which alert fires of it, what it says.
EXPECTED = {
    ("ModelFeatureDrift", "moved", "2"): rf"amount of moved 2 \(prod\): PSI 0\.8\d of the last 24 h against its training data, threshold 0\.25 while there is no last week to compare with\. Values: \d+\.{SINCE}",
    ("ModelFeatureFaults", "holed", "1"): rf"amount of holed 1 \(prod\): 30% of the values of the last hour are missing, 0\.1% in training\. Values: 1000\.{SINCE}",
    ("ModelErrorRatioHigh", "failing", "2"): rf"failing 2 \(prod\): 20% of the rows of the last hour failed, 200 rows\. Most often: KeyError\.{SINCE}",
    ("ModelVersionsDiverge", "failing", "2"): rf"failing 2 \(prod\), of the last hour: 20% of its rows failed, 0% of another version's\.{SINCE}",
    ("ModelBudgetBurnFast", "failing", None): rf"failing \(prod\): the availability objective is missed 100\.0 times as often as it may be, over the last hour\. Bad: \d+\.{SINCE}",
    ("ModelServiceDown", "silent", None): r"silent \(prod\): no prediction for \dm \d+s, and its sidecar is up; in the same hours of past weeks there were 2000 rows an hour or more\. .*",
    ("ModelTelemetryAbsent", "silent", None): r"silent \(prod\): no prediction for \dm \d+s, and its sidecar is up\. .*",
    ("ModelUpstreamStale", "late", None): rf"customers, a source of late \(prod\): last updated 1m 40s ago, 1m 0s at most were promised\.{SINCE}",
    ("ModelVolumeHigh", "asked", None): rf"asked \(prod\): 2000 rows in the last hour, .*{SINCE}",
    ("DriftlineAlertNoisy", "late", None): rf"ModelLearning of late \(prod\) .*{SINCE}",
    ("DriftlineSidecarDown", None, None): rf'Prometheus has no target in the job "driftline"\. .*{SINCE}',
    ("DriftlineWatchdog", None, None): r"This alert always fires\..*",
}  # fmt: skip


class Model:
    """The series of a model of two versions over six minutes, as a sidecar shows them: well, but for what is said."""

    def __init__(
        self, name, now, *, failing=0.0, missing=0.0, share=0.5, silence=60.0, late=0.0, weeks=2000.0
    ):
        self.lines = []
        self._name, self._now = name, now
        for version in ("1", "2"):
            self._version(version, failing if version == "2" else 0.0, missing, share, silence)
        source = f'{self._of},source="customers"'
        self._add("driftline_upstream_updated_timestamp_seconds", source, lambda t: now + t - late)
        self._add("driftline_upstream_max_age_seconds", source, lambda _: 60)
        # recorded a week ago, when the rules ran already
        week = range(-900, -600)
        self._add("model:driftline_predictions_seen:increase1h", self._of, lambda _: weeks, at=week)

    @property
    def _of(self):
        return f'environment="prod",model="{self._name}"'

    def _version(self, version, failing, missing, share, silence):
        of = f'{self._of},version="{version}",instance="s1"'
        feature = f'{of},feature="amount"'
        add, now = self._add, self._now
        add("driftline_predictions_total", of, lambda t: 200 * t, since=-200)
        add(
            "driftline_prediction_errors_total",
            f'{of},error_type="KeyError"',
            lambda t: 200 * failing * t,
            since=-200,
        )
        add("driftline_prediction_duration_seconds_count", of, lambda t: 200 * t, since=-200)
        for le in ("0.1", "0.2", "+Inf"):
            add(
                "driftline_prediction_duration_seconds_bucket",
                f'{of},le="{le}"',
                lambda t: 200 * t,
                since=-200,
            )
        for bin_, part in (("00", share), ("01", 1 - share)):
            kept = 200 * part * (1 - missing)
            add(
                "driftline_feature_values_total",
                f'{feature},binning="a",bin="{bin_}"',
                lambda t, k=kept: k * t,
                since=-200,
            )
            add("driftline_feature_baseline_ratio", f'{feature},binning="a",bin="{bin_}"', lambda _: 0.5)
        add("driftline_feature_baseline_values", f'{feature},binning="a"', lambda _: 10_000)
        add("driftline_feature_overdispersion", f'{feature},binning="a",window="2m"', lambda _: 1)
        for priority, threshold in (("P3", 0.1), ("P2", 0.25)):
            add(
                "driftline_feature_drift_threshold",
                f'{feature},statistic="psi",priority="{priority}"',
                lambda _, h=threshold: h,
            )
        add(
            "driftline_feature_faults_total",
            f'{feature},fault="missing"',
            lambda t: 200 * missing * t,
            since=-200,
        )
        add("driftline_feature_baseline_fault_ratio", f'{feature},fault="missing"', lambda _: 0.001)
        last = (lambda _: now - 300) if silence < 10 else (lambda t: now + t)
        add("driftline_last_prediction_timestamp_seconds", of, last)
        add("driftline_model_silence_threshold_seconds", of, lambda _: silence)
        add("driftline_model_min_rows", of, lambda _: 200)
        add("driftline_model_info", f'{of},owner="payments",tier="1",task="regression"', lambda _: 1)
        add("driftline_model_version_info", f'{of},baseline="b",state="ready"', lambda _: 1)

    def _add(self, name, labels, value, *, since=0, at=range(-180, 181)):
        self.lines += [f"{name}{{{labels}}} {value(t - since)} {(self._now + t) * 1000}" for t in at]


@VICTORIA
@pytest.mark.timeout(180)
def test_alerts(tmp_path):
    """Of each family an alert fires and says what it says on Prometheus; of a model that is well none does."""
    rules = written(tmp_path / "rules", FACTOR)
    now = int(time.time())
    wrong = {
        "calm": {}, "moved": {"share": 0.9}, "holed": {"missing": 0.3}, "failing": {"failing": 0.2},
        "silent": {"silence": 1.0}, "late": {"late": 100.0}, "asked": {"weeks": 900.0},
    }  # fmt: skip
    with Children(tmp_path) as children, Phone() as phone:
        victoria = VictoriaMetrics(children)
        for name, what in wrong.items():
            victoria.take(Model(name, now, **what).lines)
        # an alert that fired four times in two weeks
        state = 'alert:driftline_alerts_firing:state{alert="ModelLearning",environment="prod",model="late"}'
        victoria.take(f"{state} {int(t % 100 < 50)} {(now + t) * 1000}" for t in range(-400, 0))
        (port,) = free_ports(1)
        children.start(
            "vmalert", program("vmalert"), f"-rule={rules}/*/*.yml", f"-datasource.url={victoria.url}",
            f"-remoteWrite.url={victoria.url}", "-remoteWrite.flushInterval=50ms", "-evaluationInterval=1s",
            f"-notifier.url={phone.url}", f"-httpListenAddr=127.0.0.1:{port}", ready=f"http://127.0.0.1:{port}/health",
        )  # fmt: skip

        def firing():
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/alerts") as answer:
                alerts = json.load(answer)["data"]["alerts"] or ()
            key = lambda labels: (labels["alertname"], labels.get("model"), labels.get("version"))  # noqa: E731
            return {
                key(a["labels"]): a["annotations"]["description"] for a in alerts if a["state"] == "firing"
            }

        def unsaid():
            said = firing()
            return {
                key: said.get(key)
                for key, text in EXPECTED.items()
                if not re.fullmatch(text, said.get(key, ""))
            }

        for _ in range(20):  # rules in a chain: eight at most, and a breath for those that need a second look
            time.sleep(3)
            if not unsaid():
                break
            victoria.restart()
        assert unsaid() == {}
        # of both versions what is of both; errors use up the slower budget, too
        also = {
            ("ModelFeatureDrift", "moved"),
            ("ModelFeatureFaults", "holed"),
            ("ModelBudgetBurnSlow", "failing"),
        }
        assert {key[:2] for key in firing()} == {key[:2] for key in EXPECTED} | also
        told = {alert["labels"]["alertname"] for call in phone.calls for alert in call.body}
        assert told >= {key[0] for key in EXPECTED}, "and vmalert has sent them to its Alertmanager"
        log = (tmp_path / "vmalert.log").read_text().splitlines()
        restarted = ("connection refused", "EOF", "connection reset")
        failed = [line for line in log if "template" in line and not any(why in line for why in restarted)]
        assert not failed, "a text could not be made"
