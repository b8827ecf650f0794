"""One row of 50 features recorded, by driftline or a peer: microseconds of CPU. `peer_recorder.py PEER [ENDPOINT]`.

All threads of the process count, and what is left over is sent before the clock stops.
"""

import logging
import random
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import peers

ROWS, FEATURES = 1000, 50
PEER, *ENDPOINT = sys.argv[1:]
logging.disable(logging.WARNING)
random.seed(20261121)
names = [f"f{number}" for number in range(FEATURES)]
rows = [[random.gauss(0, 1) for _ in names] for _ in range(ROWS)]
folder = Path(tempfile.mkdtemp())


def driftline():
    import driftline

    model = driftline.instrument(lambda row: row["f0"], name="bench", version="1", endpoint=ENDPOINT[0])
    dictionaries = [dict(zip(names, row, strict=True)) for row in rows]

    def record():
        for row in dictionaries:
            model(row)
        driftline.flush(10)

    return {"a call, its rows sent": (record, ROWS)}


def boxkite():
    from boxkite.monitoring.collector import BaselineMetricCollector
    from boxkite.monitoring.exporter.type import LogExporter
    from boxkite.monitoring.service import ModelMonitoringService

    class Nowhere(LogExporter):
        def emit(self, prediction):
            pass

    path = str(folder / "histogram.prom")
    ModelMonitoringService.export_text(
        features=[(name, list(values)) for name, values in zip(names, zip(*rows, strict=True), strict=True)],
        inference=[row[0] for row in rows],
        path=path,
    )
    service = ModelMonitoringService(
        log_exporter=Nowhere(), baseline_collector=BaselineMetricCollector(path=path)
    )

    def record():
        for row in rows:
            service.log_prediction(request_body="{}", features=row, output=row[0])

    return {"log_prediction, its log sent nowhere": (record, ROWS)}


def bentoml():
    import bentoml
    from bentoml.monitoring import DefaultMonitor

    options = {"log_path": str(folder)}

    def record():
        for row in rows:
            with bentoml.monitor("bench", monitor_class=DefaultMonitor, monitor_options=options) as monitor:
                for name, value in zip(names, row, strict=True):
                    monitor.log(value, name, role="feature", data_type="numerical")
                monitor.log(row[0], "prediction", role="prediction", data_type="numerical")

    return {"monitor, to a file": (record, ROWS)}


def whylogs():
    import whylogs
    from whylogs.core import DatasetProfile

    few = [dict(zip(names, row, strict=True), prediction=row[0]) for row in rows[:100]]
    profile = DatasetProfile()

    def track():
        for row in few:
            profile.track(row=row)

    def log():
        for row in few[:20]:
            whylogs.log(row=row)

    return {"profile.track": (track, len(few)), "log, as its quick start has it": (log, 20)}


works = {"driftline": driftline, "boxkite": boxkite, "bentoml": bentoml, "whylogs": whylogs}[PEER]()
found = peers.cpu({what: work for what, (work, _) in works.items()}, repetitions=7)
peers.say(
    version=version(PEER),
    figures={what: told if isinstance(told, str) else told / works[what][1] for what, told in found.items()},
    reference=peers.reference(),
)
