"""The example for Spark, on a real Spark in local mode: parts counted by executors are the whole."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from driftline import Baseline

pyspark = pytest.importorskip("pyspark", reason="make test-spark runs this in an environment with Spark")
if shutil.which("java") is None:
    pytest.skip("Spark needs Java", allow_module_level=True)

# Spark's gateway leaves sockets to the garbage collector
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "spark" / "baseline.py"
ROWS = 60_000
LOCAL = {
    "spark.ui.enabled": "false",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.sql.shuffle.partitions": "4",
}


@pytest.fixture(scope="module", autouse=True)
def python():
    """Let Spark's workers run on the Python of this environment."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("PYSPARK_PYTHON", sys.executable)
        patched.setenv("PYSPARK_DRIVER_PYTHON", sys.executable)
        yield


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("spark_example", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "amount": np.round(rng.lognormal(3, 1, ROWS), 2),
            "gap": pd.array(np.where(rng.random(ROWS) < 0.1, None, rng.integers(0, 50, ROWS)), dtype="Int64"),
            "country": rng.choice(["de", "fr", "at"], ROWS),
            "member": rng.random(ROWS) < 0.4,
            "y_hat": rng.normal(10, 2, ROWS),
        }
    )
    folder = tmp_path_factory.mktemp("train")
    for number in range(6):
        frame.iloc[number * 10_000 : (number + 1) * 10_000].to_parquet(
            folder / f"part-{number}.parquet", index=False
        )
    return folder


@pytest.fixture(scope="module")
def spark():
    builder = pyspark.sql.SparkSession.builder.master("local[2]")
    for key, value in LOCAL.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


@pytest.mark.parametrize("sample", [ROWS, 5000])
def test_parts_counted_by_executors_are_the_whole(sample, example, spark, train, monkeypatch):
    """Counts, faults and shares are to the bit those of all rows counted here, empty partitions and all."""
    monkeypatch.setattr(example, "SAMPLE_ROWS", sample)
    rows = spark.read.parquet(str(train)).repartition(7)
    rows = rows.unionByName(rows.limit(0).repartition(3))
    found = example.build(rows, model="fraud", version="7", prediction="y_hat")
    whole = found.part(train, outputs={"@prediction": "y_hat"})
    assert found.rows == whole.rows == ROWS
    assert list(found.features) == ["amount", "gap", "country", "member", "@prediction"]
    for name, feature in found.features.items():
        expected = whole.features[name]
        assert feature.counts.tolist() == expected.counts.tolist()
        assert feature.ratios.tolist() == expected.ratios.tolist()
        assert (feature.faults, feature.binning) == (expected.faults, expected.binning)
        assert feature.sums == pytest.approx(expected.sums, rel=1e-9)
        assert (feature.mean, feature.stddev) == pytest.approx((expected.mean, expected.stddev), rel=1e-9)
    if sample == ROWS:  # the sample is all rows: the bins are those of a build on one machine
        here = Baseline.build(train, model="fraud", version="7", prediction="y_hat")
        assert [f.binning for f in found.features.values()] == [f.binning for f in here.features.values()]


def test_the_example_as_it_is_called(train, tmp_path):
    """``spark-submit baseline.py ...`` writes a baseline that loads."""
    options = [option for pair in LOCAL.items() for option in ("--conf", "=".join(pair))]
    submit = Path(sys.executable).with_name("spark-submit")
    done = subprocess.run(
        [submit, "--master", "local[2]", *options, EXAMPLE, train, tmp_path, "fraud", "7", "y_hat"],
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1].endswith("fraud@7.baseline.json: 5 features from 60000 rows")
    assert Baseline.load(tmp_path / "fraud@7.baseline.json").rows == ROWS
