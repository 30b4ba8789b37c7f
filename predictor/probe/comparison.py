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
class KeptBase:
    """What a base said, for a model whose training overwrites it.

    Attributes:
        loss: mean over all tokens that are looked at, in nats.
        log_probabilities: of every `stride`-th of these tokens, counted through the sequences in their order, shape
            (tokens, vocabulary), float16, on the CPU. Rounding moves a ln p of −10 by 0.004 at most; what is likely
            lies near 0 and moves less.
    """

    loss: float
    log_probabilities: torch.Tensor
    stride: int


@dataclass(frozen=True)
class Compared:
    """Attributes:
    base_loss: mean loss of the base over the tokens that are looked at, in nats.
    losses, hits: of the model, for each sequence of shape (count,): loss in nats, and whether the token was its first
        choice.
    divergence: mean of KL(base ‖ model) over these tokens, in nats.
    """

    base_loss: float
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


def keep_base(
    model: Any, tokenizer: Any, sequences: Sequence[Sequel], *, batch_tokens: int = BATCH_TOKENS
) -> KeptBase | None:
    """What :func:`compare` will need of a base that training overwrites; called before the first step.

    Returns:
        None where nothing has to be kept: the model is a base with an adapter, which can be taken off later.
    """
    import torch

    if _can_be_taken_off(model) or not sequences:
        return None
    pad_id = pad_id_of(tokenizer)
    begins = np.cumsum([0, *(sequence.count for sequence in sequences)]).tolist()
    losses: list[np.ndarray] = [np.empty(0)] * len(sequences)
    kept = torch.empty(0)
    stride = 0
    with _at_rest(model), torch.no_grad():
        for batch in batches([len(sequence.ids) for sequence in sequences], batch_tokens):
            found = _scores(model, [sequences[index] for index in batch], pad_id)
            for index, scores, expected in zip(batch, *found, strict=True):
                losses[index] = _nll(scores.float(), expected).cpu().double().numpy()
                if not stride:  # the size of the vocabulary is known only now
                    stride = math.ceil(begins[-1] * scores.shape[-1] / KEPT_VALUES)
                    kept = torch.empty((-(-begins[-1] // stride), scores.shape[-1]), dtype=torch.float16)
                rows, places = _places(begins[index], len(scores), stride)
                kept[rows] = scores[places].float().log_softmax(-1).half().cpu()
    return KeptBase(float(np.concatenate(losses).mean()), kept, stride)


def compare(
    model: Any,
    tokenizer: Any,
    sequences: Sequence[Sequel],
    *,
    batch_tokens: int = BATCH_TOKENS,
    kept: KeptBase | None = None,
    on_gradient: Callable[[], None] | None = None,
) -> Compared:
    """The model beside its base, one pass of each over the sequences; the base is the model without its adapter.

    Leaves weights, gradients and mode as they were, and needs no random numbers.

    Args:
        kept: by :func:`keep_base`, of a model that has no adapter to take off.
        on_gradient: called when the gradient of the mean loss over the tokens that are looked at lies in the model's
            parameters; afterwards it is gone. None computes no gradient.
    """
    import torch

    pad_id = pad_id_of(tokenizer)
    begins = np.cumsum([0, *(sequence.count for sequence in sequences)]).tolist()
    losses, hits, base_losses = ([np.empty(0)] * len(sequences) for _ in range(3))
    divergences: list[np.ndarray] = []
    with _at_rest(model), _own_gradients(model, on_gradient):
        for batch in batches([len(sequence.ids) for sequence in sequences], batch_tokens):
            chosen = [sequences[index] for index in batch]
            base: list[torch.Tensor] = []
            if kept is None:
                with torch.no_grad(), model.disable_adapter():
                    # Copies, so that the scores of the whole batch are free before the next pass.
                    base = [scores.clone() for scores in _scores(model, chosen, pad_id)[0]]
            with torch.set_grad_enabled(on_gradient is not None):
                found = _scores(model, chosen, pad_id)
                summed = torch.zeros((), device=found[0][0].device)
                for place, (index, own, expected) in enumerate(zip(batch, *found, strict=True)):
                    # One row at a time in float32.
                    scores = own.float()
                    nll = _nll(scores, expected)
                    summed = summed + nll.sum()
                    losses[index] = nll.detach().cpu().double().numpy()
                    hits[index] = (scores.argmax(-1) == expected).cpu().numpy()
                    if kept is None:
                        before, places = base[place].float(), slice(None)
                        base_losses[index] = _nll(before, expected).cpu().double().numpy()
                    else:
                        rows, places = _places(begins[index], len(scores), kept.stride)
                        before = kept.log_probabilities[rows].to(scores.device).float()
                    divergences.append(_divergence(before, scores.detach()[places]))
                if on_gradient is not None:
                    (summed / begins[-1]).backward()
            del found
        if on_gradient is not None:
            on_gradient()
    base_loss = kept.loss if kept is not None else float(np.concatenate(base_losses).mean())
    return Compared(base_loss, losses, hits, float(np.concatenate(divergences).mean()))


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
    """One pass over a batch: of each sequence the scores of shape (count, vocabulary), and the tokens that they should
    name. The scores are in the model's own type, and views into those of the whole batch."""
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
    return apart.clamp_(min=0.0).cpu().double().numpy()


def _places(begin: int, count: int, stride: int) -> tuple[slice, slice]:
    """Of `count` tokens, the first of them number `begin`, every `stride`-th: which rows they are of what is kept, and
    which of the tokens."""
    first = -(-begin // stride)
    return slice(first, -(-(begin + count) // stride)), slice(first * stride - begin, count, stride)
