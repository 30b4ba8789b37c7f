"""Answers drawn by chance, each row from numbers of its own: whoever shares its batch changes nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen.

    Attributes:
        temperature: divides the logits; 0 takes the likeliest token each time, whatever the rest says.
        top_k: only so many likeliest tokens, 0 all. top_p: only the likeliest that together have this probability.
        repetition_penalty: divides (or multiplies, below 0) the logits of tokens that stand in prompt or answer.
        seed: of the draws.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 1

    @property
    def greedy(self) -> bool:
        """The likeliest token each time, and nothing is penalised: no draw is needed."""
        return self.temperature == 0.0 and self.repetition_penalty == 1.0


class RowSampler:
    """A logits processor after which the largest logit is the drawn token, for the rows of one batch.

    Gumbel noise makes it so (Gumbel 1954): argmax(log p + g) is a draw from p. The noise follows from the seed, the
    row's number and the token's place, so an answer is the same in any batch, and when it is made again.

    Args:
        numbers: of the rows of the batch, in their order.
        prompts: their token ids, without padding.
        width: of the padded prompts.
    """

    def __init__(self, how: Sampling, numbers: Sequence[int], prompts: Sequence[list[int]], width: int) -> None:
        self._how = how
        self._rows = list(zip(numbers, prompts, strict=True))
        self._width = width

    def keep(self, places: Sequence[int]) -> None:
        """Only these rows of the batch go on."""
        self._rows = [self._rows[place] for place in places]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Logits of the next token, (rows, vocabulary)."""
        import torch

        how, scores = self._how, scores.float()
        if how.repetition_penalty != 1.0:
            scores = self._penalised(input_ids, scores)
        if how.temperature == 0.0:
            return scores
        scores = _limited(scores / how.temperature, how.top_k, how.top_p)
        place = input_ids.shape[1] - self._width
        noise = torch.stack([_gumbel(how.seed, number, place, scores.shape[-1]) for number, _ in self._rows])
        return torch.log_softmax(scores, dim=-1) + noise.to(scores.device)

    def _penalised(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        scores = scores.clone()
        for row, (_, prompt) in enumerate(self._rows):
            said = torch.tensor([*prompt, *input_ids[row, self._width :].tolist()], device=scores.device).unique()
            values = scores[row, said]
            penalty = self._how.repetition_penalty
            scores[row, said] = torch.where(values < 0, values * penalty, values / penalty)
        return scores


def _limited(scores: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    from transformers import TopKLogitsWarper, TopPLogitsWarper

    nothing: Any = None  # neither looks at the tokens before
    if top_k:
        scores = TopKLogitsWarper(top_k)(nothing, scores)
    if top_p < 1.0:
        scores = TopPLogitsWarper(top_p)(nothing, scores)
    return scores


def _gumbel(seed: int, number: int, place: int, size: int) -> torch.Tensor:
    import torch

    digest = hashlib.sha256(f"{seed}/{number}/{place}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7], "big"))
    uniform = torch.rand(size, generator=generator, dtype=torch.float64).clamp_(1e-12, 1 - 1e-12)
    return (-torch.log(-torch.log(uniform))).float()
