"""A TrainerCallback that hands every step to plain functions, so that nothing in the training knows of MLflow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from transformers import TrainerCallback

from predictor.errors import TrainingError
from predictor.finetune.plan import TOKENS
from predictor.finetune.start import Start

OnLog = Callable[[int, Mapping[str, float]], None]
"""Gets the optimizer step and values under full curve keys (`train/loss`, `eval/loss`, ...)."""

_CURVES = {
    "loss": "train/loss",
    "grad_norm": "train/grad_norm",
    "learning_rate": "train/learning_rate",
    "eval_loss": "eval/loss",
    "eval_accuracy": "eval/accuracy",
    "eval_macro_f1": "eval/macro_f1",
    "eval_closeness": "eval/closeness",
    "eval_pearson": "eval/pearson",
    "eval_spearman": "eval/spearman",
    "num_tokens": TOKENS,
}


class StepObserver(Protocol):
    """What watches the first steps for the train tier of the probe."""

    steps: int
    """How many optimizer steps it watches."""

    def before_training(self, model: Any) -> None:
        """The adapter is in place and untouched."""
        ...

    def before_optimizer_step(self, model: Any) -> None:
        """The gradients of the step are in place."""
        ...

    def after_step(self, model: Any, loss: float, grad_norm: float) -> None:
        """The step is done; at step `steps` this may take its time, and is not counted as training."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Tensors by name and JSON values: all that was seen so far, for a checkpoint."""
        ...

    def restore(self, tensors: dict[str, Any], values: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken; `before_training` is not called again."""
        ...


class Watch(TrainerCallback):
    """Passes curves on, feeds the observer, ends the run on a loss that is not a number.

    Args:
        observer: watches the first `observer.steps` steps; None when nobody does.
        stop_after: end the training after this many steps; the schedule stays that of the whole run.

    Attributes:
        resumed: the observer goes on from a checkpoint and has seen the beginning.
    """

    def __init__(self, on_log: OnLog, observer: StepObserver | None, stop_after: int | None) -> None:
        self.on_log_values = on_log
        self.observer = observer
        self.stop_after = stop_after
        self.resumed = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Show the observer the model before its first step; one that goes on from a checkpoint has seen it."""
        if self.observer is not None and not self.resumed:
            self.observer.before_training(kwargs["model"])

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Show the observer the gradients of the steps that it watches."""
        if self.observer is not None and state.global_step < self.observer.steps:
            self.observer.before_optimizer_step(kwargs["model"])

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Pass on the values that are curves, show the observer its steps, and end the training where it was asked for.

        Raises:
            TrainingError: a value is not finite.
        """
        step = int(state.global_step)
        values = {key: float(logs[name]) for name, key in _CURVES.items() if logs and name in logs}
        if not values:
            return
        for key, value in values.items():
            if not math.isfinite(value):
                raise TrainingError(
                    f"{key} became {value} at step {step} of {state.max_steps}",
                    where="training",
                    rule="the loss and the gradient stay finite",
                    fix="lower learning_rate or raise warmup_ratio; look for broken rows in the dataset",
                )
        self.on_log_values(step, values)
        if "train/loss" in values:
            if self.observer is not None and step <= self.observer.steps:
                self.observer.after_step(kwargs["model"], values["train/loss"], values["train/grad_norm"])
            if self.stop_after is not None and step >= self.stop_after:
                control.should_training_stop = True


class EarlyPoints(TrainerCallback):
    """Asks for points of the eval/loss curve beside the regular ones."""

    def __init__(self, steps: Sequence[int]) -> None:
        self._steps = frozenset(steps)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Ask for one after each of these steps."""
        if state.global_step in self._steps:
            control.should_evaluate = True


class Beginning(TrainerCallback):
    """Gives the optimizer its state of an earlier fine-tune, where this one does not go on from a checkpoint."""

    def __init__(self, start: Start, watch: Watch) -> None:
        self._start = start
        self._watch = watch

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Put the state before the first step."""
        if not self._watch.resumed:
            self._start.put_optimizer(kwargs["optimizer"])
