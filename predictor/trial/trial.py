"""A fine-tune being prepared and watched: made once from a configuration, asked for whatever follows from it.

The finetune and the probe flows share it, so a feature is the same number in both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from predictor.data.row_hashes import FILE, write_row_hashes
from predictor.errors import DataError
from predictor.finetune.checkpoints import Checkpoints
from predictor.finetune.methods import METHODS
from predictor.finetune.plan import TrainingPlan, check_early_stopping, plan_training
from predictor.finetune.train import Tuned, train
from predictor.models.answers import Evaluation, evaluate
from predictor.models.base_model import BaseModel, load_base_model, planned_digest
from predictor.models.device import detect
from predictor.models.render import RenderedRow, render_rows, within_length
from predictor.probe import Encoder, answer_marks, embed_features, forward_features, static_features, train_features
from predictor.progress import SILENT, Progress
from predictor.schema import DatasetUse, RunRecord, encode, keys
from predictor.schema.families import family_of
from predictor.trial.config import FinetuneConfig
from predictor.trial.costs import Stopwatch, peak_memory_mb
from predictor.trial.first_steps import FirstSteps
from predictor.trial.identity import code_revision, identity
from predictor.trial.materials import Materials, gather, keep_rejections
from predictor.trial.sources import base_source


class RunWriter(Protocol):
    """What a trial writes of itself on a run."""

    artifacts: Path

    def describe(self, *, params: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None) -> None:
        """Write params and tags at the start."""
        ...

    def inputs(self, datasets: Sequence[DatasetUse]) -> None:
        """Name the datasets that the run reads."""
        ...


class Trial:
    """One fine-tune, or the probe that stands for it.

    Everything that follows from the configuration is derived here, once, and when it is first asked for: the rows need
    the tokenizer, the plan needs the rows, the identity needs the base model's digest but not the model.

    Attributes:
        materials: what it works on; read when the trial is made.
        features: by name, growing as the tiers are taken.
        encoder_digest: of the sentence encoder, empty while the embed tier was not taken.
        watch: seconds by part.

    Raises:
        PredictorError: the data cannot be used, or early stopping is asked for and there
            are no development rows.
    """

    def __init__(self, config: FinetuneConfig, progress: Progress = SILENT) -> None:
        self.config = config
        self.hp = config.hyperparameters
        self.features: dict[str, float] = {}
        self.encoder_digest = ""
        self.watch = Stopwatch()
        self._progress = progress
        self._checkpoints: Checkpoints | None = None
        self._loaded: BaseModel | None = None
        with self.watch.part("read"):
            self.materials: Materials = gather(config)
        check_early_stopping(self.hp.training, len(self.materials.dev))

    # what is derived

    @property
    def base(self) -> BaseModel:
        """The base model, loaded when it is first needed."""
        if self._loaded is None:
            self._progress.stage("load the base model")
            with self.watch.part("load"):
                self._loaded = load_base_model(base_source(self.config.model.base_model), detect())
        return self._loaded

    @cached_property
    def rows(self) -> list[RenderedRow]:
        """The training rows as token ids; those longer than max_length are left out, and that is said."""
        rendered = render_rows(self.materials.train, self.materials.task, self.base.tokenizer)
        most = self.hp.training.max_length
        rows = within_length(rendered, most)
        if len(rows) < len(rendered):
            self._progress.note(
                f"{len(rendered) - len(rows)} of {len(rendered)} rows exceed max_length={most} tokens and are not "
                "trained on"
            )
        return rows

    @cached_property
    def dev_rows(self) -> list[RenderedRow]:
        """The development slice as token ids, as far as it fits: for the eval/loss curve and the probe."""
        if not self.materials.dev:
            return []
        rendered = render_rows(self.materials.dev, self.materials.task, self.base.tokenizer)
        try:
            return within_length(rendered, self.hp.training.max_length)
        except DataError:
            return []

    @cached_property
    def plan(self) -> TrainingPlan:
        """How the optimizer steps come about."""
        return plan_training(self.hp.training, len(self.rows), self.base.device, dev_rows=len(self.dev_rows))

    @cached_property
    def probe_steps(self) -> int:
        """Optimizer steps that the train tier sees, 0 without it. A probe must not see steps that its fine-tune,
        stopped early, may never take."""
        probe = self.config.probe
        return min(probe.probe_steps, self.plan.earliest_stop) if "train" in probe.tier_list else 0

    @property
    def identity(self) -> str | None:
        """Digest of everything that determines the result; None when the base model is not on this machine yet."""
        digest = self._loaded.digest if self._loaded else planned_digest(base_source(self.config.model.base_model))
        return self.identity_on(digest) if digest else None

    def identity_on(self, base_digest: str) -> str:
        """The identity on a base model whose digest is known; empty for a probe that needs none."""
        m = self.materials
        return identity(self.config, m.dataset.fingerprint, m.scored_fingerprint, base_digest)

    def record(self, kind: str) -> RunRecord:
        """What is known of the run by now."""
        m, config = self.materials, self.config
        base_digest = self._loaded.digest if self._loaded else ""
        return RunRecord(
            kind=kind,
            task=config.task.name,
            dataset=config.data.dataset,
            family=config.data.family or family_of(config.data.dataset),
            dataset_fingerprint=m.dataset.fingerprint,
            row_sketch=m.dataset.row_sketch,
            eval_dataset=config.evaluation.eval_dataset,
            eval_fingerprint=m.scored_fingerprint,
            base_model=config.model.base_model,
            base_model_digest=base_digest,
            encoder_digest=self.encoder_digest,
            seed=config.execution.seed,
            config_hash=self.identity_on(base_digest),
            code_revision=code_revision(),
            method=self.hp.method.name,
            train_limit=config.data.train_limit,
            eval_limit=config.evaluation.eval_limit,
            dev_limit=config.evaluation.dev_limit,
            probe_steps=config.probe.probe_steps,
            hp=self.hp.logged(),
            probe=self.features,
        )

    @property
    def datasets(self) -> list[DatasetUse]:
        """The datasets that the run reads."""
        m, config = self.materials, self.config
        return [
            DatasetUse(name, d.fingerprint, d.source, d.rows, len(d.rejections), len(used), context)
            for name, d, used, context in (
                (config.data.dataset, m.dataset, m.train, "training"),
                (config.evaluation.eval_dataset, m.evaluation, m.scored, "evaluation"),
            )
        ]

    # what happens, in this order

    def announce(self, kind: str, run: RunWriter) -> None:
        """Write on the run what is known before any model is loaded: Hj, tags, the datasets, the row hashes of a large
        one, and the rows that were refused, which are also named to the person who watches."""
        encoded = encode(self.record(kind))
        # Of a base that is not loaded there is no digest yet, and so no identity.
        run.describe(params=encoded.params, tags={k: v for k, v in encoded.tags.items() if k != keys.TAG_CONFIG_HASH})
        run.inputs(self.datasets)
        if len(self.materials.dataset.row_hashes):
            write_row_hashes(run.artifacts / FILE, self.materials.dataset.row_hashes)
        for name, dataset in (("train", self.materials.dataset), ("eval", self.materials.evaluation)):
            if said := keep_rejections(run.artifacts, dataset, name):
                self._progress.note(said)

    def look(self) -> None:
        """Take the chosen tiers that need no training step."""
        tiers, m = self.config.probe.tier_list, self.materials
        self._progress.stage("probe", len(tiers))
        if "static" in tiers:
            with self.watch.part("probe_static"):
                self.features |= static_features(m.train, m.task, dev=m.dev)
        if "embed" in tiers:
            encoder = Encoder()
            with self.watch.part("probe_embed"):
                self.features |= embed_features(m.train, m.task, encoder, m.scored)
            self.encoder_digest = encoder.digest[:16]
        if "forward" in tiers:
            base, rows = self.base, self.rows
            with self.watch.part("probe_forward"):
                with self.watch.part("probe_dev"):
                    dev = answer_marks(base.model, base.tokenizer, self.dev_rows)
                self.features |= forward_features(base.model, base.tokenizer, rows, dev=dev)
                if m.dev:
                    with self.watch.part("probe_dev"):
                        zero_shot = evaluate(base.model, base, m.task, m.dev)
                    self.features[f"zero_shot_{m.task.headline}"] = zero_shot.scores.values[m.task.headline]

    def train(self, on_log: Callable[[int, Mapping[str, float]], None], *, probe_only: bool = False) -> Tuned:
        """Fine-tune; the first steps are watched when the train tier is chosen.

        With `checkpoint_steps` it goes on from a checkpoint that the same fine-tune has left.

        Args:
            probe_only: stop when the probe has seen its steps.

        Raises:
            DataError, TrainingError: nothing fits, or the loss is not a number.
        """
        m, base = self.materials, self.base
        first = None
        if self.probe_steps:
            # The slice's gradient takes the memory that a training step takes.
            pass_tokens = self.plan.per_device_batch_size * max(row.length for row in self.rows)
            first = FirstSteps(self.probe_steps, base, m.task, m.dev, self.dev_rows, pass_tokens)
        stop = self.probe_steps if probe_only else None
        self._checkpoints = None if probe_only else self._open_checkpoints()
        self._progress.stage("first steps" if probe_only else "train", stop or self.plan.max_steps)

        def logged(step: int, values: Mapping[str, float]) -> None:
            on_log(step, values)
            if "train/loss" in values:
                self._progress.advance(1, loss=values["train/loss"])

        tuned = train(
            base,
            self.rows,
            self.hp,
            self.plan,
            seed=self.config.execution.seed,
            on_log=logged,
            dev_rows=[] if probe_only else self.dev_rows,
            observer=first,
            stop_after=stop,
            checkpoints=self._checkpoints,
        )
        own_work = 0.0
        if first is not None:
            self.features |= train_features(first.trace())
            self.features |= first.scores
            self.watch.add("probe_train", first.seconds)
            self.watch.add("probe_dev", first.dev_seconds)
            own_work = first.own_seconds
        self.watch.add("train", tuned.seconds - own_work)
        if self._checkpoints is not None:
            self.watch.add("checkpoint", tuned.checkpoint_seconds)
        return tuned

    def evaluate(self, model: Any) -> Evaluation:
        """Answers of a model to the scored questions, with their scores."""
        m = self.materials
        with self.watch.part("evaluate"):
            self._progress.stage("evaluate", len(m.scored))
            return evaluate(model, self.base, m.task, m.scored, self._progress)

    def save(self, tuned: Tuned, folder: Path) -> None:
        """Write the trained weights into a folder of their own in `folder`."""
        method = METHODS.get(self.hp.method.name)
        method.save(tuned.model, self.base.tokenizer, folder / method.folder)

    def costs(self, tuned: Tuned | None = None) -> dict[str, float]:
        """Seconds by part, and of a fine-tune tokens, steps, weights and the peak of memory (MB)."""
        costs = self.watch.costs()
        if tuned is not None:
            costs |= {
                "train_tokens": float(tuned.tokens),
                "train_steps": float(tuned.steps),
                "trainable_parameters": float(tuned.trainable_parameters),
                "total_parameters": float(tuned.total_parameters),
            }
        return costs | ({"peak_memory_mb": peak_memory_mb()} if self._loaded else {})

    def discard_checkpoints(self) -> None:
        """Remove the checkpoints of this fine-tune, which is recorded and needs them no more."""
        if self._checkpoints is not None:
            self._checkpoints.discard()

    def _open_checkpoints(self) -> Checkpoints | None:
        execution = self.config.execution
        if not execution.checkpoint_steps:
            return None
        name = self.identity_on(self.base.digest)
        return Checkpoints(
            Path(execution.checkpoint_dir) / name,
            name,
            every_steps=execution.checkpoint_steps,
            note=self._progress.note,
        )
