"""Fine-tuning a model with a head, whatever its outputs mean: passes, evaluations, batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import Trainer, TrainingArguments

from predictor.finetune.labels import IGNORED
from predictor.finetune.passes import divide
from predictor.models.head import draw_head
from predictor.models.reading import LabelledRow

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from predictor.models.base_model import BaseModel

    Scores = Callable[[np.ndarray], Mapping[str, float]]


class HeadTrainer(Trainer):
    """A trainer of a head, and of the model under it as far as a method lets it learn.

    One for a kind of head has `compute_loss`, and :meth:`look`.

    Args:
        pass_tokens: tokens of one pass, padding included; 0 divides nothing. A longer row has a pass of its own.
        dev_rows: rows of the evaluations.
        scores: from what the model says of these rows, (rows, outputs), to what is reported beside the loss.
    """

    def __init__(
        self,
        *,
        pass_tokens: int = 0,
        dev_rows: Sequence[LabelledRow] = (),
        scores: Scores | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        # The loss is divided by the labels of the whole step, as for models that are given their number.
        self.model_accepts_loss_kwargs = True
        self._total_train_tokens = 0
        self._pass_tokens = pass_tokens
        self._dev_rows = dev_rows
        self._scores = scores

    def look(self) -> tuple[np.ndarray, float]:
        """What the model says of the development rows, (rows, outputs), and its loss."""
        raise NotImplementedError

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Gradients of a batch, pass by pass.

        Returns:
            the loss of the batch, a scalar.
        """
        self._total_train_tokens += int(inputs["attention_mask"].sum())
        parts = divide(inputs, self._pass_tokens, whole=("labels",), width_of=few_widths)
        if num_items_in_batch is None:
            num_items_in_batch = (inputs["labels"] != IGNORED).sum() * self.current_gradient_accumulation_steps
        losses = [super(HeadTrainer, self).training_step(model, part, num_items_in_batch) for part in parts]
        return torch.stack(losses).sum()

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """As transformers does, with the number of tokens that were trained on."""
        super().log(
            {**logs, "num_tokens": float(self._total_train_tokens)} if "loss" in logs else logs, *args, **kwargs
        )

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Loss and scores of the development rows; a score that is not defined is not logged."""
        found, loss = self.look()
        metrics = {"eval_loss": loss}
        if self._scores is not None:
            metrics |= {f"eval_{name}": float(value) for name, value in self._scores(found).items()}
        self.log({name: value for name, value in metrics.items() if name == "eval_loss" or math.isfinite(value)})
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class HeadLearning:
    """Learning the outputs of a head from rows.

    Args:
        scores: as in :class:`HeadTrainer`.
        metric: by which the outcome is chosen; None keeps the last weights.
    """

    def __init__(self, *, scores: Scores, metric: str | None) -> None:
        self.metric = metric
        self._scores = scores

    def begin(self, model: Any) -> None:
        """Draw the head, from the seed that was just set."""
        draw_head(model)

    def arguments(
        self, told: dict[str, Any], base: BaseModel, rows: Sequence[Any], dev_rows: Sequence[Any]
    ) -> dict[str, Any]:
        """The trainer's arguments, from those that TRL's trainer would get."""
        known = {field.name for field in fields(TrainingArguments)}
        chosen = {name: value for name, value in told.items() if name in known}
        chosen["gradient_checkpointing"] = told["activation_checkpointing"]
        chosen["gradient_checkpointing_kwargs"] = told["activation_checkpointing_kwargs"]
        pad_id, longest = int(base.tokenizer.pad_token_id), max(row.length for row in rows)
        return {
            "args": TrainingArguments(**chosen),
            "train_dataset": headed_dataset(rows, self.learnt),
            "eval_dataset": headed_dataset(dev_rows, self.learnt) if dev_rows else None,
            "data_collator": lambda batch: collated(batch, pad_id, longest),
            "dev_rows": dev_rows,
            "scores": self._scores,
        }

    def learnt(self, row: LabelledRow) -> int | list[float]:
        """What is learnt of a row: a class, or a number for each output."""
        raise NotImplementedError


def headed_dataset(rows: Sequence[LabelledRow], learnt: Callable[[LabelledRow], int | list[float]]) -> Any:
    """Rows as a tokenized dataset with what is learnt of each as its label."""
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [row.prompt_ids for row in rows],
            "labels": [learnt(row) for row in rows],
            "length": [row.length for row in rows],
        }
    )


def few_widths(width: int) -> int:
    """The next of the widths that batches have: at most a sixteenth more, so that there are sixteen to an octave.

    Each width costs memory on a CPU: what oneDNN has compiled for it stays, and makes holes in the heap. MiniLM in 500
    steps of 4 texts of up to 160 tokens grew from 1.4 to 2.0 GB with widths as they came, to 1.5 GB with these,
    where it stayed; the former and 16 texts of up to 256 tokens: 3.7 to 7.5 GB in 870 steps. No step is slower.
    """
    step = 1 << max(0, (width - 1).bit_length() - 5)
    return -(-width // step) * step


def collated(batch: Sequence[dict[str, Any]], pad_id: int, longest: int) -> dict[str, torch.Tensor]:
    """Rows padded on the right, with their mask and labels: (rows,) classes, or (rows, outputs).

    Args:
        longest: tokens of the longest row of all, beyond which none is padded: it may be all that the model reads. 0
            pads to the longest of these rows.
    """
    own = max(len(row["input_ids"]) for row in batch)
    width = max(own, min(longest, few_widths(own)))
    ids = torch.full((len(batch), width), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(batch):
        ids[place, : len(row["input_ids"])] = torch.tensor(row["input_ids"], dtype=torch.long)
        mask[place, : len(row["input_ids"])] = 1
    kind = torch.long if isinstance(batch[0]["labels"], int) else torch.float32
    labels = torch.tensor([row["labels"] for row in batch], dtype=kind)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
