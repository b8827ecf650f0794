"""A sidecar that is killed changes no prediction, and what was lost meanwhile is known."""

import signal
import time

import numpy as np
import pytest

import driftline
from stack.processes import Children, eventually, free_ports, sidecar
from stack.test_fleet import counter, scrape, settings
from watched import baseline, table


def answer(features):
    return features["amount"] * 2 + 1


@pytest.mark.timeout(150)
def test_killing_the_sidecar_changes_no_prediction_and_every_row_is_accounted_for(tmp_path):
    """Rows served = rows counted before the kill + counted after + dropped by the sender, exactly.

    The state is written every second and the kill waits for a quiet one, so that nothing counted is
    forgotten; what the state had not seen yet would be counted as lost as well as counted.
    """
    (tmp_path / "baselines").mkdir()
    baseline().save(tmp_path / "baselines")
    ports = free_ports(2)
    config, url, metrics = settings(tmp_path, every="1s", ports=ports)
    model = driftline.instrument(answer, name="fraud", version="1", endpoint=url.removesuffix("/v1/logs"))
    rows = {name: values[:20] for name, values in table(20).items() if name != "answer"}
    right = answer(rows)
    served = 0

    def serve(seconds):
        nonlocal served
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert np.array_equal(model(rows), right)
            served += 20
            time.sleep(0.002)

    try:
        with Children(tmp_path) as children:
            first = sidecar(children, config, metrics=metrics)
            serve(3)
            assert driftline.flush(5)
            before = counter(
                eventually(lambda: whole(metrics, served), within=20), "driftline_predictions_total"
            )
            assert before == served
            time.sleep(8)  # a tick, and the state after it
            children.stop(first, signal.SIGKILL)
            serve(2)
            sidecar(children, config, metrics=metrics)
            serve(3)
            assert driftline.flush(10)
            scrape(metrics)
            text = eventually(lambda: whole(metrics, served - before), within=20)
    finally:
        driftline.shutdown()
    assert counter(text, "driftline_predictions_total") == served - before
    counted = counter(
        text, 'driftline_feature_values_total{environment="prod",model="fraud",version="1",feature="amount"'
    )
    dropped = counter(text, "driftline_sidecar_sender_dropped_rows_total")
    lost = counter(text, "driftline_sidecar_sender_lost_rows_total")
    assert counted + dropped + lost == served - before


def whole(metrics, rows):
    """Return the exposition once it shows *rows* predictions."""
    text = scrape(metrics)
    return text if counter(text, "driftline_predictions_total") >= rows else None
