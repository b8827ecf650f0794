"""``driftline kubernetes``: what a cluster with the Prometheus operator and Grafana's sidecar takes, in one stream."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from driftline import config
from driftline.cli.shipped import shipped_rules
from driftline.dashboards import DASHBOARDS
from driftline.errors import ConfigurationError, DriftlineError
from driftline.sidecar.baselines import Baselines
from driftline.sidecar.baselines import files as baseline_files

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from driftline.config import Config

NAME = {"app.kubernetes.io/name": "driftline"}
HOME = Path("/etc/driftline")
LARGEST = 1 << 20
"""Bytes of a ConfigMap."""
KEY = "baseline.json"
"""Of a baseline in its ConfigMap: a key takes no @, a path does."""
NOBODY = 65532

Resource = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what this command takes."""
    parser.epilog = "driftline kubernetes ... | kubectl apply --server-side -f -"
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="driftline.yaml, with its baselines"
    )
    parser.add_argument(
        "--image", required=True, help="the image of the Dockerfile, as your cluster pulls it"
    )
    parser.add_argument("--namespace", default="monitoring", help="default: monitoring")
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="what your Prometheus selects by, such as release=kube-prometheus-stack; may be repeated",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the resources as YAML: 0 all of them, 2 they cannot be made."""
    labels = dict(_label(text) for text in arguments.label)
    made = [*resources(arguments.config, arguments.image)]
    for one in made:
        # By its name the ServiceMonitor finds the Service, whatever else is asked for.
        kept = NAME if one["kind"] == "Service" else {}
        one["metadata"] |= {
            "namespace": arguments.namespace,
            "labels": {**one["metadata"].get("labels", {}), **NAME, **labels, **kept},
        }
    print(yaml.safe_dump_all(made, sort_keys=False, allow_unicode=True, width=1 << 20), end="")
    return 0


def resources(path: Path, image: str) -> Iterator[Resource]:
    """Yield the sidecar with its settings and baselines, what scrapes it, the rules and the dashboards.

    Raises:
        ConfigurationError: The configuration cannot be used, or not in a cluster.
        BaselineError: A baseline cannot be read.
        DriftlineError: Something is too large for a ConfigMap.
    """
    settings = config.load(path)
    _check_listens(settings, path)
    Baselines.load(settings.baselines)  # what the sidecar would refuse is refused here
    folders = _folders(settings.baselines, path.absolute().parent)
    yield _config_map("driftline", {"driftline.yaml": path.read_text(encoding="utf-8")})
    for there, file in (one for files in folders.values() for one in files.items()):
        yield _config_map(_name(there), {KEY: file.read_text(encoding="utf-8")})
    yield from _sidecar(settings, path, image, folders)
    for file in sorted([*shipped_rules().glob("recording/*.yml"), *shipped_rules().glob("alerting/*.yml")]):
        yield {
            "apiVersion": "monitoring.coreos.com/v1",
            "kind": "PrometheusRule",
            "metadata": {"name": f"driftline-{file.parent.name}-{file.stem}"},
            "spec": yaml.safe_load(file.read_text(encoding="utf-8")),
        }
    for uid, dashboard in DASHBOARDS.items():
        board = _config_map(
            uid, {f"{uid}.json": json.dumps(dashboard, ensure_ascii=False, separators=(",", ":"))}
        )
        board["metadata"]["labels"] = {"grafana_dashboard": "1"}
        yield board


def _sidecar(
    settings: Config, path: Path, image: str, folders: dict[Path, dict[Path, Path]]
) -> Iterator[Resource]:
    here = path.absolute().parent
    ports = {
        name: int(address.rpartition(":")[2])
        for name in ("grpc", "http", "metrics")
        if (address := getattr(settings.listen, name))
    }
    probe = {"httpGet": {"path": "/-/ready", "port": "metrics"}}
    volumes = {f"baselines-{number}": folder for number, folder in enumerate(folders)}
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "driftline"
        },  # the operator makes it the job's name, which DriftlineSidecarDown watches
        "spec": {
            "selector": NAME,
            "ports": [{"name": name, "port": port, "targetPort": name} for name, port in ports.items()],
        },
    }
    yield {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": {"name": "driftline"},
        "spec": {"selector": {"matchLabels": NAME}, "endpoints": [{"port": "metrics", "honorLabels": True}]},
    }
    yield {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "driftline"},
        "spec": {
            "serviceName": "driftline",
            "replicas": 1,
            "selector": {"matchLabels": NAME},
            "template": {
                # The settings are read at the start alone: with others it is another pod, which is started.
                "metadata": {
                    "labels": NAME,
                    "annotations": {"driftline/settings": hashlib.sha256(path.read_bytes()).hexdigest()},
                },
                "spec": {
                    "automountServiceAccountToken": False,
                    "securityContext": {
                        "runAsNonRoot": True, "runAsUser": NOBODY, "runAsGroup": NOBODY, "fsGroup": NOBODY,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "sidecar",
                            "image": image,
                            "args": ["sidecar", "--config", str(HOME / "driftline.yaml")],
                            "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
                            "readinessProbe": probe,
                            "livenessProbe": {"tcpSocket": {"port": "metrics"}, "periodSeconds": 30},
                            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"]},
                            },
                            "volumeMounts": [
                                {"name": "config", "mountPath": str(HOME / "driftline.yaml"), "subPath": "driftline.yaml"},
                                *({"name": name, "mountPath": str(folder)} for name, folder in volumes.items()),
                                {"name": "state", "mountPath": str(_there(settings.state.path, here))},
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": "config", "configMap": {"name": "driftline"}},
                        *(
                            {"name": name, "projected": {"sources": [_source(there) for there in folders[folder]]}}
                            for name, folder in volumes.items()
                        ),
                    ],
                },
            },
            "volumeClaimTemplates": [
                {
                    "metadata": {"name": "state"},
                    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}},
                }
            ],
        },
    }  # fmt: skip


def _folders(baselines: list[Path], here: Path) -> dict[Path, dict[Path, Path]]:
    """Return each folder of the container that holds *baselines*: where a file is in it, and where it is here."""
    found: dict[Path, dict[Path, Path]] = {}
    for path in baselines:
        folder = _there(path.parent if path.suffix and not path.is_dir() else path, here)
        found.setdefault(folder, {}).update({folder / file.name: file for file in baseline_files([path])})
    return found


def _there(path: Path, here: Path) -> Path:
    """Return where *path* of the configuration in the folder *here* is in the container."""
    return HOME / path.relative_to(here) if path.is_relative_to(here) else path


def _check_listens(settings: Config, path: Path) -> None:
    inside = [
        name
        for name in ("grpc", "http", "metrics")
        if config.is_loopback(getattr(settings.listen, name) or "0.0.0.0:0")
    ]
    if inside:
        raise ConfigurationError(
            f"{path.name}: listen.{inside[0]}: no other pod reaches 127.0.0.1, write 0.0.0.0 and how it is guarded"
        )
    if settings.listen.tls or settings.listen.token_file:
        raise ConfigurationError(
            f"{path.name}: listen: tls and token_file need your secrets mounted: write insecure: true and let a network "
            "policy or a mesh be the guard, or take these resources as a start and add them"
        )


def _config_map(name: str, data: dict[str, str]) -> Resource:
    size = sum(len(text.encode()) for text in data.values())
    if size > LARGEST:
        raise DriftlineError(
            f"{', '.join(data)} has {size} bytes, a ConfigMap takes {LARGEST}: put it on a volume"
        )
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def _source(there: Path) -> Resource:
    """Return what mounts a baseline under the name it has here."""
    return {"configMap": {"name": _name(there), "items": [{"key": KEY, "path": there.name}]}}


def _name(there: Path) -> str:
    """Return the name of a baseline's ConfigMap: readable, and told apart by a hash from one that reads alike."""
    readable = re.sub(r"[^a-z0-9]+", "-", there.name.lower()).strip("-")[:200]
    return f"driftline-{readable}-{hashlib.sha256(str(there).encode()).hexdigest()[:8]}"


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise DriftlineError(
            f'--label: "{text}" is no label, write for instance release=kube-prometheus-stack'
        )
    return name, value
