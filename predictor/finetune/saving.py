"""When a checkpoint of a fine-tune is due, and what is written into it."""

from __future__ import annotations

from typing import Any

import torch
from transformers import TrainerCallback

from predictor.finetune.checkpoints import CheckpointFolder
from predictor.finetune.early_stopping import EarlyStopping
from predictor.finetune.ledger import Ledger
from predictor.finetune.snapshot import Snapshot, optimizer_parts, random_states, trainable, trainer_values
from predictor.finetune.watch import StepObserver


class CheckpointsDue(TrainerCallback):
    """Asks for a checkpoint after every so many steps, after the last one, and when early stopping ends the training.

    The trainer saves after it has logged and evaluated a step, so the checkpoint holds all of the step.

    Args:
        every_steps: optimizer steps from one to the next; 0 asks for none.
        stopping: stands before this one among the trainer's callbacks, so that its decision is known here.
    """

    def __init__(self, every_steps: int, stopping: EarlyStopping | None) -> None:
        self.every_steps = every_steps
        self._stopping = stopping

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask for a checkpoint when so many steps are done, or all."""
        if self.every_steps and (state.global_step % self.every_steps == 0 or state.global_step >= state.max_steps):
            control.should_save = True

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask for a checkpoint when this evaluation has ended the training."""
        if self.every_steps and self._stopping is not None and self._stopping.exhausted:
            control.should_save = True


class CheckpointWriter(TrainerCallback):
    """Takes a snapshot of a trainer between two steps, and has it put on disk.

    As a callback it sees the beginning of each epoch: the order of its rows is drawn there.
    """

    def __init__(
        self, folder: CheckpointFolder, ledger: Ledger, observer: StepObserver | None, stopping: EarlyStopping | None
    ) -> None:
        self._folder = folder
        self._ledger = ledger
        self._observer = observer
        self._stopping = stopping
        self._epoch_start: tuple[dict[str, torch.Tensor], dict[str, Any]] = ({}, {})

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep where the generators stand, from which the epoch's rows are drawn right after this."""
        self._epoch_start = random_states()

    def write(self, trainer: Any) -> None:
        """Write a checkpoint of the step that has just ended.

        Raises:
            TrainingError: it cannot be written.
        """
        seconds = self._ledger.seconds
        with self._ledger.writing():
            self._folder.write(int(trainer.state.global_step), self._snapshot(trainer, seconds))

    def _snapshot(self, trainer: Any, seconds: float) -> Snapshot:
        snapshot = Snapshot()
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
            "points": self._ledger.points,
            "seconds": seconds,
            "finished": stopped or trainer.state.global_step >= trainer.state.max_steps,
        }
        return snapshot
