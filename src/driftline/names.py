"""Every name that crosses a border, once: attributes, columns, faults, reasons, series and their labels."""

from __future__ import annotations

from typing import Literal, NamedTuple

# --- the record on the wire -------------------------------------------------------------------

CONTRACT_VERSION = 1
SCHEMA_URL = "https://driftline.dev/schemas/1.0.0"
SCOPE = "driftline"

EVENT_BATCH = "driftline.prediction.batch"
EVENT_HISTOGRAM = "driftline.histogram.batch"
RESERVED_EVENTS = ("driftline.ground_truth.batch",)
EVENT_PREFIX = "driftline."

ATTR_CONTRACT_VERSION = "driftline.contract.version"
ATTR_MODEL_NAME = "driftline.model.name"
ATTR_MODEL_VERSION = "driftline.model.version"
ATTR_ROWS = "driftline.batch.rows"
ATTR_STREAM = "driftline.batch.stream"
ATTR_SEQUENCE = "driftline.batch.sequence"
ATTR_ROWS_TOTAL = "driftline.batch.rows_total"
ATTR_DROPPED_ROWS_TOTAL = "driftline.batch.dropped_rows_total"
ATTR_LEFT_OUT_ROWS_TOTAL = "driftline.batch.left_out_rows_total"
ATTR_ERROR_ROWS_TOTAL = "driftline.batch.error_rows_total"
ATTR_SAMPLE_RATE = "driftline.batch.sample_rate"
ATTR_BASELINE_ID = "driftline.baseline.id"
ATTR_DATASET_VERSION = "driftline.dataset.version"
ATTR_TASK = "driftline.task.type"
ATTR_SEGMENT = "driftline.segment"
ATTR_DATA = "driftline.data"
ATTR_DATA_FLAT = "driftline.data."
ATTR_COUNTS = "driftline.counts"
ATTR_DICTIONARIES = "driftline.dictionaries"

ATTR_SERVICE_NAME = "service.name"
ATTR_SERVICE_INSTANCE = "service.instance.id"
ATTR_SERVICE_VERSION = "service.version"
ATTR_ENVIRONMENT = "deployment.environment.name"
UNKNOWN_SERVICE = "unknown_service"

COLUMN_PREDICTION = "@prediction"
COLUMN_SCORE = "@score"
COLUMN_LATENCY = "@latency"
COLUMN_ERROR = "@error"
COLUMN_ID = "@id"
COLUMN_TIME = "@time"
COLUMN_ENTITY = "@entity"
COLUMN_SEGMENT = "@segment"
OUTPUTS = (COLUMN_PREDICTION, COLUMN_SCORE)
"""What the names of outputs begin with."""

TASKS = ("classification", "regression", "ranking", "forecasting", "generation")

MAX_ROWS = 65_536
MAX_COLUMNS = 2_048
MAX_DICTIONARY = 1_024
MAX_NAME_BYTES = 256
MAX_MODEL_BYTES = 128

# --- spans and instruments of the service side ------------------------------------------------

ATTR_BATCH_SIZE = "driftline.prediction.batch_size"
ATTR_ERROR_TYPE = "error.type"
METRIC_DURATION = "driftline.prediction.duration"
METRIC_ERRORS = "driftline.errors"
DURATION_BOUNDS = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.5, 3.0, 5.0, 10.0, 30.0,
)  # fmt: skip

# --- faults, reasons, outcomes: closed lists --------------------------------------------------

MISSING, UNSEEN, WRONG_TYPE, OUT_OF_RANGE = "missing", "unseen", "wrong_type", "out_of_range"
FAULTS = (MISSING, UNSEEN, WRONG_TYPE, OUT_OF_RANGE)
FAULTS_OF_KIND = {
    "numeric": (MISSING, WRONG_TYPE, OUT_OF_RANGE),
    "text_length": (MISSING, WRONG_TYPE, OUT_OF_RANGE),
    "categorical": (MISSING, UNSEEN, WRONG_TYPE),
    "boolean": (MISSING, UNSEEN, WRONG_TYPE),
}
CONSTANT = "constant"
"""A fault that no single value has: a day of nothing but one value."""
OTHER = "other"
SCHEMA_CHANGES = ("absent", "extra", "type")

