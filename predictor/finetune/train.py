"""One fine-tune: rendered rows and Hj in, a trained model out."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from predictor.finetune.checkpoints import CheckpointFolder, Checkpoints
from predictor.finetune.learning import Answers, Learning
from predictor.finetune.plan import TrainingPlan, sft_arguments
from predictor.finetune.settings import Hyperparameters
from predictor.finetune.start import FRESH, Start
from predictor.models.base_model import BaseModel
from predictor.models.crew import current
from predictor.models.render import RenderedRow
from predictor.models.room import thrifty_heap

if TYPE_CHECKING:
    import torch

    from predictor.finetune.watch import OnLog, StepObserver


@dataclass
class Tuned:
    """The outcome of a fine-tune.

    Attributes:
        model: in evaluation mode; with LoRA a PEFT model around the base.
        steps: optimizer steps taken.
        seconds: of training, the observer's own work included, the writing of checkpoints not; of a fine-tune that
            was gone on with, those before its last checkpoint too.
        checkpoint_seconds: that this process took to write checkpoints.
        tokens: trained on, prompts included.
        trainable_parameters, total_parameters: numbers of weights.
        optimizer: its state by name, where it is to be kept.
    """

    model: Any
    steps: int
    seconds: float
    tokens: int
    trainable_parameters: int
    total_parameters: int
    checkpoint_seconds: float = 0.0
    optimizer: Mapping[str, torch.Tensor] | None = None


def train(
    base: BaseModel,
    rows: Sequence[RenderedRow],
    hp: Hyperparameters,
    plan: TrainingPlan,
    *,
    seed: int,
    on_log: OnLog,
    dev_rows: Sequence[RenderedRow] = (),
    observer: StepObserver | None = None,
    stop_after: int | None = None,
    checkpoints: Checkpoints | None = None,
    learning: Learning | None = None,
    start: Start = FRESH,
    order: Sequence[int] = (),
) -> Tuned:
    """Fine-tune the base model in place.

    Of several processes all make the same call. The first one keeps the checkpoints, from which all of them go on.

    With `checkpoints`, a call that was cut off at any moment and is made again with the same arguments goes on from
    the newest whole checkpoint: `on_log` gets the points of the curves before it again, then the new ones, and on a CPU
    weights, curves and what the observer saw are those of an undisturbed call to the last bit.

    Args:
        rows: training rows, none longer than max_length.
        plan: for these rows and the base's device, made to fit it by :func:`~predictor.finetune.fit.fit`.
        on_log: gets each point of the curves once, in the order of the steps.
        dev_rows: the eval/loss curve is their mean loss; nothing is chosen by it unless early_stopping_patience is
            above 0. Then training ends when the curve has had no new minimum for so many evaluations, and the
            weights of its minimum are the outcome; with 0 those of the last step are. What is learnt may choose by a
            score of these rows instead, and does so with 0 too.
        observer: watches the first steps.
        stop_after: stop after this many steps of the full schedule.
        checkpoints: where they are and how often one is written; None writes none. They stay until
            :meth:`Checkpoints.discard` is called.
        learning: what is learnt; None learns to say the rows' answers.
        start: the weights to begin with.
        order: positions of rows, over all epochs, in the order in which the batches take them; none leaves the order to
            the trainer. The plan knows how many there are.

    Raises:
        TrainingError: the loss is not a number, or a checkpoint cannot be written.
        ConfigError: the method's settings do not fit the model.
    """
    from transformers import set_seed

    from predictor.finetune.early_stopping import EarlyStopping
    from predictor.finetune.ledger import Ledger
    from predictor.finetune.resume import make_trainer
    from predictor.finetune.snapshot import claims
    from predictor.finetune.watch import Beginning, EarlyPoints, Watch

    how: Learning = Answers() if learning is None else learning
    # Before a method draws any weights: they are part of the result.
    set_seed(seed)
    how.begin(base.model)
    model = start.apply(base.model, hp)
    rows = [rows[place] for place in order] if order else rows
    folder = None
    if checkpoints is not None and current().leads:
        steps = observer.steps if observer is not None else 0
        folder = CheckpointFolder(checkpoints, claims(checkpoints.identity, model, hp, seed, rows, dev_rows, steps))
    ledger = Ledger(on_log)
    watch = Watch(ledger.point, observer, stop_after)
    with tempfile.TemporaryDirectory(prefix="predictor-train-") as temporary, contextlib.ExitStack() as stack:
        arguments = sft_arguments(hp.training, plan, base.device, seed=seed, output_dir=temporary)
        if not dev_rows:
            arguments["eval_strategy"] = "no"
        if folder is not None:
            stack.enter_context(folder.held())
        stopping = None
        patience = hp.training.early_stopping_patience
        if dev_rows and (patience or how.metric):
            scratch = folder.scratch if folder else Path(temporary)
            stopping = EarlyStopping(patience, scratch, how.metric or "loss")
        early = plan.early_points if dev_rows else ()
        trainer = make_trainer(
            how.trainer,
            folder,
            checkpoints.every_steps if checkpoints is not None else None,
            ledger,
            observer,
            stopping,
            model=model,
            pass_tokens=plan.pass_tokens,
            **how.arguments(arguments, base, rows, dev_rows),
            processing_class=base.tokenizer,
            # In this order: what was looked at and decided in a step is part of its checkpoint.
            callbacks=[watch, *([stopping] if stopping else [EarlyPoints(early)]), Beginning(start, watch)],
        )
        watch.resumed = trainer.resumed
        trainer.pop_callback(_printer())
        ledger.start()
        # Recomputing frees and takes so many blocks that a heap full of holes would hold what it was to save.
        stack.enter_context(thrifty_heap(plan.checkpointing and base.device.kind == "cpu"))
        trainer.run(Path(temporary))
        seconds = ledger.seconds
        if stopping is not None:
            stopping.restore_best(model)
    model.eval()
    counted = [(p.numel(), p.requires_grad) for p in model.parameters()]
    trainable, total = sum(n for n, learns in counted if learns), sum(n for n, _ in counted)
    steps = int(trainer.state.global_step)
    kept = trainer.optimizer_state() if start.keep_optimizer else None
    return Tuned(model, steps, seconds, _tokens(trainer), trainable, total, ledger.writing_seconds, kept)


def _printer() -> type:
    from transformers.trainer_callback import PrinterCallback

    return PrinterCallback


def _tokens(trainer: Any) -> int:
    return int(trainer._total_train_tokens)
