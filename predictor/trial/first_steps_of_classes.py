"""What the train tier of the probe sees of a model with a head: the first steps of the run that it stands for."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from predictor.models.base_model import BaseModel
from predictor.models.classifier import TINY, LabelledRow, class_logits, class_loss, class_probabilities
from predictor.probe import Marks, Trace
from predictor.probe.batching import batches, pad_id_of, padded
from predictor.trial.watching import Watching

_PASS_TOKENS = 4096


class FirstStepsOfClasses(Watching):
    """Watches `steps` optimizer steps, then asks the model once for the classes of the development slice.

    Where a loss is asked for, it is that of a text's class, in nats; a text counts as one token.
    """

    def __init__(self, steps: int, base: BaseModel, headline: str, dev_rows: Sequence[LabelledRow]) -> None:
        super().__init__(steps)
        self._base = base
        self._headline = headline
        self._dev_rows = dev_rows
        self._labels = np.array([row.label for row in dev_rows], dtype=np.int64)
        self._before: np.ndarray | None = None
        self._after = Marks()
        self._divergence = math.nan

    def before_training(self, model: Any) -> None:
        """Remember the weights, what the new head says of the slice, and to where the slice pulls."""
        self._started = time.perf_counter()
        with self._own_work():
            self._recorder.snapshot(model)
            if self._dev_rows:
                with self._for_dev():
                    self._before = class_probabilities(model, self._base.tokenizer, self._dev_rows)
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
            dev_loss_before=class_loss(self._before, self._labels) if self._before is not None else math.nan,
            dev_after=self._after,
            dev_divergence=self._divergence,
        )

    def _look_at_dev(self, model: Any, before: np.ndarray) -> None:
        after = class_probabilities(model, self._base.tokenizer, self._dev_rows)
        hits = float(np.mean(after.argmax(1) == self._labels))
        self._after = Marks(class_loss(after, self._labels), hits, hits)
        ratio = np.log(np.maximum(before, TINY)) - np.log(np.maximum(after, TINY))
        self._divergence = float((before * ratio).sum(1).mean())
        self.scores[f"early_{self._headline}"] = hits

    def _take_gradient(self, model: Any) -> None:
        """The gradient of the slice's mean loss, handed to the recorder and gone afterwards."""
        import torch

        training = model.training
        model.eval()
        pad_id, device = pad_id_of(self._base.tokenizer), next(model.parameters()).device
        for batch in batches([max(2, row.length) for row in self._dev_rows], _PASS_TOKENS):
            ids, mask = padded([self._dev_rows[place].prompt_ids for place in batch], pad_id, device)
            scores = class_logits(model, ids, mask).float()
            labels = torch.tensor(self._labels[batch], device=device)
            loss = torch.nn.functional.cross_entropy(scores, labels, reduction="sum") / len(self._dev_rows)
            loss.backward()
        self._recorder.observe_dev_gradient(model)
        model.zero_grad(set_to_none=True)
        model.train(training)
