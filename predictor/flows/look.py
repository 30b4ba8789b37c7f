"""The look that is taken at a dataset on the way to a fine-tune, tier by tier, and the training that ends it.

The finetune and the probe flows share it, so a feature is the same number in both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from predictor.config import FinetuneConfig
from predictor.errors import DataError
from predictor.finetune.base_model import BaseModel, load_base_model
from predictor.finetune.checkpoints import Checkpoints
from predictor.finetune.device import detect
from predictor.finetune.plan import plan_training
from predictor.finetune.render import RenderedRow, render_rows, within_length
from predictor.finetune.train import Tuned, no_development_rows, train
from predictor.flows.evaluation import evaluate
from predictor.flows.first_steps import FirstSteps
from predictor.flows.materials import Materials, base_model_source
from predictor.flows.opening import identity, opening_record
from predictor.flows.stopwatch import Stopwatch
from predictor.probe import Encoder, embed_features, forward_features, static_features, train_features
from predictor.progress import Progress
from predictor.schema import keys


class Look:
    """Features of one dataset for one base model and Hj.

    Attributes:
        features: by name, growing as the tiers are taken.
        encoder_digest: of the sentence encoder, empty while the embed tier was not taken.
        probe_steps: optimizer steps that the train tier sees, 0 without it.
        loaded: the base model was needed.

    Raises:
        ConfigError: early stopping is asked for, and there are no development rows.
    """

    def __init__(self, config: FinetuneConfig, materials: Materials, watch: Stopwatch, progress: Progress) -> None:
        self.config = config
        self.materials = materials
        self.watch = watch
        self.progress = progress
        self.features: dict[str, float] = {}
        self.encoder_digest = ""
        self.probe_steps = 0
        self.loaded = False
        self._checkpoints: Checkpoints | None = None
        if config.early_stopping_patience and not materials.dev:
            raise no_development_rows(config.hyperparameters)

    @cached_property
    def base(self) -> BaseModel:
        """The base model, loaded when a tier first needs it."""
        self.progress.stage("load the base model")
        with self.watch.part("load"):
            base = load_base_model(base_model_source(self.config.base_model), detect())
        self.loaded = True
        return base

    @cached_property
    def rows(self) -> list[RenderedRow]:
        """The training rows as token ids; those longer than max_length are left out, and that is said."""
        rendered = render_rows(self.materials.train, self.materials.task, self.base.tokenizer)
        rows = within_length(rendered, self.config.max_length)
        if len(rows) < len(rendered):
            self.progress.note(
                f"{len(rendered) - len(rows)} of {len(rendered)} rows exceed max_length={self.config.max_length} "
                "tokens and are not trained on"
            )
        return rows

    def before_training(self) -> None:
        """Take the chosen tiers that need no training step."""
        tiers, m = self.config.tier_list, self.materials
        self.progress.stage("probe", len(tiers))
        if "static" in tiers:
            with self.watch.part("probe_static"):
                self.features |= static_features(m.train, m.task)
        if "embed" in tiers:
            encoder = Encoder()
            with self.watch.part("probe_embed"):
                self.features |= embed_features(m.train, m.task, encoder, m.scored)
            self.encoder_digest = encoder.digest[:16]
        if "forward" in tiers:
            base, rows = self.base, self.rows
            with self.watch.part("probe_forward"):
                self.features |= forward_features(base.model, base.tokenizer, rows)
                if m.dev:
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
        m, base, rows = self.materials, self.base, self.rows
        plan = plan_training(self.config.hyperparameters, len(rows), base.device)
        first = None
        if "train" in self.config.tier_list:
            # A probe must not see steps that its fine-tune, stopped early, may never take.
            self.probe_steps = min(self.config.probe_steps, plan.earliest_stop)
            first = FirstSteps(self.probe_steps, base, m.task, m.dev)
        stop = self.probe_steps if probe_only else None
        self._checkpoints = None if probe_only else self._open_checkpoints()
        self.progress.stage("first steps" if probe_only else "train", stop or plan.max_steps)

        def logged(step: int, values: Mapping[str, float]) -> None:
            on_log(step, values)
            if "train/loss" in values:
                self.progress.advance(1, loss=values["train/loss"])

        tuned = train(
            base,
            rows,
            self.config.hyperparameters,
            seed=self.config.seed,
            on_log=logged,
            dev_rows=[] if probe_only else self._dev_rows(),
            observer=first,
            stop_after=stop,
            checkpoints=self._checkpoints,
        )
        own_work = 0.0
        if first is not None:
            self.features |= train_features(first.trace())
            self.features |= first.scores
            self.watch.add("probe_train", first.seconds)
            own_work = first.own_seconds
        self.watch.add("train", tuned.seconds - own_work)
        if self._checkpoints is not None:
            self.watch.add("checkpoint", tuned.checkpoint_seconds)
        return tuned

    def discard_checkpoints(self) -> None:
        """Remove the checkpoints of this fine-tune, which is recorded and needs them no more."""
        if self._checkpoints is not None:
            self._checkpoints.discard()

    def _open_checkpoints(self) -> Checkpoints | None:
        if not self.config.checkpoint_steps:
            return None
        record = opening_record(keys.KIND_FINETUNE, self.config, self.materials)
        name = identity(self.config, dataclasses.replace(record, base_model_digest=self.base.digest))
        return Checkpoints(
            Path(self.config.checkpoint_dir) / name,
            name,
            every_steps=self.config.checkpoint_steps,
            note=self.progress.note,
        )

    def _dev_rows(self) -> list[RenderedRow]:
        if not self.materials.dev:
            return []
        rendered = render_rows(self.materials.dev, self.materials.task, self.base.tokenizer)
        try:
            return within_length(rendered, self.config.max_length)
        except DataError:
            return []  # only the eval/loss curve needs them
