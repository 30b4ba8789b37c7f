"""A fine-tune being prepared and watched: made once from a configuration, asked for whatever follows from it.

The finetune and the probe flows share it, so a feature is the same number in both.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self

from predictor.config import canonical_hash
from predictor.data.example import Example
from predictor.data.operators.join import TASK
from predictor.data.row_hashes import FILE, write_row_hashes
from predictor.errors import DataError
from predictor.finetune.checkpoints import Checkpoints
from predictor.finetune.fit import fit, told
from predictor.finetune.learning import Learning
from predictor.finetune.methods import METHODS, quantization_of
from predictor.finetune.order import presented_rows
from predictor.finetune.origin import Origin
from predictor.finetune.plan import TOKENS, TrainingPlan, check_early_stopping, plan_training
from predictor.finetune.start import save_optimizer
from predictor.finetune.train import Tuned, train
from predictor.models.answers import Evaluation, evaluate, headline_score
from predictor.models.base_model import BaseModel
from predictor.models.crew import agree, current
from predictor.models.device import detect
from predictor.models.digests import planned_digest
from predictor.models.render import RenderedRow, render_rows, within_length
from predictor.models.room import room
from predictor.models.shelf import Loan, borrow
from predictor.probe import Encoder, answer_marks, embed_features, forward_features, static_features, train_features
from predictor.probe.labels import label_embed_features, label_features, labelled
from predictor.probe.losses import UNMARKED, Marks
from predictor.progress import SILENT, Progress
from predictor.schema import DatasetUse, RunRecord, encode, keys
from predictor.schema.families import family_of
from predictor.tasks.base import found_by
from predictor.trial.config import FinetuneConfig
from predictor.trial.costs import Stopwatch, peak_memory_mb
from predictor.trial.first_steps import FirstSteps
from predictor.trial.floor import floor_of
from predictor.trial.identity import code_revision, identity, started
from predictor.trial.materials import Materials, gather, keep_rejections, keep_unused, too_long
from predictor.trial.measured import Features, arithmetic, measured
from predictor.trial.monitor import LOG, Monitor
from predictor.trial.replay import replay_rows, training_fingerprint
from predictor.trial.sources import base_source, ready_base

_ZERO_SHOT: Final = "zero_shot"


class RunWriter(Protocol):
    """What a trial writes of itself on a run."""

    artifacts: Path

    def describe(self, *, params: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None) -> None:
        """Write params and tags at the start."""
        ...

    def inputs(self, datasets: Sequence[DatasetUse]) -> None:
        """Name the datasets that the run reads."""
        ...

    def remark(self, text: str) -> None:
        """Say on the run, while it goes on, what is to be known of it."""
        ...


class Trial:
    """One fine-tune, or the probe that stands for it.

    At the end of its `with` block the base model goes back to where the next one finds it. Everything that follows from
    the configuration is derived here, once, and when it is first asked for: the rows need the tokenizer, the plan needs
    the rows, the identity needs the base model's digest but not the model.

    Attributes:
        materials: what it works on; read when the trial is made.
        features: by name, growing as the tiers are taken.
        encoder_digest: of the sentence encoder, empty while the embed tier was not taken.
        watch: seconds by part. saved: seconds by part that it took when it was done, where this trial had not to do it.

    Raises:
        PredictorError: the data cannot be used, or early stopping is asked for and there are no development rows.
    """

    def __init__(self, config: FinetuneConfig, progress: Progress = SILENT) -> None:
        self.config = config
        self.hp = config.hyperparameters
        self.features: dict[str, float] = {}
        self.encoder_digest = ""
        self.watch = Stopwatch()
        self._progress = progress
        self.saved: dict[str, float] = {}
        self._checkpoints: Checkpoints | None = None
        self._loan: Loan | None = None
        self._tuned: Tuned | None = None
        self._kind = ""
        self._artifacts: Path | None = None
        self.start = started(config)
        self._start_digest = self.start.digest()
        self._remark: Callable[[str], None] = lambda text: None
        with self.watch.part("read"):
            self.materials: Materials = gather(config)
        check_early_stopping(self.hp.training, len(self.materials.dev))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._loan is not None:
            self._loan.give_back(self._tuned.model if self._tuned else None)

    # what is derived

    @property
    def base(self) -> BaseModel:
        """The base model, loaded when it is first needed, unless the process has it from an earlier trial."""
        if self._loan is None:
            source = ready_base(self.config.model.base_model, self._progress)
            self._progress.stage("load the base model")
            with self.watch.part("load"):
                self._loan = borrow(source, detect(), quantization_of(self.hp.method.name, self.hp.method.settings))
            if not self._loan.fresh:
                self.saved["load"] = self._loan.seconds
        return self._loan.base

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of a classification, in their order; none of any other task."""
        return getattr(self.materials.task, "labels", None) or ()

    @property
    def truth(self) -> list[str]:
        """What is right of each scored row."""
        return [self.materials.task.target(example) for example in self.materials.scored]

    @property
    def _loaded(self) -> BaseModel | None:
        return self._loan.base if self._loan else None

    @property
    def _needs_base(self) -> bool:
        return self._kind == keys.KIND_FINETUNE or bool({"forward", "train"} & set(self.config.probe.tier_list))

    @cached_property
    def rows(self) -> list[RenderedRow]:
        """All rows that are trained on as token ids: those of the dataset, then those that are replayed.

        Raises:
            DataError: fewer rows fit than are to be replayed.
        """
        m, data, own = self.materials, self.config.data, self.own_rows
        if m.replay is None:
            return own
        most, seed = self.hp.training.max_length, self.config.execution.seed
        replayed = replay_rows(m.replay, m.task, self.base.tokenizer, len(own), data.replay_share, most, seed)
        self._progress.note(f"{len(replayed)} of {len(own) + len(replayed)} training rows are replayed: {data.replay}")
        return [*own, *replayed]

    @cached_property
    def own_rows(self) -> list[RenderedRow]:
        """The dataset's training rows as token ids.

        Those longer than max_length are left out, which is said, and kept among the refused rows.
        """
        m, most = self.materials, self.hp.training.max_length
        rendered = render_rows(m.train, m.task, self.base.tokenizer)
        rows = within_length(rendered, most)
        if len(rows) < len(rendered):
            self._progress.note(
                f"{len(rendered) - len(rows)} of {len(rendered)} rows exceed max_length={most} tokens and are not "
                "trained on"
            )
            if self._artifacts is not None:
                pairs = zip(m.train, rendered, strict=True)
                longer = [(example, row.length) for example, row in pairs if row.length > most]
                keep_rejections(self._artifacts, "train", too_long(m.dataset, longer, most))
        return rows

    @cached_property
    def described(self) -> tuple[Example, ...]:
        """The rows that the features describe: those that are trained on.

        A probe of the static and embed tiers alone needs no base model and so cannot tell which rows exceed max_length:
        it describes all, and says so.
        """
        train = self.materials.train
        if not self._needs_base:
            self._progress.note(
                f"the features describe all {len(train)} rows: which of them exceed max_length, a base model would tell"
            )
            return train
        kept = {row.id for row in self.own_rows}
        return train if len(kept) == len(train) else tuple(example for example in train if example.id in kept)

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
        """How the optimizer steps come about, in passes that fit the memory which is free when this is first asked.

        Of several processes the first one makes it.
        """
        return agree(self._made_plan() if current().leads else None)  # type: ignore[return-value]

    def _made_plan(self) -> TrainingPlan:
        base, rows = self.base, [*self.rows, *self.dev_rows]
        counts = {"dev_rows": len(self.dev_rows), "presented": len(self.order), "evaluations": self._evaluations}
        processes = current().size
        plan = plan_training(self.hp.training, len(self.rows), base.device, processes=processes, **counts)
        free = room(base.device)
        fitting = fit(plan, base.model.config, self.hp, rows, base.device, free, alike=processes > 1)
        if processes > 1:
            return fitting
        if note := told(fitting, base.model.config, self.hp, rows, base.device):
            self._progress.note(note)
        return fitting

    @property
    def _evaluations(self) -> int:
        """Points of the eval/loss curve, where they are to be more than usual."""
        return 0

    @cached_property
    def order(self) -> list[int]:
        """Positions of the rows as the batches take them, over all epochs; none leaves that to the trainer."""
        task_of = {example.id: str(example.extra.get(TASK, "")) for example in self.materials.train}
        training, config = self.hp.training, self.config
        tasks = [task_of.get(row.id, "") for row in self.rows]
        return presented_rows(tasks, config.data.order, training.epochs, training.batch_size, config.execution.seed)

    @cached_property
    def probe_steps(self) -> int:
        """Optimizer steps that the train tier sees, 0 without it.

        A probe must not see steps that its fine-tune, stopped early, may never take.
        """
        probe = self.config.probe
        return min(probe.probe_steps, self.plan.earliest_stop) if "train" in probe.tier_list else 0

    @property
    def identity(self) -> str | None:
        """Digest of everything that determines the result; None when the base model is not on this machine yet."""
        source = base_source(self.config.model.base_model, self.config.base_kind)
        digest = self._loaded.model_digest if self._loaded else planned_digest(source)
        return self.identity_on(digest) if digest else None

    def identity_on(self, base_digest: str) -> str:
        """The identity on a base model whose digest is known; empty for a probe that needs none."""
        m = self.materials
        return identity(self.config, m.dataset.fingerprint, m.evaluation_fingerprint, base_digest, m.replayed)

    def record(self, kind: str) -> RunRecord:
        """What is known of the run by now."""
        m, config, base = self.materials, self.config, self._loaded
        return RunRecord(
            kind=kind,
            task=config.task.name,
            dataset=config.data.dataset,
            family=config.data.family or family_of(config.data.dataset),
            dataset_fingerprint=training_fingerprint(m, config.data.replay_share),
            row_sketch=m.dataset.row_sketch,
            eval_dataset=config.evaluation.eval_dataset,
            eval_fingerprint=m.scored_fingerprint,
            base_model=config.model.base_model,
            base_model_digest=self._digest_of(base) if base else "",
            encoder_digest=self.encoder_digest,
            seed=config.execution.seed,
            config_hash=self.identity_on(base.model_digest if base else ""),
            code_revision=code_revision(),
            method=self.hp.method.name,
            train_limit=config.data.train_limit,
            eval_limit=config.evaluation.eval_limit,
            dev_limit=config.evaluation.dev_limit,
            probe_steps=config.probe.probe_steps,
            hp=self.hp.logged() | ({"replay_share": config.data.replay_share} if m.replay else {}),
            probe=self.features,
        )

    def _digest_of(self, base: BaseModel) -> str:
        """What runs on the same weights are known by: of a base with an adapter on it another than of the base."""
        if not self._start_digest:
            return base.digest
        return canonical_hash({"base": base.digest, "start": self._start_digest})

    @property
    def datasets(self) -> list[DatasetUse]:
        """The datasets that the run reads."""
        m, config = self.materials, self.config
        parts = [
            (config.data.dataset, m.dataset, m.unusable_train, m.train, "training"),
            (config.evaluation.eval_dataset, m.evaluation, m.unusable_eval, m.scored, "evaluation"),
        ]
        if m.replay is not None:
            parts.append((config.data.replay, m.replay, (), m.replay.examples, "replay"))
        return [
            DatasetUse(name, d.fingerprint, d.source, d.rows, len(d.rejections) + len(unusable), len(used), context)
            for name, d, unusable, used, context in parts
        ]

    # what happens, in this order

    def announce(self, kind: str, run: RunWriter) -> None:
        """Write on the run what is known before any model is loaded.

        That is Hj, tags, the datasets, the row hashes of a large one, and the rows that were refused, which are also
        named to the person who watches.
        """
        m = self.materials
        self._kind, self._artifacts, self._remark = kind, run.artifacts, run.remark
        encoded = encode(self.record(kind))
        # Of a base that is not loaded there is no digest yet, and so no identity.
        tags = {name: value for name, value in encoded.tags.items() if name != keys.TAG_CONFIG_HASH}
        tags[keys.TAG_LEAK] = str(m.leaked)
        # A hub model that was not fetched yet has none; it would be its commit, as the digest of the weights will be.
        if self._needs_base and (
            digest := planned_digest(base_source(self.config.model.base_model, self.config.base_kind))
        ):
            tags[keys.TAG_MODEL_DIGEST] = digest
        run.describe(params=encoded.params, tags=tags)
        run.inputs(self.datasets)
        if len(m.dataset.row_hashes):
            write_row_hashes(run.artifacts / FILE, m.dataset.row_hashes)
        for line in keep_unused(m, run.artifacts):
            self._progress.note(line)
        if self.config.data.leak == "refuse":
            m.refuse_leak()

    def look(self) -> None:
        """Take the chosen tiers that need no training step.

        What was measured before on the same rows is not measured again.
        """
        tiers, m, rows = self.config.probe.tier_list, self.materials, self.described
        if self._kind == keys.KIND_FINETUNE or "train" in tiers:
            _ = self.plan  # what cannot fit is refused before anything is measured
        self._progress.stage("probe", len(tiers))
        digest = m.fingerprint_of(rows)
        if "static" in tiers:
            told = {"rows": digest, "dev": m.dev_fingerprint}
            self._take("static", told, lambda: self._static(rows))
        if "embed" in tiers:
            encoder = Encoder()
            parts = {"rows": digest, "scored": m.scored_fingerprint, "encoder": encoder.digest}
            self._take("embed", parts, lambda: self._embed(rows, encoder))
            self.encoder_digest = encoder.digest[:16]
        if "forward" in tiers:
            base = self.base
            needed = {"rows": digest, **self._asked_of(base)}
            self._take("forward", needed, lambda: self._forward(base), disk=_repeats(base))

    def _asked_of(self, base: BaseModel) -> dict[str, Any]:
        """What the answers of the weights that a fine-tune begins with depend on, beside the rows."""
        needed: dict[str, Any] = {
            "dev": self.materials.dev_fingerprint,
            "model": base.model_digest,
            "start": [self._start_digest, str(self.hp.method.settings)] if self._start_digest else [],
            "max_length": str(self.hp.training.max_length),
            "arithmetic": arithmetic(base.device),
        }
        return needed | ({"quantization": str(base.quantization)} if base.quantization else {})

    def _static(self, rows: Sequence[Example]) -> Features:
        m = self.materials
        features = static_features(rows, m.task, dev=m.dev)
        return features | (label_features(rows, task, m.dev) if (task := labelled(m.task)) else {})

    def _embed(self, rows: Sequence[Example], encoder: Encoder) -> Features:
        m = self.materials
        features = embed_features(rows, m.task, encoder, m.scored)
        return features | (label_embed_features(rows, task, encoder, m.dev) if (task := labelled(m.task)) else {})

    def _forward(self, base: BaseModel) -> Features:
        with self.start.on(base.model, self.hp) as model:
            return self._forward_of(model, base)

    def _forward_of(self, model: Any, base: BaseModel) -> Features:
        m = self.materials
        if not m.dev:
            return forward_features(model, base.tokenizer, self.own_rows, dev=UNMARKED)
        known = self._on_dev(model, base)
        score = known.pop(_ZERO_SHOT)
        features = forward_features(model, base.tokenizer, self.own_rows, dev=Marks(**known))
        return features | {f"zero_shot_{m.task.headline}": score}

    def _on_dev(self, model: Any, base: BaseModel) -> Features:
        """What the weights that a fine-tune begins with say on the development slice: of all datasets the same."""
        m = self.materials

        def ask() -> Features:
            marks = dataclasses.asdict(answer_marks(model, base.tokenizer, self.dev_rows))
            return marks | {_ZERO_SHOT: headline_score(model, base, m.task, m.dev)}

        parts = {**self._asked_of(base), "of": "dev", "settings": repr(self.config.task.settings)}
        with self.watch.part("probe_dev"):
            found = measured("forward", m.task, parts, ask, disk=_repeats(base))
        if not found.now:
            self.saved["probe_dev"] = found.seconds
        return dict(found.features)

    def _take(self, tier: str, parts: Mapping[str, Any], compute: Callable[[], Features], *, disk: bool = True) -> None:
        # A task's settings may change what it puts to a model.
        parts = {**parts, "settings": repr(self.config.task.settings)}
        with self.watch.part(f"probe_{tier}"):
            found = measured(tier, self.materials.task, parts, compute, disk=disk)
        self.features |= found.features
        if not found.now:
            self.saved[f"probe_{tier}"] = found.seconds

    def train(self, on_log: Callable[[int, Mapping[str, float]], None], *, probe_only: bool = False) -> Tuned:
        """Fine-tune; the first steps are watched when the train tier is chosen.

        With `checkpoint_steps` it goes on from a checkpoint that the same fine-tune has left.

        Args:
            probe_only: stop when the probe has seen its steps.

        Raises:
            DataError, TrainingError: nothing fits, or the loss is not a number.
        """
        base, leads = self.base, current().leads
        first = self._first_steps() if self.probe_steps and leads else None
        stop = self.probe_steps if probe_only else None
        self._checkpoints = None if probe_only else self._open_checkpoints()
        self._progress.stage("first steps" if probe_only else "train", stop or self.plan.max_steps)

        monitor = self._monitor() if leads and not probe_only else None

        def logged(step: int, values: Mapping[str, float]) -> None:
            tokens = values.get(TOKENS, 0.0)
            values = {key: value for key, value in values.items() if key != TOKENS}
            on_log(step, values)
            if monitor is not None:
                monitor.point(step, values, tokens)
            if "train/loss" in values:
                self._progress.advance(1, loss=values["train/loss"])

        tuned = self._tuned = train(
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
            learning=self._learning(),
            start=self.start,
            order=self.order,
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

    def follow(self) -> None:
        """Train as the first process of a launcher does, to whose weights everything else is done."""
        self._kind = keys.KIND_FINETUNE
        self.train(lambda step, values: None)

    def _first_steps(self) -> Any:
        m = self.materials
        # Over as many tokens the slice's gradient takes nearly twice the memory of a training step, which matters where
        # passes had to be limited.
        whole = self.plan.per_device_batch_size * max(row.length for row in self.rows)
        tokens = self.plan.pass_tokens // 2 or whole
        return FirstSteps(self.probe_steps, self.base, m.task, m.dev, self.dev_rows, tokens)

    def _learning(self) -> Learning | None:
        """What is learnt; None for the rows' answers."""
        return None

    def _monitor(self) -> Monitor:
        return Monitor(
            self.plan.max_steps,
            math.ceil(len(self.rows) / self.hp.training.batch_size),
            log=self._artifacts / LOG if self._artifacts else None,
            note=self._progress.note,
            remark=self._remark,
        )

    def evaluate(self, model: Any) -> Evaluation:
        """Answers of a model to the scored questions, with their scores and what the task sets beside them."""
        m = self.materials
        with self.watch.part("evaluate"):
            self._progress.stage("evaluate", len(m.scored))
            found = self._answers(model, m.scored)
        with_floor = getattr(m.task, "with_floor", None)
        if not with_floor and not hasattr(m.task, "floor_scores"):
            return found
        with self.watch.part("floor"):
            scores = found.scores
            beside = with_floor(scores, m.train, m.scored) if with_floor else scores.joined(floor_of(m))
            return dataclasses.replace(found, scores=beside)

    def _answers(self, model: Any, examples: Sequence[Example]) -> Evaluation:
        return evaluate(model, self.base, self.materials.task, examples, self._progress)

    def save(self, tuned: Tuned, folder: Path) -> None:
        """Write the trained weights, and what they were made from, into a folder of their own in `folder`."""
        method = METHODS.get(self.hp.method.name)
        method.save(tuned.model, self.base.tokenizer, folder / method.folder)
        if tuned.optimizer is not None:
            save_optimizer(folder / method.folder, tuned.optimizer)
        kept = self.base.quantization
        Origin(
            base_model=self.config.model.base_model,
            base_model_digest=self.base.digest,
            model_digest=self.base.model_digest,
            method=self.hp.method.name,
            task=self.config.task.name,
            quantization=kept.kind if kept else "",
            double_quantization=kept.double if kept else True,
            task_settings=dataclasses.asdict(self.config.task.settings),
            task_found=found_by(self.materials.task),
        ).write(folder / method.folder)

    def costs(self, tuned: Tuned | None = None) -> dict[str, float]:
        """Seconds by part, those that were saved, and of a fine-tune tokens, steps, weights and peak of memory (MB).

        Parts and total are the seconds of this very run; with `saved_<part>_s` they are those of a run that finds
        nothing done before.
        """
        costs = self.watch.costs() | {f"saved_{part}_s": seconds for part, seconds in self.saved.items()}
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
        name = self.identity_on(self.base.model_digest)
        return Checkpoints(
            Path(execution.checkpoint_dir) / name,
            name,
            every_steps=execution.checkpoint_steps,
            note=self._progress.note,
        )


def _repeats(base: BaseModel) -> bool:
    """Whether another process computes the same bits. A GPU's sums may come out in another order there."""
    return base.device.kind == "cpu"
