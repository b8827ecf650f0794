# ruff: noqa: INP001 - a script of its own, in no package
"""Write recording/slo.yml from slo.yaml: ``python alert-rules/slo/generate.py``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

try:
    import yaml

    from driftline.names import DURATION_BOUNDS
except ImportError as error:
    sys.exit(f"this needs {error.name}: pip install 'driftline[sidecar]'")

HERE = Path(__file__).parent
WINDOWS = ("30m", "1h", "2h", "6h", "1d", "3d")
"""5m is recorded as it is; the longer ones are added up from it."""

_KEYS = {
    "availability": {"objective", "tiers", "models"},
    "latency": {"objective", "tiers", "models", "seconds"},
    "schema": {"objective", "tiers", "models"},
}
_MODEL = "sum by (environment, model)"
_HEAD = """\
# Written by slo/generate.py from slo/slo.yaml: change that one.
#
# How fast each model burns the error budget of each objective; 1 uses it up in exactly 30 days. The long
# windows are added up from what is recorded every five minutes, after the sidecars are merged: three
# days of raw samples are 17,280 a series. `offset 1s`: as in drift.yml, for the stroke of five minutes.
groups:
  - name: driftline.slo
    interval: 1m
    rules:
"""


def rules(slos: dict[str, Any] | None) -> str:
    """Return the rule file of *slos*, as slo.yaml holds them.

    Raises:
        ValueError: They cannot be kept or measured; the text names the key and what it may be.
    """
    if not slos or slos.keys() - _KEYS.keys():
        raise ValueError(
            f"slo.yaml: has {', '.join(slos or ()) or 'no objective'}, may have {', '.join(_KEYS)}"
        )
    parts = [_events(name, slo) for name, slo in slos.items()]
    records = {
        "model:driftline_slo_events:increase5m": "\nor\n".join(all_ for all_, _, _ in parts),
        "model:driftline_slo_bad_events:increase5m": "\nor\n".join(bad for _, bad, _ in parts),
        "model:driftline_slo_budget:ratio": "\nor\n".join(budget for _, _, budget in parts),
        "model:driftline_slo_burn:ratio5m": "model:driftline_slo_bad_events:increase5m\n"
        "/ (model:driftline_slo_events:increase5m > 0)\n/ model:driftline_slo_budget:ratio",
    }
    for window in WINDOWS:
        bad = f"model:driftline_slo_bad_events:sum{window}"
        records[bad] = f"sum_over_time(model:driftline_slo_bad_events:increase5m[{window}:5m] offset 1s)"
        records[f"model:driftline_slo_burn:ratio{window}"] = (
            f"{bad}\n/ (sum_over_time(model:driftline_slo_events:increase5m[{window}:5m] offset 1s) > 0)\n"
            "/ model:driftline_slo_budget:ratio"
        )
    lines = []
    for record, expression in records.items():
        lines += [f"      - record: {record}", "        expr: |"]
        lines += [f"          {line}" for line in expression.splitlines()]
    return _HEAD + "\n".join(lines) + "\n"


def _events(name: str, slo: dict[str, Any]) -> tuple[str, str, str]:
    """Return the expressions of all events, the bad ones and the budget of one objective."""
    if slo.keys() - _KEYS[name] or "objective" not in slo:
        allowed = ", ".join(sorted(_KEYS[name]))
        raise ValueError(f"slo.yaml: {name} has {', '.join(slo) or 'nothing'}, may have {allowed}")
    if name == "availability":
        total = f"{_MODEL} (increase(driftline_predictions_total[5m]))"
        bad = f"{_MODEL} (increase(driftline_prediction_errors_total[5m]))"
    elif name == "latency":
        seconds = slo.get("seconds")
        if seconds not in DURATION_BOUNDS:
            bounds = ", ".join(f"{bound:g}" for bound in DURATION_BOUNDS)
            raise ValueError(
                f"slo.yaml: latency.seconds: {seconds} is no bound of the histogram, write one of {bounds}"
            )
        duration = "driftline_prediction_duration_seconds"
        total = f"{_MODEL} (increase({duration}_count[5m]))"
        bad = f'{total}\n- {_MODEL} (increase({duration}_bucket{{le="{float(seconds)!r}"}}[5m]))'
    else:
        total = f"{_MODEL} (increase(driftline_checked_values_total[5m]))"
        bad = f"{_MODEL} (increase(driftline_wrong_type_values_total[5m]))"
    return _labelled(total, name), _labelled(bad, name), _labelled(_budget(name, slo), name)


def _budget(name: str, slo: dict[str, Any]) -> str:
    """Return the budget of each model that the objective is for: of the named ones, then of all others."""
    tiers = slo.get("tiers", ())
    owners = "model:driftline_model_owner:info"
    match = "=~" if len(tiers) > 1 else "="
    of_all = f'{owners}{{tier{match}"{"|".join(tiers)}"}}' if tiers else owners
    named = [
        f"{_share(f'{name}.models.{model}', objective)} * group by (environment, model) ({owners}{{model={json.dumps(str(model))}}})"
        for model, objective in slo.get("models", {}).items()
    ]
    rest = f"{_share(f'{name}.objective', slo['objective'])} * group by (environment, model) ({of_all})"
    return "\nor on (environment, model)\n".join([*named, rest])


def _share(key: str, objective: object) -> str:
    if not isinstance(objective, int | float) or not 0 < objective < 100:
        raise ValueError(
            f"slo.yaml: {key}: {objective!r} is not between 0 and 100 per cent, write for instance 99.9"
        )
    return f"{1 - objective / 100:.6g}"


def _labelled(expression: str, name: str) -> str:
    inner = "\n".join(f"  {line}" for line in expression.splitlines())
    return f'label_replace(\n{inner}\n, "slo", "{name}", "", "")'


if __name__ == "__main__":
    try:
        text = rules(yaml.safe_load((HERE / "slo.yaml").read_text()))
    except ValueError as error:
        sys.exit(str(error))
    (HERE.parent / "recording" / "slo.yml").write_text(text)
