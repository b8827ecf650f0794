"""driftline: production machine-learning models watched by the observability stack you already run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from driftline.embedding import Embedding
from driftline.instrumentation.configure import configure
from driftline.instrumentation.models import instrument, uninstrument
from driftline.instrumentation.observe import observe
from driftline.instrumentation.process import flush, shutdown

if TYPE_CHECKING:
    from driftline.baseline import Baseline

__all__ = ["Baseline", "Embedding", "configure", "flush", "instrument", "observe", "shutdown", "uninstrument"]


def __getattr__(name: str) -> Any:
    if name == "Baseline":  # a service that never builds one does not pay for it
        from driftline.baseline import Baseline

        return Baseline
    raise AttributeError(f"module 'driftline' has no attribute {name!r}")
