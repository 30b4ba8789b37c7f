"""A model beside its untouched base, on the same tokens: losses, first choices, and how far the two are apart.

How far they are apart is the Kullback-Leibler divergence KL(base ‖ model) = Σ_v p(v) ln(p(v) / q(v)), p of the base
and q of the model, over the vocabulary v, averaged over tokens (Kullback and Leibler 1951, On Information and
Sufficiency).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from predictor.probe.batching import batches, pad_id_of, tokens_of_a_pass
from predictor.probe.generic_text import GENERIC_TEXTS
from predictor.probe.scoring import Sequel, at_rest, nll, numbers, scores_of

if TYPE_CHECKING:
    import torch

KEPT_VALUES = 16_000_000
"""Log-probabilities of a base that are kept at most, in float16: 32 MB. Beyond that every k-th token is looked at."""


@dataclass(frozen=True)
class FirstLook:
    """What the untouched base said.

    Attributes:
        loss: mean over all tokens that are looked at, in nats; NaN of none.
        log_probabilities: of every `stride`-th of these tokens, counted through the sequences in their order, shape
            (tokens, vocabulary), float16, on the CPU; None where the base can be asked again. Rounding moves a ln p of
            −10 by 0.004 at most; what is likely lies near 0 and moves less.
    """

    loss: float = math.nan
    log_probabilities: torch.Tensor | None = None
    stride: int = 1


@dataclass(frozen=True)
class SecondLook:
    """What the model says now, beside its base.

    Attributes:
        losses, hits: for each sequence of shape (count,): loss in nats, and whether the token was the first choice.
        divergence: mean of KL(base ‖ model) over the tokens that are looked at, in nats.
    """

    losses: list[np.ndarray]
    hits: list[np.ndarray]
    divergence: float


def text_sequels(tokenizer: Any, texts: Sequence[str] = GENERIC_TEXTS) -> list[Sequel]:
    """All tokens but the first of plain texts; one that has no more is left out."""
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    return [Sequel(row, len(row) - 1) for row in ids if len(row) > 1]


def look_first(
    model: Any,
    tokenizer: Any,
    sequences: Sequence[Sequel],
    *,
    batch_tokens: int | None = None,
    on_gradient: Callable[[], None] | None = None,
) -> FirstLook:
    """One pass before the first step, when an adapter in place adds nothing yet.

    Leaves weights, gradients and mode as they were, and needs no random numbers.

    Args:
        on_gradient: called when the gradient of the mean loss over the tokens that are looked at lies in the model's
            parameters; afterwards it is gone. None computes no gradient.
    """
    import torch

    if not sequences:
        return FirstLook()
    begins, losses = _begins(sequences), [np.empty(0)] * len(sequences)
    kept: torch.Tensor | None = None
    stride = 1
    with at_rest(model), _own_gradients(model, on_gradient), torch.set_grad_enabled(on_gradient is not None):
        for batch in batches([len(sequence.ids) for sequence in sequences], batch_tokens or tokens_of_a_pass(model)):
            found = _by_sequence(model, [sequences[index] for index in batch], pad_id_of(tokenizer))
            summed = torch.zeros((), device=found[0][0].device)
            for index, (own, expected) in zip(batch, found, strict=True):
                scores = own.float()  # one row at a time
                loss = nll(scores, expected)
                summed = summed + loss.sum()
                losses[index] = numbers(loss)
                if _can_be_taken_off(model):
                    continue
                if kept is None:  # the size of the vocabulary is known only now
                    stride = math.ceil(begins[-1] * scores.shape[-1] / KEPT_VALUES)
                    kept = torch.empty((-(-begins[-1] // stride), scores.shape[-1]), dtype=torch.float16)
                rows, places = _places(begins[index], len(scores), stride)
                kept[rows] = scores.detach()[places].log_softmax(-1).half().cpu()
            if on_gradient is not None:
                (summed / begins[-1]).backward()
            del found, summed
        if on_gradient is not None:
            on_gradient()
    return FirstLook(float(np.concatenate(losses).mean()), kept, stride)


def look_again(
    model: Any, tokenizer: Any, sequences: Sequence[Sequel], first: FirstLook, *, batch_tokens: int | None = None
) -> SecondLook:
    """The model beside its base on the sequences of :func:`look_first`, of which there is at least one.

    The base is what was kept of it, or the model without its adapter. Leaves the model as :func:`look_first` does.
    """
    import torch

    begins, pad_id = _begins(sequences), pad_id_of(tokenizer)
    losses, hits = ([np.empty(0)] * len(sequences) for _ in range(2))
    divergences: list[np.ndarray] = []
    with at_rest(model), torch.no_grad():
        for batch in batches([len(sequence.ids) for sequence in sequences], batch_tokens or tokens_of_a_pass(model)):
            chosen = [sequences[index] for index in batch]
            base: list[torch.Tensor] = []
            if first.log_probabilities is None:
                with model.disable_adapter():
                    base = [scores for scores, _ in _by_sequence(model, chosen, pad_id)]
            now = _by_sequence(model, chosen, pad_id)
            for place, (index, (own, expected)) in enumerate(zip(batch, now, strict=True)):
                scores = own.float()  # one row at a time
                losses[index] = numbers(nll(scores, expected))
                hits[index] = (scores.argmax(-1) == expected).cpu().numpy()
                if first.log_probabilities is None:
                    divergences.append(_divergence(base[place].float(), scores))
                else:
                    rows, places = _places(begins[index], len(scores), first.stride)
                    before = first.log_probabilities[rows].to(scores.device).float()
                    divergences.append(_divergence(before, scores[places]))
    return SecondLook(losses, hits, float(np.concatenate(divergences).mean()))


def _begins(sequences: Sequence[Sequel]) -> list[int]:
    """Number of the first token that is looked at of each sequence, and of all together."""
    return np.cumsum([0, *(sequence.count for sequence in sequences)]).tolist()


def _by_sequence(model: Any, sequences: Sequence[Sequel], pad_id: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of each sequence of a batch the scores, (count, vocabulary), and the tokens that they should name."""
    counts = [sequence.count for sequence in sequences]
    scores, expected = scores_of(model, sequences, pad_id)
    return list(zip(scores.split(counts), expected.split(counts), strict=True))


