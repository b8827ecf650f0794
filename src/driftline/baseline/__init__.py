"""Baselines: the training data as histograms, with bins that outlive a retrain.

::

    baseline.py     Baseline: built from data, saved, loaded
    build.py        what was asked for, column by column, into features
    parts.py        counting on bins that are given, and adding parts up
    table.py        DataFrames, Arrow tables, arrays into columns
    files.py        Parquet, Arrow and CSV, read by column or by batch
    vectors.py      columns of vectors into what is measured of them
    stream.py       what is larger than memory: a sample for the bins, every row for the counts
    kinds.py        what a column is, and whether it is a feature at all
    bins.py         where values are counted, and how that is folded
    feature.py      FeatureBaseline: one feature, and counting on its bins
    attribution.py  what drives the score: its sums by bin
    scores.py       the scores of some rows, summed by the bins of a feature
    file.py         to and from JSON, believing nothing
    folder.py       the files of many models and versions
"""

from driftline.baseline.baseline import Baseline
from driftline.baseline.feature import Counts, FeatureBaseline, Kind

__all__ = ["Baseline", "Counts", "FeatureBaseline", "Kind"]
