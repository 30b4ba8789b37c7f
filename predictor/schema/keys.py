"""Every key that this project writes on an MLflow run or a model version, and the names of the model and its stages.

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
"""Metrics: quality after the fine-tune, each in the unit of its :class:`predictor.schema.targets.Target`, and
`score/<name>_se`, its standard error."""
SCORE_N: Final = "score/n"
"""Metric: the number of scored questions."""
SE: Final = "_se"
"""Ends the key of a score's standard error."""
COST: Final = "cost/"
"""Metrics: seconds (`_s`), megabytes (`_mb`), tokens, parameters."""
TRAIN: Final = "train/"
"""Metrics by step: curves; they never enter the table."""
EVAL: Final = "eval/"
"""Metrics by step: curves on the development slice; they never enter the table."""

# On the run of a predictor. `<split>` is a validation: group, random, family, lolo/<column>.
META: Final = "meta/"
"""Params: the fields of `MetaConfig`."""
TABLE: Final = "table/"
"""Metrics: rows, rows judged by, groups, families, features, runs left out, noise floor."""
VALIDATION: Final = "validation/"
"""Metrics and version tags: `validation/<split>/<metric>`."""
BASELINE: Final = "baseline/"
"""Metrics: `baseline/<split>/<name>_rmse`; version tags: `baseline/<split>/name` and `baseline/<split>/rmse`, the
baseline with the least error and that error, in the splits group and family."""
STEPS: Final = "steps/"
TIERS: Final = "tiers/"
"""Metrics: `steps/<step>_rmse`, `tiers/<tier>_rmse`, in the headline's split."""
TUNING_RMSE: Final = "tuning/rmse"
HALF_WIDTH: Final = "interval/half_width"
PERMUTED_R2: Final = "validation/permuted/r2"
PREDICT: Final = "predict/"
"""Params and metrics of the run of a ranking."""

LIKE_TAUGHT: Final = ("task", "base_model", "eval_dataset", "eval_limit", "dev_limit", "probe_steps")
"""Parameters of a probe that change what its features, or the score, mean: a ranking takes those of the runs that
taught the predictor."""

TAGS: Final = "predictor."
"""All tags that we write begin so."""
TAG_KIND: Final = "predictor.kind"
TAG_SCHEMA: Final = "predictor.schema_version"
TAG_COMPLETE: Final = "predictor.complete"
TAG_TASK: Final = "predictor.task"
TAG_DATASET: Final = "predictor.dataset"
TAG_FAMILY: Final = "predictor.family"
"""How the dataset was made; without it :func:`predictor.schema.families.family_of` looks at the dataset's name."""
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
TAG_MODEL: Final = "predictor.model"
"""The version that made a ranking, as MLflow's URI."""
TAG_TARGET: Final = "predictor.target"
TAG_TABLE_DIGEST: Final = "predictor.table_digest"
TAG_ROWS: Final = "predictor.rows"
TAG_JUDGED: Final = "predictor.judged"
"""Of a version: the rows by which it was judged; the others taught only."""
TAG_GROUPS: Final = "predictor.groups"
TAG_FAMILIES: Final = "predictor.families"
TAG_HEADLINE: Final = "predictor.headline"
"""Of a version: the split that was harder, `group` or `family`, on which its intervals are calibrated."""
TAG_TRAINING_RUNS: Final = "predictor.training_runs"
TAG_GATE: Final = "promotion.gate"
"""Of a version: the gate's objections, or `passed`."""
TAG_FORCED: Final = "promotion.forced"

MODEL_NAME: Final = "finetune-predictor"
"""The registered model, unless a parameter names another."""
STAGE_NONE: Final = "None"
STAGE_STAGING: Final = "Staging"
STAGE_PRODUCTION: Final = "Production"
STAGE_ARCHIVED: Final = "Archived"
STAGES: Final = (STAGE_NONE, STAGE_STAGING, STAGE_PRODUCTION, STAGE_ARCHIVED)
ACTIVE_STAGES: Final = (STAGE_STAGING, STAGE_PRODUCTION)
"""Stages that the gate guards; a version in one has an alias of the same name in lower case."""

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
