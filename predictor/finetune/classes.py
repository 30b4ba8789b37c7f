"""Fine-tuning a model with a head: the loss over classes, and evaluations by the scores that people compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import Trainer, TrainingArguments

from predictor.finetune.passes import divide
from predictor.models.classifier import LabelledRow, class_logits, class_loss, class_probabilities, draw_head

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from predictor.models.base_model import BaseModel

    Scores = Callable[[np.ndarray], Mapping[str, float]]


class ClassTrainer(Trainer):
    """A trainer of a head, and of the model under it as far as a method lets it learn.

    Args:
        pass_tokens: tokens of one pass, padding included; 0 divides nothing. A longer row has a pass of its own.
        class_weights: what a row of each class weighs in the loss, (classes,), 1 on average over rows; None for 1.
        dev_rows: rows of the evaluations.
        scores: from the probabilities of these rows, (rows, classes), to what is reported beside the loss.
    """

    def __init__(
        self,
        *,
        pass_tokens: int = 0,
        class_weights: np.ndarray | None = None,
        dev_rows: Sequence[LabelledRow] = (),
        scores: Scores | None = None,
        **arguments: Any,
    ) -> None:
        super().__init__(**arguments)
        # The loss is divided by the rows of the whole step, as for models that are given their number.
        self.model_accepts_loss_kwargs = True
        self._total_train_tokens = 0
        self._pass_tokens = pass_tokens
        self._weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.float32)
        self._dev_rows = dev_rows
        self._scores = scores

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Gradients of a batch, pass by pass.

        Returns:
            the loss of the batch, a scalar.
        """
        self._total_train_tokens += int(inputs["attention_mask"].sum())
        parts = divide(inputs, self._pass_tokens)
        if num_items_in_batch is None:
            num_items_in_batch = len(inputs["labels"]) * self.current_gradient_accumulation_steps
        losses = [super(ClassTrainer, self).training_step(model, part, num_items_in_batch) for part in parts]
        return torch.stack(losses).sum()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Cross-entropy over classes in nats, the sum over rows by `num_items_in_batch`."""
        scores = class_logits(model, inputs["input_ids"], inputs["attention_mask"]).float()
        weights = None if self._weights is None else self._weights.to(scores.device)
        loss = torch.nn.functional.cross_entropy(scores, inputs["labels"], weights, reduction="sum")
        loss = loss / (len(scores) if num_items_in_batch is None else num_items_in_batch)
        return (loss, {"logits": scores}) if return_outputs else loss

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """As transformers does, with the number of tokens that were trained on."""
        super().log(
            {**logs, "num_tokens": float(self._total_train_tokens)} if "loss" in logs else logs, *args, **kwargs
        )

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Loss in nats per row, accuracy and macro F1 of the development rows."""
        found = class_probabilities(self.model, self.processing_class, self._dev_rows)
        metrics = {"eval_loss": class_loss(found, np.array([row.label for row in self._dev_rows]))}
        if self._scores is not None:
            metrics |= {f"eval_{name}": float(value) for name, value in self._scores(found).items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


class Classes:
    """Learning the classes of labelled rows with a head.

    Args:
        classes: how many there are.
        balanced: classes weigh as if all had as many rows.
        scores: as in :class:`ClassTrainer`.
        metric: by which the outcome is chosen; None keeps the last weights.
    """

    trainer = ClassTrainer

    def __init__(self, classes: int, *, balanced: bool, scores: Scores, metric: str | None) -> None:
        self.metric = metric
        self._classes = classes
        self._balanced = balanced
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
        pad_id = int(base.tokenizer.pad_token_id)
        return {
            "args": TrainingArguments(**chosen),
            "train_dataset": labelled_dataset(rows),
            "eval_dataset": labelled_dataset(dev_rows) if dev_rows else None,
            "data_collator": lambda batch: collated(batch, pad_id),
            "class_weights": balanced_weights(rows, self._classes) if self._balanced else None,
            "dev_rows": dev_rows,
            "scores": self._scores,
        }


def labelled_dataset(rows: Sequence[LabelledRow]) -> Any:
    """Rows as a tokenized dataset."""
    from datasets import Dataset

    return Dataset.from_dict(
        {
            "input_ids": [row.prompt_ids for row in rows],
            "labels": [row.label for row in rows],
            "length": [row.length for row in rows],
        }
    )


def collated(batch: Sequence[dict[str, Any]], pad_id: int) -> dict[str, torch.Tensor]:
    """Rows padded on the right to the longest, with their mask and labels."""
    width = max(len(row["input_ids"]) for row in batch)
    ids = torch.full((len(batch), width), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(batch):
        ids[place, : len(row["input_ids"])] = torch.tensor(row["input_ids"], dtype=torch.long)
        mask[place, : len(row["input_ids"])] = 1
    labels = torch.tensor([row["labels"] for row in batch], dtype=torch.long)
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def balanced_weights(rows: Sequence[LabelledRow], classes: int) -> np.ndarray:
    """N / (classes that occur × rows of the class), (classes,), 0 where a class has no row: 1 on average over rows."""
    counts = np.bincount([row.label for row in rows], minlength=classes).astype(float)
    occurring = int((counts > 0).sum())
    return np.divide(len(rows), occurring * counts, out=np.zeros(classes), where=counts > 0)
