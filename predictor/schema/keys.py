"""Every key that this project writes on an MLflow run.

`/` groups charts in the MLflow UI. Bare names belong to MLflow: `mlflow run` writes an entry point's parameters under
them as text before any of our code starts.
"""

from __future__ import annotations

from typing import Final

SCHEMA_VERSION: Final = 1

HP: Final = "hp/"
"""Params: Hj, the fields of the method's section and of the training's."""
PROBE: Final = "probe/"
"""Metrics: numbers known before the full fine-tune."""
SCORE: Final = "score/"
"""Metrics: quality after the fine-tune, fractions in [0, 1], with `score/n` questions and `score/<headline>_se`."""
COST: Final = "cost/"
"""Metrics: seconds (`_s`), megabytes (`_mb`), tokens, parameters."""
TRAIN: Final = "train/"
"""Metrics by step: curves; they never enter the table."""
EVAL: Final = "eval/"
"""Metrics by step: curves on the development slice; they never enter the table."""

TAGS: Final = "predictor."
"""All tags that we write begin so."""
TAG_KIND: Final = "predictor.kind"
TAG_SCHEMA: Final = "predictor.schema_version"
TAG_COMPLETE: Final = "predictor.complete"
TAG_TASK: Final = "predictor.task"
TAG_DATASET: Final = "predictor.dataset"
TAG_FINGERPRINT: Final = "predictor.dataset_fingerprint"
TAG_ROW_SKETCH: Final = "predictor.row_sketch"
TAG_EVAL_DATASET: Final = "predictor.eval_dataset"
TAG_EVAL_FINGERPRINT: Final = "predictor.eval_fingerprint"
TAG_BASE_MODEL: Final = "predictor.base_model"
TAG_BASE_DIGEST: Final = "predictor.base_model_digest"
TAG_ENCODER_DIGEST: Final = "predictor.encoder_digest"
TAG_SEED: Final = "predictor.seed"
TAG_CONFIG_HASH: Final = "predictor.config_hash"
TAG_REVISION: Final = "predictor.code_revision"
TAG_METHOD: Final = "predictor.method"
TAG_TRAIN_LIMIT: Final = "predictor.train_limit"
TAG_EVAL_LIMIT: Final = "predictor.eval_limit"
TAG_DEV_LIMIT: Final = "predictor.dev_limit"
TAG_PROBE_STEPS: Final = "predictor.probe_steps"
TAG_FAILURE: Final = "predictor.failure"
TAG_OWNER: Final = "predictor.owner"
"""The process that writes the run: host, process id and start time."""
TAG_LEASE_UNTIL: Final = "predictor.lease.until"
"""Seconds since the epoch until which the owner of a claimed run may be silent."""
TAG_LEASE_STATE: Final = "predictor.lease.state"
"""`claimed` while several owners may want the configuration, `held` once one of them trains it."""
TAG_REAPED: Final = "predictor.reaped"
"""Who ended the run for an owner that had gone; such an owner may not complete it any more."""
TAG_PLAN: Final = "predictor.plan_hash"

KIND_FINETUNE: Final = "finetune"
KIND_PROBE: Final = "probe"
KIND_META: Final = "meta"
KIND_PREDICT: Final = "predict"
KIND_PREPARE: Final = "prepare"
KIND_QUICKSTART: Final = "quickstart"
KIND_SWEEP: Final = "sweep"

FAILURE_CRASHED: Final = "crashed: "
"""Begins the reason of a run whose process died by its own fault."""
FAILURE_ABANDONED: Final = "abandoned: its process ended without a word"
