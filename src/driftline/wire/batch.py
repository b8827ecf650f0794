"""What a request brings: batches of rows, and errors for what is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from driftline.columns import Column
    from driftline.errors import RecordRejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows of one model and version, column by column, with what the record says about them.

    ``resource`` holds the resource attributes whose values are text, such as ``service.name``.
    The ``*_total`` counts are cumulative per (stream, model, version); None where the sender gave none. Those left out
    by the sample rate are among those dropped.
    ``counts`` are what a service counted itself, by column: the four faults, then the fine bins of the baseline.
    ``records`` is how many one-row records were read into this batch, else 1.
    """

    model: str
    version: str
    rows: int
    columns: Mapping[str, Column]
    stream: bytes | None = None
    sequence: int | None = None
    rows_total: int | None = None
    dropped_rows_total: int | None = None
    left_out_rows_total: int | None = None
    error_rows_total: int | None = None
    sample_rate: float | None = None
    baseline_id: str | None = None
    dataset_version: str | None = None
    task: str | None = None
    segment: str | None = None
    resource: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, NDArray[np.integer[Any]]] | None = None
    records: int = 1


@dataclass(frozen=True, slots=True)
class Request:
    """What one export request held.

    Attributes:
        batches: The good records, in order; then those of one row that could be read together.
        rejected: One error for every record that breaks the contract.
        ignored: How many records are not driftline's.
    """

    batches: tuple[Batch, ...]
    rejected: tuple[RecordRejected, ...]
    ignored: int
