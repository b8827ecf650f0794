"""``driftline.observe``: predictions where there is no model object to instrument."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Self

from driftline.embedding import Embedding
from driftline.instrumentation.calls import Watch, recorded
from driftline.instrumentation.frameworks.reading import CALLED
from driftline.instrumentation.policy import Policy, patterns
from driftline.instrumentation.problems import problem
from driftline.instrumentation.recorder import Call, Known, Recorder, recorder_for
from driftline.instrumentation.said import Said
from driftline.instrumentation.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence
    from types import TracebackType


class Observed(Call):
    """One call as a context manager, plain or asynchronous, or a decorator of the function that predicts."""

    __slots__ = ()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return *function* with each of its calls recorded; its first argument is the features."""
        watch = Watch(self.recorder.saying(self.said), CALLED, self.owner, function)
        return recorded(function, watch)


class _Unrecorded(Observed):
    """A call of which nothing is recorded: its arguments cannot be used, or driftline is off."""

    __slots__ = ()

    def __init__(self) -> None:
        self.prediction = self.score = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function


def observe(
    name: str,
    version: str,
    features: Any = None,
    *,
    task: str | None = None,
    ids: Any = None,
    segments: Any = None,
    entities: Any = None,
    times: Any = None,
    sample_rate: float | None = None,
    feature_names: Sequence[str] | None = None,
    classes: Sequence[Any] | None = None,
    embedding: Embedding | Iterable[Embedding] | None = None,
    allow: Collection[str] | None = None,
    ignore: Collection[str] = (),
    hashed: Collection[str] = (),
    baseline: str | None = None,
    endpoint: str | None = None,
    token_file: str | None = None,
    ca_file: str | None = None,
    cert_file: str | None = None,
    key_file: str | None = None,
) -> Observed:
    """Return what records a prediction where there is no model object to instrument.

    A context manager, with ``async with`` too, around one call::

        with driftline.observe("fraud", "2.3.1", features, ids=order_id) as call:
            call.prediction = decide(features)

    or a decorator of the function that predicts, a coroutine function or generator of batches too::

        @driftline.observe("fraud", "2.3.1")
        def decide(features): ...

    It never raises: what is wrong with its arguments is logged and counted, and nothing is recorded.

    Args:
        name: The model's name.
        version: Its version.
        features: One row (a dictionary of scalars) or many: array, DataFrame, list of dictionaries, ... A
            decorated function brings its own.
        task: One of classification, regression, ranking, forecasting, generation.
        ids: The prediction's id, UUID or text, or one a row; as a decorator this and the next three may be
            functions of the features.
        segments: ``"country=de"``, or one a row.
        entities: Whom it is about, or one a row.
        times: When it was made, a datetime or seconds since 1970, or one a row; else when it arrives.
        sample_rate: The share of rows to send, else ``DRIFTLINE_SAMPLE_RATE``, else all; all are counted.
        feature_names: Names for what has none.
        classes: Names for scores, in their order.
        embedding: What is watched of features that are vectors; those of ``baseline`` need not be given.
        allow: Features that may leave the process, as names or patterns such as ``"amount_*"``; None for all.
        ignore: Features that may not.
        hashed: Features that may as a hash only.
        baseline: A baseline's file or a folder of them, else ``DRIFTLINE_BASELINE``: rows are counted on its
            bins here, and only counts leave.
        endpoint: The sidecar's address, else ``DRIFTLINE_ENDPOINT``, else http://127.0.0.1:4328.
        token_file: A file with a bearer token, else ``DRIFTLINE_TOKEN_FILE``.
        ca_file: A file with the certificates to trust, else ``DRIFTLINE_CA_FILE``.
        cert_file: A file with this service's own certificate, else ``DRIFTLINE_CERT_FILE``.
        key_file: A file with its key, else ``DRIFTLINE_KEY_FILE``; none where the key is in the same file.
    """
    try:
        recorder = _observer(
            name,
            version,
            task,
            embedding if embedding is None or isinstance(embedding, Embedding) else tuple(embedding),
            None if allow is None else patterns("allow", allow),
            patterns("ignore", ignore),
            patterns("hashed", hashed),
            (sample_rate, baseline, endpoint, token_file, ca_file, cert_file, key_file),
        )
        owner = None if feature_names is None and classes is None else _known(feature_names, classes)
    except Exception as error:  # noqa: BLE001 - nothing of ours reaches the caller
        problem("observe", f"observe({name!r}, {version!r}) records nothing: {error}")
        recorder = None
    if recorder is None:
        return _Unrecorded()
    call = Observed(recorder, features, owner)
    if not (ids is segments is entities is times is None):
        call.said = Said(ids, segments, entities, times)
    return call


@lru_cache(maxsize=1024)
def _observer(
    name: str,
    version: str,
    task: str | None,
    embedding: Embedding | tuple[Embedding, ...] | None,
    allow: tuple[str, ...] | None,
    ignore: tuple[str, ...],
    hashed: tuple[str, ...],
    given: tuple[float | None, str | None, str | None, str | None, str | None, str | None, str | None],
) -> Recorder | None:
    settings = Settings.load(*given)
    policy = Policy.load(allow=allow, deny=ignore, hashed=hashed)
    return recorder_for(name, version, task=task, policy=policy, embedding=embedding, settings=settings)


def _known(feature_names: Sequence[str] | None, classes: Sequence[Any] | None) -> Known:
    return Known(
        None if feature_names is None else tuple(feature_names), None if classes is None else tuple(classes)
    )
