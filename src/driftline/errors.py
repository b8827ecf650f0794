"""Every error of driftline, in one tree.

::

    DriftlineError
    ├── ConfigurationError      driftline.yaml cannot be used; carries every fault found
    ├── BaselineError           a baseline cannot be built, read or used; carries every fault found
    ├── WireError               something that arrived or was to be sent breaks the contract
    │   ├── RecordRejected      one record; its neighbours still count
    │   ├── RequestUnreadable   a whole request that is not OTLP
    │   └── RequestTooLarge     a whole request beyond a limit
    ├── HistogramError
    │   ├── EdgesDiffer         two histograms do not share their bin edges
    │   └── EmptyHistogram      a statistic was asked of no values
    └── StateError              a state file cannot be read or written

None of them ever reaches the caller of a model's ``predict``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class DriftlineError(Exception):
    """The root of every error that driftline raises."""


class _Faulty(DriftlineError):
    """Something with faults, all of which are named at once."""

    def __init__(self, faults: Sequence[str] | str) -> None:
        self.faults: tuple[str, ...] = (faults,) if isinstance(faults, str) else tuple(faults)
        super().__init__("\n".join(self.faults))


class ConfigurationError(_Faulty):
    """The configuration cannot be used; ``faults`` names every faulty key and its remedy."""


class BaselineError(_Faulty):
    """A baseline cannot be built, read or used; ``faults`` names every fault."""


class WireError(DriftlineError):
    """Something that crossed, or was to cross, the border breaks the contract."""


class RecordRejected(WireError):
    """One record breaks the contract and is refused whole.

    ``reason`` is one of ``names.REJECTED_REASONS``, the text says what and where.
    """

    def __init__(self, reason: str, text: str) -> None:
        self.reason = reason
        super().__init__(text)


class RequestUnreadable(WireError):
    """A request's body is not what its content type says."""


class RequestTooLarge(WireError):
    """A request's body is beyond a limit, as sent or once inflated."""


class HistogramError(DriftlineError):
    """Two histograms cannot be combined, or one cannot be used."""


class EdgesDiffer(HistogramError):
    """Two histograms do not share their bin edges."""


class EmptyHistogram(HistogramError):
    """A statistic needs at least one value on either side."""


class StateError(DriftlineError):
    """A state file cannot be read or written."""
