"""A trainer that goes on from a checkpoint to the very bits that it would have reached without the break."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME

from predictor.finetune.checkpoints import CheckpointFolder
from predictor.finetune.early_stopping import EarlyStopping
from predictor.finetune.ledger import Ledger
from predictor.finetune.saving import CheckpointsDue, CheckpointWriter
from predictor.finetune.snapshot import (
    SavedSnapshot,
    load_optimizer,
    optimizer_parts,
    put_back,
    random_states,
    set_random_states,
)
from predictor.finetune.watch import StepObserver
from predictor.models.crew import agree

if TYPE_CHECKING:
    from transformers import Trainer as _Trainer
else:
    _Trainer = object


def make_trainer(
    kind: type[Any],
    folder: CheckpointFolder | None,
    every_steps: int | None,
    ledger: Ledger,
    observer: StepObserver | None,
    stopping: EarlyStopping | None,
    *,
    model: Any,
    callbacks: list[TrainerCallback],
    **arguments: Any,
) -> Any:
    """The trainer of a fine-tune, to be started with :meth:`Quiet.run`.

    When there is a checkpoint to go on from, the ledger, the observer and early stopping have what it holds afterwards.

    Args:
        kind: the class of trainer that learns; what is said here is added to it.
        folder: where checkpoints are, held by this process; None in a process that only goes on from them with others.
        every_steps: optimizer steps from one checkpoint to the next, 0 writes none; None neither reads nor writes any.
        callbacks: those of `arguments` that stand before the ones of checkpoints; `stopping` is among them.

    Raises:
        TrainingError: the best weights of early stopping cannot be written to where they lie meanwhile.
    """
    if every_steps is None:
        return _with(Quiet, kind)(model=model, callbacks=callbacks, **arguments)
    due = CheckpointsDue(every_steps, stopping)
    writer = CheckpointWriter(folder, ledger, observer, stopping) if folder else Onlooker()
    stored = agree(folder.newest() if folder else None)
    if stored is None:
        return _with(Saving, kind)(writer, model=model, callbacks=[*callbacks, due, writer], **arguments)
    going_on = GoingOn(SavedSnapshot(stored.folder))
    going_on.restore(ledger, observer, stopping, next(model.parameters()).device)
    return _with(Resumed, kind)(
        going_on, writer, model=model, callbacks=[*callbacks, due, going_on, writer], **arguments
    )


class Onlooker(TrainerCallback):
    """Stands for the writer where another process writes."""

    def write(self, trainer: Any) -> None:
        """Write nothing."""


def _with(more: type[Quiet], kind: type[Any]) -> type[Any]:
    return type(more.__name__ + kind.__name__, (more, kind), {})


class GoingOn(TrainerCallback):
    """Puts a snapshot back, each part where and when it is needed.

    Among the trainer's callbacks it stands before a :class:`CheckpointWriter`, which would otherwise write down where
    the generators stood before they were put back.
    """

    def __init__(self, saved: SavedSnapshot) -> None:
        self._saved = saved
        self._in_first_epoch = True

    @property
    def finished(self) -> bool:
        """The checkpoint is that of the last step: nothing is left to train."""
        return bool(self._saved.state["finished"])

    def restore(
        self, ledger: Ledger, observer: StepObserver | None, stopping: EarlyStopping | None, device: torch.device
    ) -> None:
        """Give them what they had seen before the break; the curves' points are passed on once more.

        Args:
            device: of the model.

        Raises:
            TrainingError: the best weights of early stopping cannot be written to where they lie meanwhile.
        """
        state = self._saved.state
        if observer is not None:
            with self._saved.part("observer") as tensors:
                observer.restore({name: tensor.to(device) for name, tensor in tensors.items()}, state["observer"])
        if stopping is not None:
            with self._saved.part("stopping", mapped=True) as tensors:
                stopping.restore(tensors, state["stopping"])
        ledger.go_on(state["points"], state["seconds"])

    def trainer_folder(self, folder: Path) -> str:
        """A folder with the one file that transformers reads itself, for `resume_from_checkpoint`."""
        resume = folder / "resume"
        resume.mkdir()
        (resume / TRAINER_STATE_NAME).write_text(json.dumps(self._saved.state["trainer"]), encoding="utf-8")
        return str(resume)

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """The state of the optimizer as it was written down."""
        with self._saved.part("optimizer") as tensors:
            return dict(tensors)

    def finish(self, trainer: Any) -> None:
        """Leave the trainer as it was after its last step."""
        self.load_weights(trainer.model)
        trainer.state.global_step = self._saved.state["trainer"]["global_step"]
        trainer._total_train_tokens = self._saved.state["tokens"]

    def load_weights(self, model: Any) -> None:
        """Write the trained weights of the snapshot into the model."""
        with self._saved.part("adapter") as tensors:
            put_back(model, tensors)

    def load_optimizer(self, trainer: Any) -> None:
        """Put back the optimizer, the schedule and the count of tokens."""
        with self._saved.part("optimizer") as tensors:
            load_optimizer(trainer.optimizer, tensors, self._saved.state["optimizer"])
        trainer.lr_scheduler.load_state_dict(self._saved.state["scheduler"])
        trainer._total_train_tokens = self._saved.state["tokens"]

    def load_random(self, part: str = "random") -> None:
        """Put back the generators as they stood after the step (`random`) or when its epoch began (`epoch_start`)."""
        with self._saved.part(part) as tensors:
            set_random_states(tensors, self._saved.state[part])

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put back the generators from which the rows of the first epoch after the break are drawn."""
        # The order of an epoch's rows is drawn right after this, from the one generator that dropout has moved on:
        # transformers does not bring it back, and would go on through the epoch in another order.
        if self._in_first_epoch:
            self._in_first_epoch = False
            between_epochs = float(state.epoch).is_integer()
            self.load_random("random" if between_epochs else "epoch_start")


