"""A service that sends a tenth of its rows on purpose: every part of the way knows that nothing was lost."""

import json
import time
from pathlib import Path

import pytest

import driftline
from driftline.cli.timescale import scaled
from stack.processes import Children, eventually, prometheus, query, sidecar
from stack.test_fleet import counter, settings
from stack.test_killed_sidecar import whole
from watched import baseline, table

RULES = Path(__file__).parents[2] / "alert-rules"
FACTOR = 600  # an hour is six seconds


@pytest.mark.stack("prometheus")
@pytest.mark.timeout(120)
def test_a_sample_rate_is_no_loss(tmp_path):
    """What was served is in driftline_predictions_total, to the row; a tenth is in the bins, and no alert comes."""
    for folder in ("baselines", "rules"):
        (tmp_path / folder).mkdir()
    baseline().save(tmp_path / "baselines")
    for path in RULES.glob("*ing/*.yml"):
        (tmp_path / "rules" / f"{path.parent.name}-{path.name}").write_text(scaled(path.read_text(), FACTOR))
    config, url, metrics = settings(tmp_path)
    model = driftline.instrument(
        lambda rows: rows["amount"] * 2 + 10, name="fraud", version="1", sample_rate=0.1,
        endpoint=url.removesuffix("/v1/logs"),
    )  # fmt: skip
    rows = {name: values for name, values in table(200).items() if name != "answer"}
    with Children(tmp_path) as children:
        sidecar(children, config, metrics=metrics)
        watching = prometheus(
            children,
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: [{tmp_path}/rules/*.yml]\n"
            "scrape_configs:\n  - job_name: driftline\n    honor_labels: true\n"
            f"    static_configs: [{{targets: {json.dumps([metrics])}}}]\n",
        )
        eventually(lambda: query(watching, "driftline_predictions_total == 0"))
        try:
            for _ in range(200):
                model(rows)
                time.sleep(0.05)
            hour = query(watching, "sum(increase(driftline_sidecar_sender_left_out_rows_total[6s]))")
            alerts = query(watching, 'ALERTS{alertname!="DriftlineWatchdog"}')
            assert driftline.flush(10)
        finally:
            driftline.shutdown()
        text = eventually(lambda: whole(metrics, 40_000))
    assert alerts == []
    assert hour[0][1] > 10_000
    assert counter(text, "driftline_predictions_total") == 40_000
    counted = counter(
        text, 'driftline_feature_values_total{environment="prod",model="fraud",version="1",feature="amount"'
    )
    assert 3_600 < counted < 4_400
    assert counter(text, "driftline_sidecar_sender_left_out_rows_total") == 40_000 - counted
    for lost in ("dropped", "lost"):
        assert counter(text, f"driftline_sidecar_sender_{lost}_rows_total") == 0
