"""A fleet of sidecars as a Prometheus sees it: pages that it scrapes, and what the rules recorded in the weeks before.

Only series that the rules read; a model is asked for ten rows a second. To a Prometheus that has just started a page
tells the last hour first, three minutes a scrape, every sample with its time: so the hour lies in the head of its
database, as it would had it been there.
"""

import contextlib
import time
from itertools import product

import numpy as np

from driftline.names import DURATION_BOUNDS
from standin import Answer, Standin

MODELS, FEATURES, BINS = 10, 100, 10
SCRAPE, ROUND, HALF, HOUR, DAY, WEEK = 15, 600, 1800, 3600, 86_400, 604_800
AT_ONCE = 12  # samples of a counter in a page of the past: an hour in one would be 400 MB
ROWS = 150  # of a model in 15 seconds
BOUNDS = [*map(str, DURATION_BOUNDS), "+Inf"]

SINCE = HOUR - 4 * 60  # an hour less what passes until all have begun: a head takes nothing older
LASTS = 75 * 60  # what is read of a week ago is there as long as this is measured
RECORDED = {
    "version_feature_bin:driftline_feature_values:increase1h": (3600, [(DAY + HOUR, HOUR, ROUND)]),
    "model_feature:driftline_feature_values_slow:increase1h": (
        36_000,
        [(WEEK + HOUR, WEEK - LASTS, ROUND), (4 * HOUR, HOUR, ROUND)],
    ),
    "model_feature_bin:driftline_feature_values:increase1h": (
        3600,
        [(WEEK + HOUR, WEEK - LASTS, ROUND), (4 * HOUR, HOUR, ROUND)],
    ),
    # of a month only the midnights are read, of a week the same hour of each day
    "version_feature_bin:driftline_feature_values:increase24h": (
        86_400,
        [(days * DAY + HOUR, days * DAY - HOUR, HALF) for days in range(14, 0, -1)],
    ),
    "version_feature:driftline_feature_values:increase24h": (
        864_000,
        [(6 * DAY + HOUR, 6 * DAY - LASTS, 120)],
    ),
    "model_feature:driftline_feature_values:increase24h": (
        864_000,
        [(8 * DAY + HOUR, 8 * DAY - LASTS, 120), (WEEK + HOUR, WEEK - LASTS, 120)],
    ),
    "model_feature_bin:driftline_feature_share:24h": (0.1, [(WEEK + HOUR, WEEK - LASTS, HALF)]),
    "model_feature:driftline_feature_pearson_slow:lastweek1h": (9, [(WEEK + 4 * HOUR, HOUR, HALF)]),
    "model_feature:driftline_feature_values:increase3h": (
        108_000,
        [(weeks * WEEK + 2 * HOUR, weeks * WEEK - LASTS - HOUR, 120) for weeks in (2, 1)],
    ),
    "model_feature_bin:driftline_feature_share:3h": (
        0.1,
        [(weeks * WEEK + 2 * HOUR, weeks * WEEK - LASTS - HOUR, ROUND) for weeks in (2, 1)],
    ),
}
"""What was recorded more than an hour ago and is read still: about what value, and [(from, to, every)] seconds ago."""


def labels(level):
    """Return the labels of every series of a *level*, as drift.yml names them."""
    versions = ',version="1"' if level.startswith("version") else ""
    bins = [f',bin="{number:02}"' for number in range(BINS)] if level.endswith("bin") else [""]
    return [
        f'environment="prod",model="m{model}"{versions},feature="f{feature}",binning="a"{bin_}'
        for model, feature, bin_ in product(range(MODELS), range(FEATURES), bins)
    ]


def recorded(now):
    """Yield as OpenMetrics what was recorded up to an hour before *now*."""
    rng = np.random.default_rng(0)
    for name, (value, spans) in RECORDED.items():
        times = [moment for begin, end, every in spans for moment in range(now - begin, now - end, every)]
        values = value * rng.normal(1, 0.02, len(times))
        lines = [f" {value:.4g} {moment}\n" for value, moment in zip(values, times, strict=True)]
        for each in labels(name.partition(":")[0]):
            series = f"{name}{{{each}}}"
            yield "".join([series + line for line in lines])
    yield "# EOF\n"