class Quiet(_Trainer):
    """A trainer whose evaluations change nothing, and which writes no checkpoints.

    Attributes:
        resumed: it goes on from a checkpoint.
    """

    resumed = False

    def run(self, folder: Path) -> None:
        """Train to the end.

        Args:
            folder: for files of no use afterwards.
        """
        self.train()

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """The state of the optimizer after the last step."""
        return optimizer_parts(self.optimizer)[0]

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """A point of the eval/loss curve, after which the generators are as they were.

        A data loader draws from the one that dropout draws from, and a probe, which never evaluates, would see other
        steps than the fine-tune.
        """
        before = random_states()
        try:
            return dict(super().evaluate(*args, **kwargs))
        finally:
            set_random_states(*before)


class Saving(Quiet):
    """A trainer with checkpoints in this package's form: safetensors and JSON, sealed, no pickles.

    The methods replaced here and in :class:`Resumed` are transformers' own way of saving and loading. They are
    not public, but the version is pinned, and a test compares a run that was broken off after each of its steps with
    one that was not.
    """

    def __init__(self, writer: CheckpointWriter | Onlooker, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._writer = writer

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        self._writer.write(self)


class Resumed(Saving):
    """A trainer that goes on from a checkpoint."""

    resumed = True

    def __init__(self, going_on: GoingOn, writer: CheckpointWriter | Onlooker, **arguments: Any) -> None:
        super().__init__(writer, **arguments)
        self._going_on = going_on

    def run(self, folder: Path) -> None:
        """Train what is left to the end; nothing when the checkpoint is that of the last step."""
        if self._going_on.finished:
            self._going_on.finish(self)
        else:
            self.train(resume_from_checkpoint=self._going_on.trainer_folder(folder))

    def optimizer_state(self) -> dict[str, torch.Tensor]:
        """The same when nothing was left to train."""
        return self._going_on.optimizer_state() if self._going_on.finished else super().optimizer_state()

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        self._going_on.load_weights(self.model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        self._going_on.load_optimizer(self)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        self._going_on.load_random()
