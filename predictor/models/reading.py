"""Texts as a model with a head reads them, and what it says of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from predictor.models.head import head_outputs
from predictor.probe.batching import batches, pad_id_of, padded
from predictor.probe.scoring import at_rest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PASS_TOKENS: Final = 8192
TINY: Final = 1e-12
"""No probability is taken for less: its logarithm would be none."""
NO_CLASS: Final = -1
"""The label of a row that is scored instead."""


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One text as the model reads it, and the position of its class, or its scores.

    Attributes:
        prompt_ids: tokens of the text. completion_ids, earlier: none, since nothing is said.
        label: position of the class; :data:`NO_CLASS` of a row with scores.
        cut: the text was longer, and its end is left out.
        scores: shares of the range by dimension, in [0, 1], NaN where the row has none; empty of a row with a class.
    """

    id: str
    prompt_ids: list[int]
    label: int
    cut: bool = False
    completion_ids: list[int] = field(default_factory=list)
    earlier: tuple[tuple[int, int], ...] = ()
    scores: tuple[float, ...] = ()

    @property
    def learnt(self) -> int:
        """Tokens that are learnt to say: none."""
        return 0

    @property
    def length(self) -> int:
        """Tokens of the text."""
        return len(self.prompt_ids)


def read_texts(
    texts: Sequence[str],
    labels: Sequence[int],
    ids: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    most: int,
    around: Sequence[str] | None = None,
    scores: Sequence[tuple[float, ...]] | None = None,
) -> list[LabelledRow]:
    """Texts as token ids of at most `most`, their ends left out where they are longer.

    Args:
        around: the text of each in its template; the text inside is cut, not the template. None where there is none.
        scores: of each, by dimension; None of rows with classes.
    """
    whole = _token_ids(around or texts, tokenizer, None)
    longer = [place for place, row in enumerate(whole) if len(row) > most]
    cut = dict(zip(longer, _shortened(texts, around, longer, tokenizer, most), strict=True))
    return [
        LabelledRow(
            ids[place], cut.get(place, row), labels[place], place in cut, scores=scores[place] if scores else ()
        )
        for place, row in enumerate(whole)
    ]


def class_probabilities(
    model: Any,
    tokenizer: Any,
    rows: Sequence[LabelledRow],
    *,
    batch_tokens: int = _PASS_TOKENS,
    on_batch: Callable[[int], None] = lambda rows: None,
    on_rows: Callable[[Sequence[int], np.ndarray], None] = lambda places, probabilities: None,
) -> np.ndarray:
    """Probabilities of the classes, (rows, classes), float64, in the order of the rows.

    Args:
        batch_tokens: tokens of one pass, padding included.
        on_batch: told the number of rows of each finished pass.
        on_rows: told their places and probabilities.
    """
    return read_off(
        model,
        tokenizer,
        rows,
        lambda logits: logits.softmax(-1),
        batch_tokens=batch_tokens,
        on_batch=on_batch,
        on_rows=on_rows,
    )


def read_off(
    model: Any,
    tokenizer: Any,
    rows: Sequence[LabelledRow],
    reading: Callable[[torch.Tensor], torch.Tensor],
    *,
    batch_tokens: int = _PASS_TOKENS,
    on_batch: Callable[[int], None] = lambda rows: None,
    on_rows: Callable[[Sequence[int], np.ndarray], None] = lambda places, said: None,
) -> np.ndarray:
    """What a model with a head says of rows, (rows, outputs), float64, in the order of the rows.

    Args:
        reading: of the outputs of a batch, float32, (rows, outputs).
        batch_tokens: tokens of one pass, padding included.
        on_batch: told the number of rows of each finished pass.
        on_rows: told their places and what was read off.
    """
    found: dict[int, np.ndarray] = {}
    pad_id, device = pad_id_of(tokenizer), next(model.parameters()).device
    lengths = [max(2, row.length) for row in rows]
    with at_rest(model), torch.inference_mode():
        for batch in batches(lengths, batch_tokens):
            ids, mask = padded([rows[place].prompt_ids for place in batch], pad_id, device)
            said = reading(head_outputs(model, ids, mask).float()).cpu().double().numpy()
            found |= dict(zip(batch, said, strict=True))
            on_rows(batch, said)
            on_batch(len(batch))
    return np.stack([found[place] for place in range(len(rows))])


def class_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy in nats of the right classes, (rows,), among probabilities, (rows, classes)."""
    right = probabilities[np.arange(len(probabilities)), labels]
    return float(-np.log(np.maximum(right, TINY)).mean())


def _token_ids(texts: Sequence[str], tokenizer: Any, most: int | None) -> list[list[int]]:
    if not texts:
        return []
    told = {"truncation": True, "max_length": most} if most else {}
    ids: list[list[int]] = tokenizer(list(texts), split_special_tokens=True, **told)["input_ids"]
    return ids


def _shortened(
    texts: Sequence[str], around: Sequence[str] | None, places: Sequence[int], tokenizer: Any, most: int
) -> list[list[int]]:
    """The rows at `places`, with as much of the text as fits."""
    chosen = [texts[place] for place in places]
    if around is None:
        return _token_ids(chosen, tokenizer, most)
    made = []
    for place, text in zip(places, chosen, strict=True):
        before, _, after = around[place].partition(text)
        head = _token_ids([before], tokenizer, None)[0]
        if head and head[-1] == tokenizer.sep_token_id:
            made.append(_token_ids([around[place]], tokenizer, most)[0])  # an encoder closes what it reads
            continue
        tail = tokenizer(after, add_special_tokens=False, split_special_tokens=True)["input_ids"] if after else []
        room = max(0, most - len(head) - len(tail))
        inside = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"][:room]
        made.append([*head, *inside, *tail][:most])
    return made
