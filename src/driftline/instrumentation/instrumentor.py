"""driftline without a line of code: what ``opentelemetry-instrument`` loads.

Every estimator that scikit-learn, XGBoost, LightGBM or the service derives from ``BaseEstimator`` is recorded
at its class, under the names that ``DRIFTLINE_MODEL_NAME`` or ``DRIFTLINE_MODELS`` gives.
"""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

import wrapt
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor  # type: ignore[attr-defined]

from driftline.errors import ConfigurationError
from driftline.instrumentation.calls import Watch, recorded, silent
from driftline.instrumentation.frameworks.estimator import SERVES, TRAINS
from driftline.instrumentation.frameworks.reading import NOBODY, Asked, Method, first
from driftline.instrumentation.models import Conditional
from driftline.instrumentation.policy import Policy
from driftline.instrumentation.problems import problem, remark
from driftline.instrumentation.recorder import Recorder, recorder_for
from driftline.instrumentation.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

NO_VERSION = "unversioned"


class DriftlineInstrumentor(BaseInstrumentor):  # type: ignore[misc]  # it is not typed
    """Records every estimator that the environment names."""

    _patches: _Patches | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return what is instrumented."""
        return ("scikit-learn >= 1.3",)

    def _instrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - as without arguments
        try:
            recorder_of = _recorders(os.environ)
        except ConfigurationError as error:  # raised, it would keep those after it from being instrumented
            problem("settings", f"no model is watched: {'; '.join(error.faults)}")
            return
        if recorder_of is None:
            remark(
                "auto", "set DRIFTLINE_MODEL_NAME and DRIFTLINE_MODEL_VERSION; no model is watched until then"
            )
            return
        self._patches = _Patches(recorder_of)
        wrapt.register_post_import_hook(self._patches.begin, "sklearn.base")

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - the same
        if self._patches is not None:
            self._patches.end()
            self._patches = None


def _recorders(environ: Mapping[str, str]) -> Mapping[str, Recorder] | None:
    """Return the recorder of each class by its name, ``*`` for all others; None where no model is named."""
    named = {}
    for pair in environ.get("DRIFTLINE_MODELS", "").split(","):
        kind, equals, model = pair.strip().partition("=")
        if equals:
            named[kind] = model.partition("@")
    if not named and (name := environ.get("DRIFTLINE_MODEL_NAME")):
        named["*"] = name, "@", environ.get("DRIFTLINE_MODEL_VERSION", "")
    settings = Settings.load(environ=environ)
    if not named:
        return None
    task, policy = environ.get("DRIFTLINE_TASK") or None, Policy.load(environ=environ)
    recorders = {
        kind: recorder_for(name, version or NO_VERSION, task=task, policy=policy, settings=settings)
        for kind, (name, _, version) in named.items()
    }
    return {kind: recorder for kind, recorder in recorders.items() if recorder is not None}


class _Patches:
    """The methods that stand in the place of others, in classes that exist and in those still to come."""

    def __init__(self, recorder_of: Mapping[str, Recorder]) -> None:
        self._recorder_of = recorder_of
        self._originals: list[tuple[type[Any], str, Any]] = []
        self._ended = False

    def begin(self, module: Any) -> None:
        """Patch the estimators that there are, and let each new class be patched when it is made."""
        if self._ended:
            return
        base = module.BaseEstimator
        inherited = base.__init_subclass__.__func__

        def __init_subclass__(cls: type[Any], /, **kwargs: Any) -> None:  # noqa: N807 - it stands in its place
            inherited(cls, **kwargs)
            self._patch(cls)

        self._replace(base, "__init_subclass__", classmethod(__init_subclass__))
        for kind in _descendants(base):
            self._patch(kind)

    def end(self) -> None:
        """Put back what was there."""
        self._ended = True
        for kind, name, original in reversed(self._originals):
            if original is None:
                delattr(kind, name)
            else:
                setattr(kind, name, original)

    def _patch(self, kind: type[Any]) -> None:
        recorder = self._recorder_of.get(kind.__name__) or self._recorder_of.get("*")
        if recorder is None or "__driftline_plain__" in vars(kind):
            return
        for name in (*SERVES, *TRAINS):
            original = inspect.getattr_static(kind, name, None)
            ours = getattr(original, "__driftline_auto__", None)  # inherited from a class that was patched
            if original is not None and ours != recorder.key:
                self._replace(kind, name, _stand_in(original, name, recorder))

    def _replace(self, kind: type[Any], name: str, replacement: Any) -> None:
        self._originals.append((kind, name, vars(kind).get(name)))
        setattr(kind, name, replacement)


def _stand_in(original: Any, name: str, recorder: Recorder) -> Any:
    method = SERVES.get(name)
    watch = None if method is None else Watch(recorder, Method(method.outputs, _features))
    found: Any
    if not inspect.isfunction(original):
        found = Conditional(original, watch, recorder)
    else:
        found = recorded(original, watch) if watch else silent(original, recorder)
    found.__driftline_auto__ = recorder.key
    return found


def _features(asked: Asked) -> Any:
    """Return the features, unless the service instrumented this model itself, under a name of its own."""
    return NOBODY if hasattr(type(asked.model), "__driftline_plain__") else first(asked)


def _descendants(kind: type[Any]) -> Iterator[type[Any]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)
