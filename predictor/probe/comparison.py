"""A model beside its untouched base, on the same tokens: losses, first choices, and how far the two are apart.

How far they are apart is the Kullback-Leibler divergence KL(base ‖ model) = Σ_v p(v) ln(p(v) / q(v)), p of the base
and q of the model, over the vocabulary v, averaged over tokens (Kullback and Leibler 1951, On Information and
Sufficiency).
"""

from __future__ import annotations

import bisect
import contextlib
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from predictor.probe.batching import BATCH_TOKENS, batches, pad_id_of, padded
from predictor.probe.forward import RenderedRow
from predictor.probe.generic_text import GENERIC_TEXTS

if TYPE_CHECKING:
    import torch

KEPT_VALUES = 16_000_000
"""Log-probabilities of a base that are kept at most, in float16: 32 MB. Beyond that every k-th token is looked at."""


@dataclass(frozen=True)
class Sequel:
    """Token ids of which the last `count` are looked at; at least one stands before them.

    Raises:
        ValueError: none is looked at, or none stands before them.
    """

    ids: Sequence[int]
    count: int

    def __post_init__(self) -> None:
        if not 0 < self.count < len(self.ids):
            raise ValueError(f"{self.count} of {len(self.ids)} tokens cannot be looked at")


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


def answer_sequels(rows: Sequence[RenderedRow]) -> list[Sequel]:
    """The answers of rows after their prompts; a row that lacks one of the two is left out."""
    return [
        Sequel([*row.prompt_ids, *row.completion_ids], len(row.completion_ids))
        for row in rows
        if len(row.prompt_ids) and len(row.completion_ids)
    ]


def text_sequels(tokenizer: Any, texts: Sequence[str] = GENERIC_TEXTS) -> list[Sequel]:
    """All tokens but the first of plain texts; one that has no more is left out."""
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    return [Sequel(row, len(row) - 1) for row in ids if len(row) > 1]


def look_first(
    model: Any,
    tokenizer: Any,
    sequences: Sequence[Sequel],
    *,
    batch_tokens: int = BATCH_TOKENS,
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
    with _at_rest(model), _own_gradients(model, on_gradient), torch.set_grad_enabled(on_gradient is not None):
        for batch in batches([len(sequence.ids) for sequence in sequences], batch_tokens):
            found = _scores(model, [sequences[index] for index in batch], pad_id_of(tokenizer))
            summed = torch.zeros((), device=found[0][0].device)
            for index, own, expected in zip(batch, *found, strict=True):
                scores = own.float()  # one row at a time
                nll = _nll(scores, expected)
                summed = summed + nll.sum()
                losses[index] = _numbers(nll)
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
    model: Any, tokenizer: Any, sequences: Sequence[Sequel], first: FirstLook, *, batch_tokens: int = BATCH_TOKENS
) -> SecondLook:
    """The model beside its base on the sequences of :func:`look_first`, of which there is at least one.

    The base is what was kept of it, or the model without its adapter. Leaves the model as :func:`look_first` does.
    """
    import torch

    begins, pad_id = _begins(sequences), pad_id_of(tokenizer)
    losses, hits = ([np.empty(0)] * len(sequences) for _ in range(2))
    divergences: list[np.ndarray] = []
    with _at_rest(model), torch.no_grad():
        for batch in batches([len(sequence.ids) for sequence in sequences], batch_tokens):
            chosen = [sequences[index] for index in batch]
            base: list[torch.Tensor] = []
            if first.log_probabilities is None:
                with model.disable_adapter():
                    # Copies, so that the scores of the whole batch are free before the next pass.
                    base = [scores.clone() for scores in _scores(model, chosen, pad_id)[0]]
            for place, (index, own, expected) in enumerate(zip(batch, *_scores(model, chosen, pad_id), strict=True)):
                scores = own.float()  # one row at a time
                losses[index] = _numbers(_nll(scores, expected))
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


def _numbers(values: torch.Tensor) -> np.ndarray:
    return values.detach().cpu().double().numpy()


def _can_be_taken_off(model: Any) -> bool:
    return callable(getattr(model, "disable_adapter", None))


@contextlib.contextmanager
def _at_rest(model: Any) -> Iterator[None]:
    """Without dropout."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


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


def _scores(model: Any, sequences: Sequence[Sequel], pad_id: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Of each sequence of a batch the scores, (count, vocabulary), and the tokens that they should name, in one pass.

    The scores are in the model's own type, and views into those of the whole batch.
    """
    import torch

    ids, mask = padded([sequence.ids for sequence in sequences], pad_id, next(model.parameters()).device)
    width = ids.shape[1]
    begins = [len(sequence.ids) - 1 - sequence.count for sequence in sequences]
    spans = [range(begin, begin + sequence.count) for begin, sequence in zip(begins, sequences, strict=True)]
    places = sorted(set().union(*spans))
    # Where a vocabulary is large its scores weigh more than all else, so only those of the answers' places are made.
    if 2 * len(places) > width or not _makes_chosen_scores(model):
        places, only = list(range(width)), {}
    else:
        # Counted from the end: an adapter may put tokens of its own before the first.
        only = {"logits_to_keep": torch.tensor(places, device=ids.device) - width}
    logits = model(input_ids=ids, attention_mask=mask, use_cache=False, **only).logits[:, -len(places) :]
    scores, expected = [], []
    for row, span in enumerate(spans):
        first = bisect.bisect_left(places, span.start)
        scores.append(logits[row, first : first + len(span)])
        expected.append(ids[row, span.start + 1 : span.stop + 1])
    return scores, expected


def _makes_chosen_scores(model: Any) -> bool:
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(type(inner).forward).parameters


def _nll(scores: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.nn.functional.cross_entropy(scores, expected, reduction="none")


def _divergence(base: torch.Tensor, scores: torch.Tensor) -> np.ndarray:
    """KL of each row, not below 0; a base in float16 is made a distribution again."""
    import torch

    p, q = base.log_softmax(-1), scores.log_softmax(-1)
    apart = torch.nn.functional.kl_div(q, p, reduction="none", log_target=True).sum(-1)
    return _numbers(apart.clamp_(min=0.0))


def _places(begin: int, count: int, stride: int) -> tuple[slice, slice]:
    """Every `stride`-th of `count` tokens, the first of which is number `begin`.

    Returns:
        Which rows they are of what is kept, and which of the tokens.
    """
    first = -(-begin // stride)
    return slice(first, -(-(begin + count) // stride)), slice(first * stride - begin, count, stride)
