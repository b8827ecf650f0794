"""What a hundred models of a hundred features hold when every pane is full: prints megabytes and a scrape's seconds."""

import dataclasses
import gc
import json
import time

import numpy as np

from driftline.baseline import Baseline
from driftline.wire import Batch
from watched import Watched

MODELS, FEATURES, ROWS = 100, 100, 400
rng = np.random.default_rng(0)


def megabytes():
    gc.collect()
    with open("/proc/self/status") as file:  # noqa: PTH123
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


def fill(watched, model):
    columns = {f"f{n}": rng.normal(size=ROWS).astype(np.float32) for n in range(FEATURES)}
    batch = Batch(model=model, version="1", rows=ROWS, columns=columns)
    watched.monitor.observe(batch)
    (track,) = watched.monitor.models[model, "1"].tracks.values()
    counts = track.totals.copy()
    for window in track.windows.values():
        for number in range(window.number - window.slots + 1, window.number + 1):
            window.put(number, counts)


def main():
    trained = {f"f{n}": rng.normal(size=5_000) for n in range(FEATURES)}
    one = Baseline.build(trained, model="m0", version="1").to_json()
    del trained
    settings = "environment: bench\nlimits: {models: 100}"
    warm = Watched(Baseline.from_json(one), settings=settings)
    fill(warm, "m0")
    warm.monitor.tick()
    warm.exposition.render()
    del warm
    before = megabytes()
    known = [dataclasses.replace(Baseline.from_json(one), model=f"m{n}") for n in range(MODELS)]
    watched = Watched(*known, settings=settings)
    for n in range(MODELS):
        fill(watched, f"m{n}")
    watched.monitor.tick()
    page = watched.exposition.render()
    whole = megabytes()
    samples = sum(not line.startswith(b"#") for line in page.splitlines())
    del page
    times = []
    for _ in range(3):
        began = time.thread_time()
        watched.exposition.render()
        times.append(time.thread_time() - began)
    print(
        json.dumps(
            {"one": (whole - before) / MODELS, "all": whole, "samples": samples, "scrape": sorted(times)[1]}
        )
    )


if __name__ == "__main__":
    main()
