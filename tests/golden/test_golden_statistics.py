"""The statistics give what scipy gave."""

import json
from pathlib import Path

import numpy as np
import pytest

from driftline.histogram import Histogram
from driftline.statistics import STATISTICS
from driftline.statistics.chi_square import p_value
from driftline.statistics.false_discovery import adjusted
from driftline.statistics.overdispersion import overdispersion

HERE = Path(__file__).parent


def cases(name):
    return json.loads((HERE / f"{name}.json").read_text())["cases"]


def histogram(case, side):
    counts = np.array(case[side])
    edges = np.arange(len(counts) + 1.0)
    return Histogram(edges, counts, np.array(case[f"{side}_sums"]), stddev=case["stddev"])


@pytest.mark.parametrize("name", STATISTICS)
def test_statistic_equals_scipy(name):
    """Every entry of the table has golden numbers, and meets them to 1e-9."""
    for case in cases("statistics"):
        found = STATISTICS[name](histogram(case, "expected"), histogram(case, "observed"))
        wanted = case["scores"][name]
        assert found == pytest.approx(np.nan if wanted is None else wanted, rel=1e-9, abs=1e-9, nan_ok=True)


def test_overdispersion_equals_scipys_contingency_table():
    """Phi is the heterogeneity chi-square of scipy over its degrees of freedom."""
    for case in cases("overdispersion"):
        assert overdispersion(np.array(case["panes"])) == pytest.approx(case["value"], rel=1e-12)


def test_adjusted_p_values_equal_scipys():
    """Benjamini and Hochberg's are those of scipy, ties, 0 and 1 among them."""
    for case in cases("false_discovery"):
        assert adjusted(np.array(case["p_values"])) == pytest.approx(np.array(case["value"]), rel=1e-12)


def test_p_value_equals_scipys_f():
    """Significance is the F distribution's, on the statistic over phi."""
    for case in cases("p_value"):
        assert p_value(*case["arguments"]) == pytest.approx(case["value"], rel=1e-12)