def _can_be_taken_off(model: Any) -> bool:
    return callable(getattr(model, "disable_adapter", None))


@contextlib.contextmanager
def _own_gradients(model: Any, wanted: object) -> Iterator[None]:
    """Gradients made here do not mix with those of the training; activations are recomputed where they are there."""
    if wanted is None:
        yield
        return
    gradients = [(parameter, parameter.grad) for parameter in model.parameters()]
    for parameter, _ in gradients:
        parameter.grad = None
    for module in model.modules():
        # Recomputing is off at rest. Only the layer itself is told that it trains, not the dropouts in it.
        if getattr(module, "gradient_checkpointing", False):
            module.training = True
    try:
        yield
    finally:
        for parameter, gradient in gradients:
            parameter.grad = gradient


def _divergence(base: torch.Tensor, scores: torch.Tensor) -> np.ndarray:
    """KL of each row, not below 0; a base in float16 is made a distribution again."""
    import torch

    p, q = base.log_softmax(-1), scores.log_softmax(-1)
    apart = torch.nn.functional.kl_div(q, p, reduction="none", log_target=True).sum(-1)
    return numbers(apart.clamp_(min=0.0))


def _places(begin: int, count: int, stride: int) -> tuple[slice, slice]:
    """Every `stride`-th of `count` tokens, the first of which is number `begin`.

    Returns:
        Which rows they are of what is kept, and which of the tokens.
    """
    first = -(-begin // stride)
    return slice(first, -(-(begin + count) // stride)), slice(first * stride - begin, count, stride)
