"""The passes of a training step: not more tokens in one than the plan allows, and scores of answers only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from trl import SFTTrainer

from predictor.finetune.labels import IGNORED


class PassTrainer(SFTTrainer):
    """SFTTrainer that divides a batch into passes and scores answers alone.

    On a CPU, TRL 1.16 computes the vocabulary's scores of every token, prompts and padding included, and masks them
    afterwards: for answers of five tokens after two hundred that is a fifth of a step, and most of its memory. Loss and
    gradients are TRL's own, over the tokens that count.

    Args:
        pass_tokens: tokens of one pass, padding included; 0 divides nothing. A longer row has a pass of its own.
    """

    def __init__(self, *, pass_tokens: int = 0, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._pass_tokens = pass_tokens

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Gradients of a batch, pass by pass; each counts by its tokens, since all are divided by the same number.

        Returns:
            the loss of the batch, a scalar.
        """
        parts = divide(inputs, self._pass_tokens)
        if len(parts) > 1 and num_items_in_batch is None:
            # As transformers weighs batches when it has not counted their tokens: each of them alike.
            num_items_in_batch = _learnt(inputs).sum() * self.current_gradient_accumulation_steps
        losses = [super(PassTrainer, self).training_step(model, part, num_items_in_batch) for part in parts]
        return torch.stack(losses).sum()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean loss over the answers' tokens, in nats; the sum over `num_items_in_batch` when that is given."""
        if return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        times = 1
        if num_items_in_batch is None:
            num_items_in_batch = _learnt(inputs).sum()
            # A loss that is divided by a number of tokens counts as a part of that of all processes.
            times = self.accelerator.num_processes
        # A step was divided before; a batch of an evaluation is divided here, so that its mean stays that of the batch.
        parts = [inputs] if model.training else divide(inputs, self._pass_tokens)
        return torch.stack([self._loss(model, part, num_items_in_batch) for part in parts]).sum() / times

    def _loss(self, model: Any, inputs: dict[str, Any], tokens: Any) -> torch.Tensor:
        learnt = _learnt(inputs)
        chosen = {name: value for name, value in inputs.items() if name != "labels"}
        chosen["shift_labels"] = inputs["labels"][:, 1:][learnt][None]
        with _states_of(model, learnt):
            loss: torch.Tensor = super().compute_loss(model, chosen, num_items_in_batch=tokens)
        return loss


def divide(
    inputs: dict[str, Any], tokens: int, whole: Sequence[str] = (), width_of: Callable[[int], int] = lambda width: width
) -> list[dict[str, Any]]:
    """A batch that is padded on the right as batches of at most `tokens`, rows of like length together, longest first.

    One that fits, or has no padding to tell its rows' lengths by, stays as it is.

    Args:
        whole: names of what has no axis of tokens.
        width_of: from the tokens of the longest row of a part to those that it is padded to, as far as there are any.
    """
    mask = inputs.get("attention_mask")
    if not tokens or mask is None or mask.numel() <= tokens:
        return [inputs]
    lengths = mask.sum(1)
    order = torch.argsort(lengths, descending=True, stable=True)
    sizes = lengths[order].tolist()
    parts = []
    begin = 0
    while begin < len(sizes):
        width = min(mask.shape[1], max(2, width_of(sizes[begin])))
        end = begin + max(1, tokens // width)
        rows = order[begin:end]
        cut = {name for name, value in inputs.items() if value.dim() > 1 and name not in whole}
        parts.append({n: value[rows, :width] if n in cut else value[rows] for n, value in inputs.items()})
        begin = end
    return parts


def _learnt(inputs: dict[str, Any]) -> torch.Tensor:
    """Where the token that follows is learnt, (rows, tokens − 1)."""
    learnt: torch.Tensor = inputs["labels"][:, 1:] != IGNORED
    return learnt


@contextmanager
def _states_of(model: Any, places: torch.Tensor) -> Iterator[None]:
    """The model's body gives on the hidden states of these places alone, as one row of shape (1, places, hidden)."""

    def choose(module: Any, arguments: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state[:, :-1][places][None]
        return output

    model = getattr(model, "module", model)  # of one of several processes
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    handle = inner.base_model.register_forward_hook(choose)
    try:
        yield
    finally:
        handle.remove()
