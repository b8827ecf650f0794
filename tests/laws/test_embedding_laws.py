"""What every embedding obeys, whatever the vectors."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import strategies
from driftline import names
from driftline.baseline import Baseline
from driftline.embedding import Embedding
from driftline.errors import BaselineError, ConfigurationError
from driftline.instrumentation.vectors import Embeddings

TWO = ("x.norm", "x.distance")


def built(rows, **options):
    try:
        found = Baseline.build({"x": rows}, model="m", **options)
    except BaselineError:
        found = None
    assume(
        found is not None and found.embeddings
    )  # else most vectors are of another length, or too long to measure
    return found


@given(rows=strategies.vectors())
def test_each_row_is_measured_by_itself(rows):
    """Whatever stands beside it, and never with an exception: a number from 0, or missing, or of the wrong type."""
    try:
        embedding = Embedding.of("x", rows)
    except ConfigurationError:
        embedding = Embedding("x", np.zeros(3))
    whole = embedding.measured(rows)
    assert np.array_equal(whole, np.concatenate([embedding.measured([row]) for row in rows]), equal_nan=True)
    assert not (whole < 0).any()
    assert (np.isnan(whole[:, 0]) == np.isnan(whole[:, 1])).all()


@given(rows=strategies.vectors())
def test_numbers_are_numpys(rows):
    """The centroid is numpy's mean and norm and distance are numpy's, to the rounding that is said."""
    width = len(built(rows).embeddings["x"].centroid)
    good = np.array(
        [
            r
            for r in rows
            if isinstance(r, list) and len(r) == width and all(isinstance(v, int | float) for v in r)
        ]
    )
    good = good[np.isfinite(good).all(axis=1)] / 2.0**12  # whose mean does not overflow
    good = good[np.abs(good).max(axis=1) < 1e150]
    assume(len(good))
    embedding = Embedding.of("x", good)
    mean = np.array([np.mean(column / len(column) * len(column)) for column in good.T])
    assert np.allclose(embedding.centroid, mean, rtol=1e-8, atol=2.0**-25 * np.abs(good).max(axis=0))
    with np.errstate(over="ignore"):
        apart = np.linalg.norm(good - embedding.centroid, axis=1)
    columns = embedding.columns(good)
    assert np.allclose(columns["x.norm"], np.linalg.norm(good, axis=1), rtol=2.0**-17, atol=0)
    assert np.allclose(columns["x.distance"], apart, rtol=2.0**-17, atol=0)


@given(rows=strategies.vectors())
def test_a_baseline_counts_every_row(rows):
    """Each is a value or a fault of both features; what is written is read back equal, centroid and all."""
    baseline = built(rows)
    for name in TWO:
        found = baseline.features[name]
        in_no_bin = sum(n for fault, n in found.faults.items() if fault != names.OUT_OF_RANGE)
        assert int(found.counts.sum()) + in_no_bin == len(rows)
    again = Baseline.from_json(baseline.to_json())
    assert again.to_json() == baseline.to_json()
    assert np.array_equal(again.embeddings["x"].centroid, baseline.embeddings["x"].centroid)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 999), rows=st.integers(2, 300), width=st.integers(2, 40), scale=st.integers(-60, 60)
)
def test_what_holds_the_vectors_changes_nothing(seed, rows, width, scale):
    """numpy, lists, pandas, Arrow's lists, fixed or not, give one id, in training and in the service one measure."""
    vectors = np.ldexp(np.random.default_rng(seed).normal(size=(rows, width)), scale).astype(np.float32)
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), width)
    held = [
        {"x": vectors}, {"x": np.asfortranarray(vectors)}, {"x": vectors.tolist()}, pd.DataFrame({"x": list(vectors)}),
        pa.table({"x": pa.array(list(vectors))}), pa.table({"x": fixed}),
    ]  # fmt: skip
    baselines = [Baseline.build(data, model="m") for data in held]
    assert len({baseline.id for baseline in baselines}) == 1
    measured = baselines[0].embeddings["x"].measured(vectors)
    for data in held:
        part = Embeddings.of((), baselines[0]).read(data, None)
        part.own(None)
        columns = part.join([part])
        assert np.array_equal(np.column_stack([columns[name] for name in TWO]), measured)


@settings(max_examples=30)
@given(rows=strategies.vectors(), cut=st.floats(0, 1))
def test_parts_add_up(rows, cut):
    """Parts are measured from the plan's centroid: merged they are the whole."""
    whole = built(rows)
    at = int(cut * len(rows))
    merged = Baseline.merge([whole.part({"x": rows[:at]}), whole.part({"x": rows[at:]})])
    assert merged.embeddings.keys() == {"x"}
    for name in TWO:
        one, other = whole.features[name], merged.features[name]
        assert np.array_equal(one.counts, other.counts)
        assert one.faults == other.faults
        assert one.mean == pytest.approx(other.mean)


@settings(max_examples=30)
@given(rows=strategies.vectors(), seed=st.integers(0, 99), width=st.integers(2, 5))
def test_an_inherited_centroid_is_the_older_ones(rows, seed, width):
    """Where the vectors are as long; where they are not, no bin of the older distance is kept either."""
    older = built(rows)
    newer = np.random.default_rng(seed).normal(size=(50, width))
    found = built(newer, edges_from=older)
    its = older.embeddings["x"].centroid
    if width == len(its):
        assert np.array_equal(found.embeddings["x"].centroid, its)
    else:
        assert found.id == built(newer).id
