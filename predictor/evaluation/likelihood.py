"""What base and tuned model say of the same tokens, in one sweep over both: losses, and how far the two are apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from predictor.probe.batching import batches, pad_id_of, tokens_of_a_pass
from predictor.probe.scoring import Sequel, at_rest, nll, numbers, scores_of

if TYPE_CHECKING:
    import torch

    from predictor.evaluation.pair import Pair

_CHUNK = 256
"""Places whose distributions are compared together: with a vocabulary of 50 000 the four copies take 200 MB."""


@dataclass(frozen=True)
class Beside:
    """Both models on the tokens of one sequence that are looked at, each array of shape (count,).

    Attributes:
        base, tuned: losses in nats. divergence: KL(base ‖ tuned) in nats.
    """

    base: np.ndarray
    tuned: np.ndarray
    divergence: np.ndarray


def beside(
    pair: Pair,
    sequels: Sequence[Sequel],
    *,
    batch_tokens: int | None = None,
    on_batch: Callable[[int], None] = lambda sequences: None,
) -> list[Beside]:
    """Both models on each sequence, in order.

    KL(base ‖ tuned) = Σ_v p(v) ln(p(v) / q(v)), p of the base and q of the tuned model (Kullback and Leibler 1951).
    """
    import torch

    none = np.empty(0)
    found = [Beside(none, none, none)] * len(sequels)
    pad = pad_id_of(pair.base.tokenizer)
    tokens = batch_tokens or tokens_of_a_pass(pair.base.model)
    with at_rest(pair.tuned), at_rest(pair.base.model), torch.inference_mode():
        for batch in batches([len(sequel.ids) for sequel in sequels], tokens):
            chosen = [sequels[index] for index in batch]
            with pair.untuned() as model:
                base, expected = scores_of(model, chosen, pad)
            tuned, _ = scores_of(pair.tuned, chosen, pad)
            parts = _compared(base, tuned, expected)
            ends = np.cumsum([sequel.count for sequel in chosen])[:-1]
            for index, *arrays in zip(batch, *(np.split(part, ends) for part in parts), strict=True):
                found[index] = Beside(*arrays)
            on_batch(len(batch))
    return found


def text_sequels(tokenizer: Any, texts: Sequence[str], most: int) -> list[Sequel | None]:
    """All tokens but the first of each plain text, of which `most` tokens are read; None of a text that has no more."""
    found: list[Sequel | None] = []
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"][:most]
        found.append(Sequel(ids, len(ids) - 1) if len(ids) > 1 else None)
    return found


def bytes_of(tokenizer: Any, sequel: Sequel) -> int:
    """Bytes of the text that the tokens which are looked at stand for; at least 1."""
    text = tokenizer.decode(list(sequel.ids)[-sequel.count :], skip_special_tokens=True)
    return max(1, len(text.encode("utf-8")))


def byte_probability(bits_per_byte: np.ndarray) -> np.ndarray:
    """2^(−bits per byte): the probability of a byte, as a geometric mean; in [0, 1], higher is better."""
    return np.exp2(-bits_per_byte)


def bits(nats: float) -> float:
    """Nats as bits."""
    return nats / math.log(2.0)


def repeat_noise(pair: Pair, sequels: Sequence[Sequel], first: Sequence[Beside]) -> float:
    """How far the mean loss of the tuned model moves when the very same tokens are read in other batches, in nats.

    What is nothing but the order of sums: no difference below it means anything.
    """
    again = beside(pair, sequels, batch_tokens=max(1, tokens_of_a_pass(pair.base.model) // 3))
    means = [float(np.concatenate([each.tuned for each in looked]).mean()) for looked in (first, again)]
    return abs(means[0] - means[1])


def _compared(
    base: torch.Tensor, tuned: torch.Tensor, expected: torch.Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    import torch

    losses_base, losses_tuned, divergences = [], [], []
    for p, q, right in zip(base.split(_CHUNK), tuned.split(_CHUNK), expected.split(_CHUNK), strict=True):
        log_p, log_q = p.float().log_softmax(-1), q.float().log_softmax(-1)
        losses_base.append(numbers(nll(log_p, right)))
        losses_tuned.append(numbers(nll(log_q, right)))
        apart = torch.nn.functional.kl_div(log_q, log_p, reduction="none", log_target=True).sum(-1)
        divergences.append(numbers(apart.clamp_(min=0.0)))
    return np.concatenate(losses_base), np.concatenate(losses_tuned), np.concatenate(divergences)
