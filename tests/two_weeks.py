"""Two weeks of a fleet as Prometheus would have scraped them, from the sidecar's own exposition.

Two sidecars on a clock that jumps half an hour at a time. ``fraud`` is served by both: its version 2.3.1
comes on the tenth day, on which eight calls of a thousand fail, weekends have another ``channel``, from the last
Sunday on ``amount`` and with it the score have moved, and for the last day a tenth of ``country`` is missing.
``churn`` has no baseline and no owner. ``wide`` has 300 features and has been there since yesterday.
"""

from pathlib import Path

import numpy as np

from driftline.baseline import Baseline
from driftline.columns import Coded
from driftline.sidecar.baselines import Baselines
from driftline.wire import Batch
from watched import Watched

HOUR, DAY = 3600.0, 86_400.0
END = 1_772_452_800.0  # Monday, 2 March 2026, 12:00 UTC
START = END - 14 * DAY
RELEASE, MOVED, MISSING, WIDE = END - 4 * DAY, END - 1.5 * DAY, END - DAY, END - 26 * HOUR
STEP = HOUR / 2
COUNTRIES = ("at", "de", "fr", "it")
CHANNELS = ("app", "shop", "web")
ANSWERS = ("approve", "decline")

SETTINGS = """
environment: prod
models:
  fraud:
    owner: payments
    tier: "1"
    silence: 1h
    confidence: 0.6
    attribution: true
    segments: {country: [de, fr]}
    features: {channel: {thresholds: {psi: {P3: 0.2}}}}
  wide: {owner: research, tier: "3", silence: 2h}
"""


def rows(size, rng, *, moved=0.0, weekend=False, missing=0.0):
    amount = rng.normal(moved, 1.0, size)
    score = 1 / (1 + np.exp(-(amount + rng.normal(-1.5, 1.0, size))))
    return {
        "amount": np.exp(amount),
        "country": np.where(
            rng.random(size) < missing, -1, rng.choice(4, size, p=[0.1, 0.5, 0.3, 0.1])
        ).astype(np.int8),
        "channel": rng.choice(3, size, p=[0.3, 0.1, 0.6] if weekend else [0.3, 0.5, 0.2]).astype(np.int8),
        "answer": (score > 0.5).astype(np.int8),
        "p": score,
    }


def fraud_baseline(version, seed, edges_from=None):
    data = rows(20_000, np.random.default_rng(seed))
    for name, texts in (("country", COUNTRIES), ("channel", CHANNELS), ("answer", ANSWERS)):
        data[name] = np.array(texts, object)[data[name]]
    return Baseline.build(
        data, model="fraud", version=version, prediction="answer", score="p", edges_from=edges_from
    )


def wide_columns(size, rng):
    return {f"x{number:03}": rng.random(size) < 0.3 for number in range(300)}


class Fleet:
    """Two sidecars, what they are sent, and what Prometheus would have read from them."""

    def __init__(self):
        self.now = START
        older = fraud_baseline("2.3.0", 1)
        wide = Baseline.build(wide_columns(2_000, np.random.default_rng(3)), model="wide", version="7")
        self.known = [(START, older), (RELEASE, fraud_baseline("2.3.1", 2, older)), (WIDE, wide)]
        self.sidecars = [Sidecar(name, self, number) for number, name in enumerate(("east", "west"))]

    def lines(self):
        """Yield OpenMetrics text, a piece a sidecar and moment."""
        for self.now in np.arange(START, END + STEP, STEP).tolist():
            for sidecar in self.sidecars:
                sidecar.serve()
                yield sidecar.scrape()
        yield "# EOF\n"


class Sidecar:
    def __init__(self, name, fleet, seed):
        self.fleet, self.instance, self.first = fleet, f"{name}:9477", seed == 0
        self.rng = np.random.default_rng(seed)
        self.known = self.baselines()
        watched = Watched(*self.known.all, settings=SETTINGS, clock=lambda: fleet.now)
        self.monitor, self.exposition, self.telemetry = watched.monitor, watched.exposition, watched.telemetry
        self.sequence = self.total = self.failed = 0

    def baselines(self):
        return Baselines([(Path(b.version), b) for since, b in self.fleet.known if since <= self.fleet.now])

    def serve(self):
        now, rng, known = self.fleet.now, self.rng, self.baselines()
        if len(known.all) > len(self.known.all):
            self.known = known
            self.monitor.reload(known)
            self.telemetry.reloaded("loaded")
        weekend = int(now // DAY) % 7 in (2, 3)  # 1970 began on a Thursday
        size = int(250 * (1.5 + np.sin((now % DAY) / DAY * 2 * np.pi)) * (0.7 if weekend else 1.0))
        data = rows(size, rng, moved=0.8 * (now >= MOVED), weekend=weekend, missing=0.1 * (now >= MISSING))
        failing = 0.008 if RELEASE <= now < RELEASE + DAY else 0.0005
        errors = np.where(rng.random(size) < failing, 0, -1).astype(np.int8)
        lost = (
            self.sequence % 50 == 49
        )  # one batch in fifty is lost on the way, one row in a thousand not sent
        self.sequence += 1 + lost
        self.total += size * (1 + lost)
        self.failed += int((errors == 0).sum())
        sent = Batch(
            model="fraud",
            version="2.3.1" if now >= RELEASE else "2.3.0",
            rows=size,
            columns={
                "amount": data["amount"],
                "country": Coded(data["country"], COUNTRIES),
                "channel": Coded(data["channel"], CHANNELS),
                "@prediction": Coded(data["answer"], ANSWERS),
                "@score": data["p"],
                "@latency": rng.gamma(4.0, 0.004, size),
                "@error": Coded(errors, ("ValueError",)),
                **({"undeclared": data["amount"]} if now >= RELEASE else {}),
            },
            dataset_version="2026-02",
            stream=self.instance.encode().ljust(16),
            sequence=self.sequence,
            rows_total=self.total,
            dropped_rows_total=self.total // 1000,
            error_rows_total=self.failed,
        )
        self.monitor.observe(sent)
        if self.first:
            self.monitor.observe(
                Batch(model="churn", version="1", rows=80, columns={"age": rng.normal(40, 9, 80)})
            )
        elif now >= WIDE:
            self.monitor.observe(Batch(model="wide", version="7", rows=300, columns=wide_columns(300, rng)))
        self.telemetry.request("grpc", "OK")
        if rng.random() < 0.02:
            self.telemetry.request("http", "400")
            self.telemetry.rejected("column", 1)
        if rng.random() < 0.02:
            self.monitor.observe(sent)  # again: a duplicate
        self.telemetry.in_flight(size * 50)
        self.telemetry.ticked(0.01)
        self.telemetry.state_written(now - 30)
        self.monitor.tick()

    def scrape(self):
        target = f'instance="{self.instance}",job="driftline"'
        lines = [line for line in self.exposition.render().decode().splitlines() if line[:1] not in ("#", "")]
        at = f" {self.fleet.now:.0f}\n"
        text = "".join(_labelled(line, target) + at for line in lines)
        return f"{text}up{{{target}}} 1{at}scrape_samples_scraped{{{target}}} {len(lines)}{at}"


def _labelled(line, target):
    name, _, rest = line.partition("{")
    if not rest:
        name, _, value = line.partition(" ")
        return f"{name}{{{target}}} {value}"
    return f"{name}{{{target},{rest}"
