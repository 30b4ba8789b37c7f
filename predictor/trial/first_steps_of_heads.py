"""What the train tier of the probe sees of a model with a head: the first steps of the run that it stands for."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from predictor.models.base_model import BaseModel
from predictor.models.head import head_outputs
from predictor.models.reading import LabelledRow
from predictor.probe import Marks, Trace
from predictor.probe.batching import batches, pad_id_of, padded
from predictor.trial.watching import Watching

if TYPE_CHECKING:
    import torch

_PASS_TOKENS = 4096


@dataclass(frozen=True)
class Seen:
    """What the development slice shows after the first steps.

    Attributes:
        score: the early headline. divergence: of what the model says from what it said before, in nats; NaN where
            nothing is said in probabilities.
    """

    marks: Marks
    score: float
    divergence: float = math.nan


class FirstStepsOfHead(Watching):
    """Watches `steps` optimizer steps, then asks the model once about the development slice.

    Where a loss is asked for, it is that of a text; a text counts as one token.
    """

    def __init__(self, steps: int, base: BaseModel, headline: str, dev_rows: Sequence[LabelledRow]) -> None:
        super().__init__(steps)
        self._base = base
        self._headline = headline
        self._dev_rows = dev_rows
        self._before: np.ndarray | None = None
        self._after = Marks()
        self._divergence = math.nan

    def said(self, model: Any) -> np.ndarray:
        """What the model says of the slice, (rows, outputs)."""
        raise NotImplementedError

    def loss(self, said: np.ndarray) -> float:
        """The mean loss of what was said of the slice."""
        raise NotImplementedError

    def part_of_loss(self, outputs: torch.Tensor, places: Sequence[int]) -> torch.Tensor:
        """What the rows of the slice at `places` add to its mean loss, a scalar; of their outputs, (rows, outputs)."""
        raise NotImplementedError

    def seen(self, before: np.ndarray, after: np.ndarray) -> Seen:
        """What the slice shows, of what was said of it before the first step and after the last, (rows, outputs)."""
        raise NotImplementedError

    def before_training(self, model: Any) -> None:
        """Remember the weights, what the new head says of the slice, and to where the slice pulls."""
        self._started = time.perf_counter()
        with self._own_work():
            self._recorder.snapshot(model)
            if self._dev_rows:
                with self._for_dev():
                    self._before = self.said(model)
                    self._take_gradient(model)

    def after_step(self, model: Any, loss: float, grad_norm: float) -> None:
        """Note the step; after the last one, look at the development slice."""
        with self._own_work():
            self._recorder.observe_step(loss, grad_norm)
            if self._recorder.full:
                self._recorder.finish(model)
                if self._before is not None:
                    with self._for_dev():
                        self._look_at_dev(model, self._before)
        self._tick()

    def state(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Tensors by name and JSON values: all that was seen so far, for a checkpoint."""
        import torch

        tensors, recorder = self._recorder.state()
        if self._before is not None:
            tensors["before"] = torch.tensor(self._before)
        return tensors, {
            "recorder": recorder,
            "after": dataclasses.asdict(self._after),
            "divergence": None if math.isnan(self._divergence) else self._divergence,
            **self._spent(),
        }

    def restore(self, tensors: dict[str, Any], values: dict[str, Any]) -> None:
        """Go on where :meth:`state` was taken."""
        self._recorder.restore(tensors, values["recorder"])
        self._before = tensors["before"].cpu().numpy() if "before" in tensors else None
        self._after = Marks(**values["after"])
        self._divergence = math.nan if values["divergence"] is None else values["divergence"]
        self._go_on(values)

    def trace(self) -> Trace:
        """What was seen, for the features of the train tier; a head has nothing to say of everyday text."""
        return self._recorder.trace(
            dev_loss_before=self.loss(self._before) if self._before is not None else math.nan,
            dev_after=self._after,
            dev_divergence=self._divergence,
        )

    def _look_at_dev(self, model: Any, before: np.ndarray) -> None:
        found = self.seen(before, self.said(model))
        self._after, self._divergence = found.marks, found.divergence
        self.scores[f"early_{self._headline}"] = found.score

    def _take_gradient(self, model: Any) -> None:
        """The gradient of the slice's mean loss, handed to the recorder and gone afterwards."""
        training = model.training
        model.eval()
        pad_id, device = pad_id_of(self._base.tokenizer), next(model.parameters()).device
        for batch in batches([max(2, row.length) for row in self._dev_rows], _PASS_TOKENS):
            ids, mask = padded([self._dev_rows[place].prompt_ids for place in batch], pad_id, device)
            self.part_of_loss(head_outputs(model, ids, mask).float(), batch).backward()
        self._recorder.observe_dev_gradient(model)
        model.zero_grad(set_to_none=True)
        model.train(training)
