"""The sidecar's ticker, where no real folder brings it into what may go wrong."""

import pytest

from driftline import config
from driftline.sidecar.app import Sidecar
from watched import baseline


def test_a_reload_that_breaks_off_has_failed_and_is_tried_again(tmp_path, monkeypatch):
    """Whatever ends a reload, it is told as failed until one succeeds; what is a fault of ours is tried again."""
    (tmp_path / "baselines").mkdir()
    settings = "environment: prod\nbaselines: [baselines/]\nstate: {path: state/}"
    sidecar = Sidecar(config.parse(settings, folder=tmp_path))

    def told():
        lines = sidecar.exposition.render().decode().splitlines()
        return [
            line
            for line in lines
            if line.startswith(("driftline_sidecar_last_reload", "driftline_sidecar_reloads"))
        ]

    def broken(_):
        raise MemoryError

    baseline().save(tmp_path / "baselines")
    with monkeypatch.context() as patched:
        patched.setattr(sidecar.monitor, "reload", broken)
        with pytest.raises(MemoryError):
            sidecar._reload()
    assert told() == [
        'driftline_sidecar_reloads_total{outcome="loaded"} 0.0',
        'driftline_sidecar_reloads_total{outcome="failed"} 1.0',
        "driftline_sidecar_last_reload_successful 0.0",
    ]
    sidecar._reload()
    sidecar._reload()
    assert told() == [
        'driftline_sidecar_reloads_total{outcome="loaded"} 1.0',
        'driftline_sidecar_reloads_total{outcome="failed"} 1.0',
        "driftline_sidecar_last_reload_successful 1.0",
    ]
    assert ("fraud", "1") in sidecar.monitor.models
