"""A trainer that goes on from a checkpoint to the very bits that it would have reached without the break."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME
from trl import SFTTrainer

from predictor.finetune.checkpoints import CheckpointFolder
from predictor.finetune.early_stopping import EarlyStopping
from predictor.finetune.snapshot import (
    Snapshot,
    load_optimizer,
    optimizer_parts,
    put_back,
    random_states,
    set_random_states,
    trainable,
    trainer_values,
)
from predictor.finetune.watch import OnLog, StepObserver


class Keeper(TrainerCallback):
    """Decides when a checkpoint is written, takes it, and puts it back.

    Args:
        folder: where checkpoints are; None neither reads nor writes any.
        on_log: gets every point of the curves: those of the checkpoint first, then the new ones.

    Attributes:
        saved: what the fine-tune goes on from; None from the beginning.
    """

    def __init__(
        self,
        folder: CheckpointFolder | None,
        on_log: OnLog,
        observer: StepObserver | None,
        stopping: EarlyStopping | None,
    ) -> None:
        self.saved: Snapshot | None = None
        self._folder = folder
        self._on_log = on_log
        self._observer = observer
        self._stopping = stopping
        self._points: list[tuple[int, dict[str, float]]] = []
        self._epoch_start: tuple[dict[str, torch.Tensor], dict[str, Any]] = ({}, {})
        self._to_restore = False
        self._seconds_before = 0.0
        self._writing = 0.0
        self._started = self._last_write = time.perf_counter()

    @property
    def finished(self) -> bool:
        """The checkpoint is that of the last step: nothing is left to train."""
        return self.saved is not None and bool(self.saved.state["finished"])

    @property
    def seconds(self) -> float:
        """Of training up to now, those before the break included, without the writing of checkpoints."""
        return self._seconds_before + time.perf_counter() - self._started - self._writing

    @property
    def writing_seconds(self) -> float:
        """That checkpoints took in this process."""
        return self._writing

    def point(self, step: int, values: Mapping[str, float]) -> None:
        """A new point of the curves."""
        if self._folder is not None:
            self._points.append((step, dict(values)))
        self._on_log(step, values)

    def look_back(self, model: Any) -> None:
        """Find the checkpoint to go on from; give the LoRA matrices, the observer and the curves what it holds."""
        stored = self._folder.newest() if self._folder is not None else None
        if stored is None:
            return
        self.saved = Snapshot.from_files(stored.files)
        self._to_restore = True
        self.load_weights(model)
        state = self.saved.state
        if self._observer is not None:
            device = next(model.parameters()).device
            tensors = {name: t.to(device) for name, t in self.saved.tensors_of("observer").items()}
            self._observer.restore(tensors, state["observer"])
        if self._stopping is not None:
            self._stopping.restore(self.saved.tensors_of("stopping"), state["stopping"])
        self._seconds_before = state["seconds"]
        for step, values in state["points"]:
            self.point(step, values)

    def start(self) -> None:
        """The training begins now."""
        self._started = self._last_write = time.perf_counter()

    def trainer_folder(self, folder: Path) -> str | None:
        """A folder with the one file that transformers reads itself, for `resume_from_checkpoint`."""
        if self.saved is None:
            return None
        resume = folder / "resume"
        resume.mkdir()
        (resume / TRAINER_STATE_NAME).write_text(json.dumps(self.saved.state["trainer"]), encoding="utf-8")
        return str(resume)

    def finish(self, trainer: Any) -> None:
        """Leave the trainer as it was after its last step; nothing is left to train."""
        assert self.saved is not None
        trainer.state.global_step = self.saved.state["trainer"]["global_step"]
        trainer._total_train_tokens = self.saved.state["tokens"]

    def load_weights(self, model: Any) -> None:
        assert self.saved is not None
        put_back(model, self.saved.tensors_of("adapter"))

    def load_optimizer(self, trainer: Any) -> None:
        assert self.saved is not None
        load_optimizer(trainer.optimizer, self.saved.tensors_of("optimizer"), self.saved.state["optimizer"])
        trainer.lr_scheduler.load_state_dict(self.saved.state["scheduler"])
        trainer._total_train_tokens = self.saved.state["tokens"]

    def load_random(self) -> None:
        assert self.saved is not None
        set_random_states(self.saved.tensors_of("random"), self.saved.state["random"])

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # The order of an epoch's rows is drawn right after this, from the one generator that dropout has moved on:
        # transformers does not bring it back, and would go on through the epoch in another order.
        if self._to_restore and self.saved is not None:
            self._to_restore = False
            between_epochs = float(state.epoch).is_integer()
            part = "random" if between_epochs else "epoch_start"
            set_random_states(self.saved.tensors_of(part), self.saved.state[part])
        if self._folder is not None:
            self._epoch_start = random_states()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._folder is None:
            return
        settings = self._folder.settings
        by_steps = settings.every_steps > 0 and state.global_step % settings.every_steps == 0
        waited = time.perf_counter() - self._last_write
        by_seconds = settings.every_seconds > 0 and waited >= settings.every_seconds
        last = state.global_step >= state.max_steps and (settings.every_steps > 0 or settings.every_seconds > 0)
        if by_steps or by_seconds or last:
            # The trainer saves after it has logged and evaluated the step, so the checkpoint holds all of the step.
            control.should_save = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._folder is not None and self._stopping is not None and self._stopping.exhausted:
            control.should_save = True

    def save(self, trainer: Any) -> None:
        """Write a checkpoint of the step that has just ended.

        Raises:
            TrainingError: it cannot be written.
        """
        assert self._folder is not None
        started = time.perf_counter()
        step, snapshot = int(trainer.state.global_step), Snapshot()
        snapshot.put("adapter", trainable(trainer.model))
        snapshot.put("optimizer", *optimizer_parts(trainer.optimizer))
        snapshot.put("random", *random_states())
        snapshot.put("epoch_start", *self._epoch_start)
        if self._observer is not None:
            snapshot.put("observer", *self._observer.state())
        if self._stopping is not None:
            snapshot.put("stopping", *self._stopping.state())
        stopped = self._stopping is not None and self._stopping.exhausted
        snapshot.state |= {
            "scheduler": trainer.lr_scheduler.state_dict(),
            "trainer": trainer_values(trainer.state),
            "tokens": int(trainer._total_train_tokens),
            "points": self._points,
            "seconds": self.seconds,
            "finished": stopped or step >= trainer.state.max_steps,
        }
        self._folder.write(step, snapshot.to_files())
        self._last_write = time.perf_counter()
        self._writing += self._last_write - started


class ResumableTrainer(SFTTrainer):
    """SFTTrainer with checkpoints in this package's form: safetensors and JSON, sealed, no pickles.

    The methods replaced here are transformers' own way of saving and loading. They are not public, but the version is
    pinned, and a test compares a run that was broken off after each of its steps with one that was not.
    """

    keeper: Keeper

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """A point of the eval/loss curve. The generators are left as they were: a data loader draws from the one that
        dropout draws from, and a probe, which never evaluates, would see other steps than the fine-tune."""
        before = random_states()
        try:
            return dict(super().evaluate(*args, **kwargs))
        finally:
            set_random_states(*before)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self.keeper.save(self)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self.keeper.load_weights(self.model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            self.keeper.load_optimizer(self)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            self.keeper.load_random()
