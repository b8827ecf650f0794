"""The statistics give what scipy gave."""

import json
from pathlib import Path

import numpy as np
import pytest

from driftline.histogram import Histogram
from driftline.statistics import STATISTICS
from driftline.statistics.overdispersion import overdispersion

HERE = Path(__file__).parent


def cases(name):
    return json.loads((HERE / f"{name}.json").read_text())["cases"]


@pytest.mark.parametrize("name", STATISTICS)
def test_statistic_equals_scipy(name):
    """Every entry of the table has golden numbers, and meets them to 1e-12."""
    for case in cases(name):
        edges = np.arange(len(case["expected"]) + 1.0)
        found = STATISTICS[name](
            Histogram(edges, np.array(case["expected"])), Histogram(edges, np.array(case["observed"]))
        )
        assert found == pytest.approx(case["value"], rel=1e-12, abs=1e-12)


def test_overdispersion_equals_scipys_contingency_table():
    """Phi is the heterogeneity chi-square of scipy over its degrees of freedom."""
    for case in cases("overdispersion"):
        assert overdispersion(np.array(case["panes"])) == pytest.approx(case["value"], rel=1e-12)
