"""The parts of the demo, set up: two services with a sidecar each, Prometheus, Alertmanager."""

from __future__ import annotations

import pickle
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from driftline import columns
from driftline.baseline import Baseline
from driftline.cli.demo import stack
from driftline.cli.demo.population import FEATURES, PREDICTION
from driftline.cli.demo.service import NAME, VERSION
from driftline.cli.shipped import shipped_rules
from driftline.cli.timescale import scaled, scaled_duration
from driftline.drift import Expected
from driftline.errors import DriftlineError
from driftline.layout import Layout
from driftline.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from driftline.cli.demo.phone import Phone

FACTOR = 720.0
"""How much faster the shipped rules and timers run: a day in two minutes, an hour in five seconds."""

DAY = scaled_duration("24h", FACTOR)
INSTANCES = ("a", "b")

_WINDOWS = {"24h": "1h", "7d": "6h"}
_DRIFTLINE_YAML = """\
environment: prod
listen: {{grpc: null, http: "127.0.0.1:{otlp}", metrics: "{metrics}"}}
baselines: ["baselines/"]
state: {{path: "state-{name}/"}}
windows: {{{windows}}}
models:
  {model}: {{owner: pricing, tier: "2"}}
"""


def build_baseline(model: Any, rows: pd.DataFrame) -> Baseline:
    """Return the baseline of *rows* and of what *model* answers to them."""
    data = rows[list(FEATURES)].assign(**{PREDICTION: model.predict(rows[list(FEATURES)])})
    return Baseline.build(data, model=NAME, version=VERSION, prediction=PREDICTION)


def scores(baseline: Baseline, model: Any, rows: pd.DataFrame) -> dict[str, float]:
    """Return the PSI of each feature of *rows*, and of the answers to them, the most moved first."""
    layout = Layout(baseline)
    window = Window(2.0, 1.0, layout.empty(), 0.0)
    data = {feature: columns.of(rows[feature].tolist()) for feature in FEATURES}
    window.add(layout.count({**data, "@prediction": model.predict(rows[list(FEATURES)])}, len(rows)))
    found = {score.feature: score.scores["psi"] for score in Expected(layout).score(window)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


@dataclass(frozen=True)
class Instance:
    """One instance of the service and its sidecar: where each answers."""

    name: str
    port: int
    metrics: str


def instances(children: stack.Children, model: Any, baseline: Baseline) -> list[Instance]:
    """Start a sidecar and a service for each of ``INSTANCES``."""
    folder = children.folder
    (folder / "baselines").mkdir()
    baseline.save(folder / "baselines")
    (folder / "model.pickle").write_bytes(pickle.dumps(model))
    ports = stack.free_ports(3 * len(INSTANCES))
    started, services = [], []
    for name, port, otlp, scraped in zip(INSTANCES, ports[0::3], ports[1::3], ports[2::3], strict=True):
        instance = Instance(name, port, f"127.0.0.1:{scraped}")
        service = children.launch(
            f"service-{name}",
            *(sys.executable, "-m", "driftline.cli.demo.service", str(port), folder / "model.pickle"),
            environment={
                "DRIFTLINE_ENDPOINT": f"http://127.0.0.1:{otlp}",
                "OTEL_SERVICE_NAME": NAME,
                "OMP_NUM_THREADS": "1",  # one row a call: the trees' threads would only wait for each other
            },
        )
        services.append((service, f"http://127.0.0.1:{port}/"))
        config = folder / f"driftline-{name}.yaml"
        config.write_text(
            _DRIFTLINE_YAML.format(
                name=name, otlp=otlp, metrics=instance.metrics, windows=_windows(), model=NAME
            )
        )
        stack.sidecar(children, config, metrics=instance.metrics, name=f"sidecar-{name}")
        started.append(instance)
    for service, address in services:
        children.await_ready(service, address)
    return started


def _windows() -> str:
    return ", ".join(
        f"{scaled_duration(length, FACTOR)}: {scaled_duration(pane, FACTOR)}"
        for length, pane in _WINDOWS.items()
    )


def watchers(children: stack.Children, scraped: list[Instance], phone: Phone) -> tuple[str, str]:
    """Start Prometheus and Alertmanager on the shipped files, faster and at our addresses; return their URLs."""
    shipped = shipped_rules()
    for path in sorted(shipped.glob("*/*.yml")):
        copy = children.folder / path.relative_to(shipped)
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(scaled(path.read_text(), FACTOR))
    routes = (children.folder / "alertmanager" / "alertmanager.yml").read_text()
    routes = readdressed(routes, {"http://alerts.example.com": phone.url})
    alertmanager = stack.alertmanager(children, routes, name="pager")
    config = readdressed(
        scaled((shipped / "prometheus.yml").read_text(), FACTOR),
        {
            '"127.0.0.1:9093"': f'"{alertmanager.removeprefix("http://")}"',
            '"127.0.0.1:9477"': ", ".join(f'"{instance.metrics}"' for instance in scraped),
        },
    )
    return stack.prometheus(children, config), alertmanager


def readdressed(text: str, addresses: Mapping[str, str]) -> str:
    """Return *text* with each old address replaced by its new one.

    Raises:
        DriftlineError: An old address is not in it.
    """
    for old, new in addresses.items():
        if old not in text:
            raise DriftlineError(f"the shipped configuration does not name {old}, which the demo replaces")
        text = text.replace(old, new)
    return text