class Hours:
    """A target that tells what was recorded in the last hour, a round a scrape, and then nothing more."""

    def __init__(self):
        self.told = None

    def text(self, now):
        """Return the page, and the moment up to which all is told with it."""
        moment = (self.told or now - SINCE) + ROUND
        if moment > now:
            return "", self.told
        lines = (
            f"{name}{{{each}}} {value} {moment * 1000:.0f}\n"
            for name, (value, _) in RECORDED.items()
            if name.endswith(":increase1h")
            for each in labels(name.partition(":")[0])
        )
        return "".join(lines), moment


class Sidecar:
    """A target that shows what one of so many sidecars shows: counters that rise, and gauges."""

    def __init__(self, number, sidecars):
        counters, self.gauges = {}, []
        share = ROWS / sidecars
        for model in range(MODELS):
            of = f'environment="prod",model="m{model}",version="1"'
            counters[f"driftline_predictions_total{{{of}}} "] = share
            counters[f"driftline_prediction_duration_seconds_count{{{of}}} "] = share
            counters[f"driftline_checked_values_total{{{of}}} "] = share * FEATURES
            counters[f"driftline_wrong_type_values_total{{{of}}} "] = share * FEATURES / 1000
            for position, le in enumerate(BOUNDS, 1):
                bucket = f'driftline_prediction_duration_seconds_bucket{{{of},le="{le}"}} '
                counters[bucket] = share * position / len(BOUNDS)
            self.gauges += [
                f"driftline_model_min_rows{{{of}}} 200",
                f'driftline_model_info{{{of},owner="o",tier="1",task="regression"}} 1',
            ]
        for of in labels("version_feature_bin"):
            counters[f"driftline_feature_values_total{{{of}}} "] = share / BINS
            self.gauges.append(f"driftline_feature_baseline_ratio{{{of}}} {1 / BINS}")
        for of in labels("version_feature"):
            alone = of.replace(',binning="a"', "")
            for fault in ("missing", "wrong_type", "out_of_range"):
                counters[f'driftline_feature_faults_total{{{alone},fault="{fault}"}} '] = share / 1000
                self.gauges.append(f'driftline_feature_baseline_fault_ratio{{{alone},fault="{fault}"}} 0.001')
            threshold = f'driftline_feature_drift_threshold{{{alone},statistic="psi",priority='
            self.gauges += [
                f"driftline_feature_baseline_values{{{of}}} 10000",
                *(f'driftline_feature_overdispersion{{{of},window="{each}"}} 1.5' for each in ("24h", "7d")),
                *(f'{threshold}"{priority}"}} {psi}' for priority, psi in (("P2", 0.25), ("P3", 0.1))),
            ]
        self.counters, self.means = list(counters), np.array(list(counters.values()))
        self.values = np.zeros(len(counters), np.int64)
        self.rng = np.random.default_rng(number)
        self.told = None

    def text(self, now):
        """Return the page, and the moment up to which all is told with it."""
        times = np.arange((self.told or now - SINCE) + SCRAPE, now, SCRAPE)[:AT_ONCE]
        ends = [f" {moment * 1000:.0f}\n" for moment in times]
        if len(times) < AT_ONCE:
            times, ends = [now], ["\n"]
        risen = self.values + np.cumsum(self.rng.poisson(self.means, (len(ends), len(self.means))), axis=0)
        self.values = risen[-1]
        rows = zip(self.counters, risen.T.tolist(), strict=True)
        lines = [
            f"{counter}{value}{end}"
            for counter, values in rows
            for value, end in zip(values, ends, strict=True)
        ]
        return "".join(lines) + "\n".join(self.gauges) + "\n", times[-1]


@contextlib.contextmanager
def served():
    """Give an address below which ``/<prometheus>/<sidecars>/<number>`` is a sidecar, and ``/.../hours`` the past."""
    targets = {}

    class Shows(Answer):
        def answer(self):
            if self.path not in targets:
                _, _, sidecars, number = self.path.split("/")
                targets[self.path] = Hours() if number == "hours" else Sidecar(int(number), int(sidecars))
            page, told = targets[self.path].text(time.time())
            self.say(200, page.encode(), {"Content-Type": "text/plain; version=0.0.4"})
            targets[self.path].told = told  # not where a busy Prometheus hung up: it is told again

    with Standin(Shows) as server:
        yield f"127.0.0.1:{server.server_port}"
