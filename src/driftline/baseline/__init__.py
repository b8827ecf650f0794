"""Baselines: the training data as histograms, with bins that outlive a retrain.

::

    baseline.py   Baseline: built from data, saved, loaded
    build.py      what was asked for, column by column, into features
    table.py      DataFrames, Arrow tables, Parquet, CSV into columns
    kinds.py      what a column is, and whether it is a feature at all
    bins.py       where values are counted, and how that is folded
    feature.py    FeatureBaseline: one feature, and counting on its bins
    file.py       to and from JSON, believing nothing
"""

from driftline.baseline.baseline import Baseline
from driftline.baseline.feature import Counts, FeatureBaseline, Kind

__all__ = ["Baseline", "Counts", "FeatureBaseline", "Kind"]
