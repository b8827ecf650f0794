"""A baseline of more rows than one machine holds: Spark's executors count their partitions, the driver merges.

    spark-submit baseline.py TRAIN OUTPUT MODEL VERSION [PREDICTION]

TRAIN is anything ``spark.read.parquet`` reads. Executors need ``driftline[baseline]``, no row leaves them: what
comes back from each partition is the text of a baseline.
"""

import sys

import pyarrow as pa
from pyspark.sql import SparkSession

from driftline import Baseline

SAMPLE_ROWS = 262_144


def build(rows, *, model, version, prediction=None, **options):
    """Return the baseline of the Spark DataFrame *rows*; *options* are those of ``Baseline.build``."""
    share = min(1.0, SAMPLE_ROWS / max(rows.count(), 1))
    sample = rows if share == 1.0 else rows.sample(share, seed=0)
    plan = Baseline.build(sample.toArrow(), model=model, version=version, prediction=prediction, **options)
    parts = rows.mapInArrow(counting(plan.to_json(), prediction), "part string").collect()
    return Baseline.merge([Baseline.from_json(row.part) for row in parts])


def counting(plan, prediction):
    """Return what runs on the executors: the batches of a partition in, one row out, the part's text."""

    def count(batches):
        outputs = {} if prediction is None else {"@prediction": prediction}
        part = Baseline.from_json(plan).part(batches, outputs=outputs)
        yield pa.RecordBatch.from_pydict({"part": [part.to_json()]})

    return count


def main():
    train, output, model, version, *prediction = sys.argv[1:]
    spark = SparkSession.builder.appName("driftline baseline").getOrCreate()
    rows = spark.read.parquet(train)
    built = build(rows, model=model, version=version, prediction=prediction[0] if prediction else None)
    print(f"{built.save(output)}: {len(built.features)} features from {built.rows} rows")
    spark.stop()


if __name__ == "__main__":
    main()
