"""Whether two models say the same: the largest difference of their logits, and how many greedy answers are equal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from predictor.errors import ModelError
from predictor.models.generate import generate
from predictor.probe.scoring import Sequel, scores_of

if TYPE_CHECKING:
    import torch

_PLACES: Final = 512
"""Places whose logits are compared, over all prompts: with a vocabulary of 150 000 they take 300 MB."""


@dataclass(frozen=True)
class Said:
    """What a model says to some prompts.

    Attributes:
        answers: greedy, as token ids, one for each prompt.
        logits: (places, vocabulary) float32, where the answers that are compared with begin and go on.
    """

    answers: list[list[int]]
    logits: torch.Tensor
    sequels: list[Sequel]


@dataclass(frozen=True)
class Parity:
    """How far one model is from another.

    Attributes:
        said: what is counted as equal, in words.
        prompts: that were answered by both. places: whose logits were compared.
        max_logit_difference: over all of these places and the whole vocabulary.
        equal_answers: the share of prompts with the same greedy answer, token by token.
        max_logit: the largest logit in size, to judge the difference by.
    """

    prompts: int
    places: int
    max_logit_difference: float
    equal_answers: float
    max_logit: float
    said: ClassVar[str] = "greedy answers"

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)

    def broken(self, max_difference: float, least_equal: float) -> str | None:
        """Which limit is broken, in words; None when none is."""
        if not self.max_logit_difference <= max_difference:  # not a number breaks it too
            return f"logits differ by up to {self.max_logit_difference:.3g}, more than {max_difference:g}"
        if self.equal_answers < least_equal:
            return f"{self.equal_answers:.1%} of the {self.said} are equal, fewer than {least_equal:.1%}"
        return None


@dataclass(frozen=True)
class ClassParity(Parity):
    """How far one classifier is from another: its prompts are texts, its answers labels, its places the texts again."""

    said: ClassVar[str] = "labels"

    def to_json(self) -> dict[str, Any]:
        """The fields by the names that they have among classifiers."""
        return {
            "texts": self.prompts,
            "max_logit_difference": self.max_logit_difference,
            "equal_labels": self.equal_answers,
            "max_logit": self.max_logit,
        }


def said(model: Any, tokenizer: Any, prompts: Sequence[list[int]], most: int, like: Said | None = None) -> Said:
    """What a model says.

    Args:
        most: tokens of an answer.
        like: what it will be compared with: logits are those after the answers of that one.
    """
    import torch

    answers = generate(model, tokenizer, prompts, max_new_tokens=most)
    sequels = like.sequels if like else _sequels(prompts, answers)
    pad = int(tokenizer.pad_token_id or 0)
    with torch.inference_mode():
        parts = [scores_of(model, [sequel], pad)[0].float().cpu() for sequel in sequels]
    return Said(answers, torch.cat(parts), sequels)


def classes_said(logits: Sequence[torch.Tensor]) -> Said:
    """What a classifier says to some texts, from the class scores of each, (classes,): its label is its answer."""
    import torch

    scores = torch.stack([each.float().cpu() for each in logits])
    return Said([[int(label)] for label in scores.argmax(-1)], scores, [])


def compare(one: Said, other: Said, kind: type[Parity] = Parity) -> Parity:
    """How far two models are from each other.

    Raises:
        ModelError: their vocabularies have different sizes.
    """
    if one.logits.shape != other.logits.shape:
        raise ModelError(
            f"vocabularies of {one.logits.shape[-1]} and {other.logits.shape[-1]} tokens cannot be compared",
            rule="a merged model has the vocabulary of its base",
        )
    same = [a == b for a, b in zip(one.answers, other.answers, strict=True)]
    return kind(
        prompts=len(same),
        places=len(one.logits),
        max_logit_difference=float((one.logits - other.logits).abs().max()),
        equal_answers=float(np.mean(same)),
        max_logit=float(one.logits.abs().max()),
    )


def _sequels(prompts: Sequence[list[int]], answers: Sequence[list[int]]) -> list[Sequel]:
    """The places where each answer is said, and where it ends: as many of each as the places allow."""
    each = max(1, _PLACES // len(prompts))
    sequels = []
    for prompt, answer in zip(prompts, answers, strict=True):
        # The last id is only what would be expected there, and is not read.
        told = [*answer[: each - 1], 0]
        sequels.append(Sequel([*prompt, *told], len(told)))
    return sequels