REJECTED_REASONS = (
    "contract_version",  # another major version
    "attribute",  # a required attribute is absent, or one has the wrong type or range
    "counts",  # counts of bins that are none, or more than the rows
    "data",  # no columns, too many, a bad or a duplicate name
    "column",  # a column's form: header, length, rows, codes
    "dictionary",  # a dictionary's form or size
    "attributes_dropped",  # the SDK cut attributes off
    "unsupported_event",  # a driftline event that this version does not know
)
MODEL_LIMIT = "model_limit"
"""Beyond limits.models or limits.versions; rows of a model that has no series, so it is not named."""
DROPPED_REASONS = (
    "duplicate",  # this stream and sequence was counted already
    "too_late",  # a sequence older than what is remembered
    "time_late",  # a row whose @time is older than the longest window
    "time_early",  # a row whose @time is further ahead than limits.skew
    "baseline_unknown",  # counts on bins that this sidecar does not have: the rows count as volume, their values do not
    MODEL_LIMIT,
)

# --- series -----------------------------------------------------------------------------------

Kind = Literal["counter", "gauge", "histogram"]


class Series(NamedTuple):
    """One metric family of the sidecar."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


MODEL = ("environment", "model", "version")

FEATURE_VALUES = Series(
    "driftline_feature_values_total", "counter", (*MODEL, "feature", "binning", "bin"),
    "Values of a feature per bin of its baseline; faults without a bin are not in it.",
)  # fmt: skip
FEATURE_FAULTS = Series(
    "driftline_feature_faults_total", "counter", (*MODEL, "feature", "fault"),
    "Values that were missing, unseen, of the wrong type (in no bin), out of range (in the outer bin too) or constant.",
)  # fmt: skip
BASELINE_RATIO = Series(
    "driftline_feature_baseline_ratio", "gauge", (*MODEL, "feature", "binning", "bin"),
    "Share of the baseline in a bin, smoothed at build; the shares of a feature sum to 1.",
)  # fmt: skip
BASELINE_VALUES = Series(
    "driftline_feature_baseline_values", "gauge", (*MODEL, "feature", "binning"),
    "Values the baseline of a feature was built from.",
)  # fmt: skip
BASELINE_FAULT_RATIO = Series(
    "driftline_feature_baseline_fault_ratio", "gauge", (*MODEL, "feature", "fault"),
    "Share of the baseline's rows with a fault.",
)  # fmt: skip
BASELINE_SCORE_EXPLAINED = Series(
    "driftline_feature_baseline_score_explained_ratio", "gauge", (*MODEL, "feature", "binning"),
    "Share of the score's variance in training that the bins of a feature explain; with attribution: true.",
)  # fmt: skip
OVERDISPERSION = Series(
    "driftline_feature_overdispersion", "gauge", (*MODEL, "feature", "binning", "window"),
    "How much more the panes of a window differ than chance explains, at least 1; absent under 8 closed panes.",
)  # fmt: skip
DRIFT_THRESHOLD = Series(
    "driftline_feature_drift_threshold", "gauge", (*MODEL, "feature", "statistic", "priority"),
    "Drift score above which an alert of this priority starts.",
)  # fmt: skip
PREDICTIONS = Series(
    "driftline_predictions_total", "counter", MODEL, "Rows served, those of failed calls included.",
)  # fmt: skip
PREDICTION_ERRORS = Series(
    "driftline_prediction_errors_total", "counter", (*MODEL, "error_type"), "Rows of calls that failed.",
)  # fmt: skip
PREDICTION_DURATION = Series(
    "driftline_prediction_duration_seconds", "histogram", MODEL,
    f"Duration of a call of the model; le is one of {', '.join(f'{bound:g}' for bound in DURATION_BOUNDS)}.",
)  # fmt: skip
CONFIDENCE = Series(
    "driftline_prediction_confidence_ratio", "histogram", MODEL,
    "Confidence of a classifier's answers, its largest score; le is the configured confidence.",
)  # fmt: skip
LAST_PREDICTION = Series(
    "driftline_last_prediction_timestamp_seconds", "gauge", MODEL,
    "When rows last arrived, by the sidecar's clock; absent before the very first.",
)  # fmt: skip
SILENCE_THRESHOLD = Series(
    "driftline_model_silence_threshold_seconds", "gauge", MODEL,
    "Seconds without a prediction after which a model counts as silent.",
)  # fmt: skip
MODEL_RETIRED = Series(
    "driftline_model_retired", "gauge", ("environment", "model"),
    "1 for a model that driftline.yaml says is retired: its silence is no news.",
)  # fmt: skip
MIN_ROWS = Series(
    "driftline_model_min_rows", "gauge", MODEL, "Rows a window needs before it is judged.",
)  # fmt: skip
MODEL_INFO = Series(
    "driftline_model_info", "gauge", (*MODEL, "owner", "tier", "task"),
    "1 for every model and version, with its owner and tier.",
)  # fmt: skip
MODEL_VERSION_INFO = Series(
    "driftline_model_version_info", "gauge", (*MODEL, "baseline", "dataset_version", "deployment_id", "state"),
    "1 for every model and version, with its baseline; state is ready or learning.",
)  # fmt: skip
BASELINE_CREATED = Series(
    "driftline_model_baseline_created_timestamp_seconds", "gauge", MODEL,
    "When the baseline that rows are now compared with was built; absent while the model is learning.",
)  # fmt: skip
CHECKED_VALUES = Series(
    "driftline_checked_values_total", "counter", MODEL,
    "Values of all features and outputs that a baseline knows; those that are missing are not in it.",
)  # fmt: skip
WRONG_TYPE_VALUES = Series(
    "driftline_wrong_type_values_total", "counter", MODEL, "Checked values of the wrong type, over all features.",
)  # fmt: skip
UNDECLARED_COLUMNS = Series(
    "driftline_undeclared_values_total", "counter", MODEL,
    "Values of columns that the baseline does not know; they are never named.",
)  # fmt: skip

SCORED_VALUES = Series(
    "driftline_feature_scored_values_total", "counter", (*MODEL, "feature", "binning", "bin"),
    "Values of a feature per bin, of rows that had a score; with attribution: true.",
)  # fmt: skip
SCORE_SUM = Series(
    "driftline_feature_score_sum_total", "counter", (*MODEL, "feature", "binning", "bin"),
    "Sum of the scores of the rows in a bin, each from 0 to 1 of its baseline's range; with attribution: true.",
)  # fmt: skip
SCORE_SQUARES = Series(
    "driftline_feature_score_squares_total", "counter", (*MODEL, "feature", "binning"),
    "Sum of the squares of those scores over all bins; with attribution: true.",
)  # fmt: skip
SCHEMA_CHANGED = Series(
    "driftline_model_schema_changes_total", "counter", (*MODEL, "change"),
    "Columns that were absent, extra or of another type for the first time; each sidecar counts it.",
)  # fmt: skip
SEGMENT_VALUES = Series(
    "driftline_segment_feature_values_total", "counter", (*MODEL, "segment", "feature", "binning", "bin"),
    "Values of a feature in a declared segment, per coarse bin, five at most.",
)  # fmt: skip
SEGMENT_FAULTS = Series(
    "driftline_segment_feature_faults_total", "counter", (*MODEL, "segment", "feature", "fault"),
    "Faults of a feature in a declared segment.",
)  # fmt: skip
SEGMENT_PREDICTIONS = Series(
    "driftline_segment_predictions_total", "counter", (*MODEL, "segment"),
    "Rows of a declared segment that arrived, those of failed calls included.",
)  # fmt: skip
SEGMENT_ERRORS = Series(
    "driftline_segment_prediction_errors_total", "counter", (*MODEL, "segment"),
    "Rows of calls that failed, of a declared segment.",
)  # fmt: skip

MERGED_SERIES = (
    FEATURE_VALUES, FEATURE_FAULTS, BASELINE_RATIO, BASELINE_VALUES, BASELINE_FAULT_RATIO,
    BASELINE_SCORE_EXPLAINED, OVERDISPERSION, DRIFT_THRESHOLD, PREDICTIONS, PREDICTION_ERRORS, PREDICTION_DURATION, CONFIDENCE, LAST_PREDICTION, SILENCE_THRESHOLD, MODEL_RETIRED,
    MIN_ROWS, MODEL_INFO, MODEL_VERSION_INFO, BASELINE_CREATED, CHECKED_VALUES, WRONG_TYPE_VALUES, UNDECLARED_COLUMNS, SCHEMA_CHANGED,
    SCORED_VALUES, SCORE_SUM, SCORE_SQUARES, SEGMENT_VALUES, SEGMENT_FAULTS, SEGMENT_PREDICTIONS, SEGMENT_ERRORS,
)  # fmt: skip
"""What Prometheus merges over sidecars, and what an alert may read."""

UPSTREAM_UPDATED = Series(
    "driftline_upstream_updated_timestamp_seconds", "gauge", ("environment", "model", "source"),
    "When the data of a source were last renewed.",
)  # fmt: skip
UPSTREAM_MAX_AGE = Series(
    "driftline_upstream_max_age_seconds", "gauge", ("environment", "model", "source"),
    "How old the data of a source may become.",
)  # fmt: skip

UPSTREAM_SERIES = (UPSTREAM_UPDATED, UPSTREAM_MAX_AGE)
"""What the pipelines before a model may export, not the sidecar."""

LOCAL_DRIFT = Series(
    "driftline_sidecar_feature_drift", "gauge", (*MODEL, "feature", "statistic", "window"),
    "Drift score of the rows this sidecar saw; for looking, never averaged, never paging.",
)  # fmt: skip
LOCAL_P_VALUE = Series(
    "driftline_sidecar_feature_p_value", "gauge", (*MODEL, "feature", "window"),
    "How often chance alone moves a feature so far, rows in clusters allowed for; absent while phi is.",
)  # fmt: skip
LOCAL_MEAN = Series(
    "driftline_sidecar_feature_mean", "gauge", (*MODEL, "feature", "window"),
    "Mean of the values in a window, cut to the baseline's range.",
)  # fmt: skip
LOCAL_Q_VALUE = Series(
    "driftline_sidecar_feature_q_value", "gauge", (*MODEL, "feature", "window"),
    "The p value adjusted for the number of features that are looked at (Benjamini and Hochberg).",
)  # fmt: skip
LOCAL_STDDEV = Series(
    "driftline_sidecar_feature_stddev", "gauge", (*MODEL, "feature", "window"),
    "Standard deviation of the values in a window, cut to the baseline's range, between the means of the fine bins.",
)  # fmt: skip
LOCAL_WINDOW_ROWS = Series(
    "driftline_sidecar_window_rows", "gauge", (*MODEL, "window"), "Rows in a window of this sidecar.",
)  # fmt: skip
LOCAL_WINDOW_ENTITIES = Series(
    "driftline_sidecar_window_entities", "gauge", (*MODEL, "window"),
    "How many entities the rows of a window are worth, told from @entity; absent where no row has one.",
)  # fmt: skip
LOCAL_WINDOW_FILL = Series(
    "driftline_sidecar_window_fill_ratio", "gauge", (*MODEL, "window"),
    "Share of a window's time that this sidecar has seen.",
)  # fmt: skip
LOCAL_SCHEMA = Series(
    "driftline_sidecar_model_schema_info", "gauge", (*MODEL, "schema", "columns"),
    "1 for every model and version, with a digest of its columns and their types, and how many there are.",
)  # fmt: skip
BATCHES = Series(
    "driftline_sidecar_batches_total", "counter", ("outcome",),
    "Records by outcome: counted, rejected, dropped, ignored.",
)  # fmt: skip
ROWS = Series(
    "driftline_sidecar_rows_total", "counter", ("outcome",), "Rows by outcome: counted, dropped.",
)  # fmt: skip
REJECTED = Series(
    "driftline_sidecar_records_rejected_total", "counter", ("reason",), "Records refused whole, by reason.",
)  # fmt: skip
DROPPED = Series(
    "driftline_sidecar_rows_dropped_total", "counter", (*MODEL, "reason"),
    "Rows of good records not counted, by reason; those of model_limit are of models that have no series.",
)  # fmt: skip
REQUESTS = Series(
    "driftline_sidecar_requests_total", "counter", ("transport", "code"),
    "Requests by transport (grpc, http) and answer.",
)  # fmt: skip
SENDER_DROPPED = Series(
    "driftline_sidecar_sender_dropped_rows_total", "counter", MODEL,
    "Rows that senders say they did not send, less those they left out by their sample rate.",
)  # fmt: skip
SENDER_LEFT_OUT = Series(
    "driftline_sidecar_sender_left_out_rows_total", "counter", MODEL,
    "Rows that senders left out by their sample rate; a setting, no loss.",
)  # fmt: skip
SENDER_LOST = Series(
    "driftline_sidecar_sender_lost_rows_total", "counter", MODEL,
    "Rows that senders sent and that had not arrived here a minute after a later batch did; another sidecar may have them.",
)  # fmt: skip
TASK_DIFFERS = Series(
    "driftline_sidecar_task_differs_total", "counter", MODEL,
    "Batches whose task differs from the baseline's, which wins.",
)  # fmt: skip
ENVIRONMENT_DIFFERS = Series(
    "driftline_sidecar_environment_differs_total", "counter", (),
    "Batches whose deployment.environment.name differs from the sidecar's environment, which wins.",
)  # fmt: skip
BYTES_IN_FLIGHT = Series("driftline_sidecar_in_flight_bytes", "gauge", (), "Bytes of requests being handled.")
TICK_SECONDS = Series("driftline_sidecar_tick_seconds", "gauge", (), "Duration of the last tick.")
SCRAPE_SECONDS = Series("driftline_sidecar_scrape_seconds", "gauge", (), "Duration of the last exposition.")
STATE_AGE = Series(
    "driftline_sidecar_state_timestamp_seconds", "gauge", (), "When the state was last written whole.",
)  # fmt: skip
STATE_ERRORS = Series(
    "driftline_sidecar_state_errors_total", "counter", ("operation",), "State files not read or not written.",
)  # fmt: skip
RELOADS = Series(
    "driftline_sidecar_reloads_total", "counter", ("outcome",),
    "Reloads of changed baselines: loaded, failed (the old ones are kept).",
)  # fmt: skip
RELOADED = Series(
    "driftline_sidecar_last_reload_successful", "gauge", (),
    "1, or 0 while baselines were changed, could not be used, and those before them are kept.",
)  # fmt: skip
BUILD_INFO = Series("driftline_sidecar_build_info", "gauge", ("version", "python"), "1.")

LOCAL_SERIES = (
    LOCAL_DRIFT, LOCAL_P_VALUE, LOCAL_Q_VALUE, LOCAL_MEAN, LOCAL_STDDEV, LOCAL_WINDOW_ROWS, LOCAL_WINDOW_ENTITIES, LOCAL_WINDOW_FILL, LOCAL_SCHEMA,
    BATCHES, ROWS, REJECTED, DROPPED, REQUESTS,
    SENDER_DROPPED, SENDER_LEFT_OUT, SENDER_LOST, TASK_DIFFERS, ENVIRONMENT_DIFFERS, BYTES_IN_FLIGHT, TICK_SECONDS,
    SCRAPE_SECONDS, STATE_AGE, STATE_ERRORS, RELOADS, RELOADED, BUILD_INFO,
)  # fmt: skip
"""What only one sidecar knows: for looking, and for the sidecar's own health."""
