"""What a model says at chosen places of token sequences: scores, losses and first choices of these places alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from predictor.probe.batching import batches, padded, tokens_of_a_pass

if TYPE_CHECKING:
    import torch

_CHUNK = 256
"""Places whose scores are looked at together: with a vocabulary of 50 000 they and one copy take 100 MB."""


class RenderedRow(Protocol):
    """One training row as token ids: what the model reads and what it learns to say."""

    @property
    def prompt_ids(self) -> Sequence[int]:
        """Everything up to and including the header of the assistant's turn."""
        ...

    @property
    def completion_ids(self) -> Sequence[int]:
        """The assistant's turn with its closing tokens."""
        ...

    @property
    def earlier(self) -> Sequence[tuple[int, int]]:
        """(first, behind the last) positions in `prompt_ids` of earlier turns that are learnt too."""
        ...


@dataclass(frozen=True)
class Sequel:
    """Token ids of which `count` are looked at: the last ones, or those at positions `at`. One stands before the first.

    Raises:
        ValueError: none is looked at, none stands before them, or `at` is not `count` rising positions.
    """

    ids: Sequence[int]
    count: int
    at: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 < self.count < len(self.ids):
            raise ValueError(f"{self.count} of {len(self.ids)} tokens cannot be looked at")
        rising = all(a < b for a, b in zip((0, *self.at), (*self.at, len(self.ids)), strict=True))
        if self.at and not (rising and len(self.at) == self.count):
            raise ValueError(f"the positions {self.at} are not {self.count} rising ones of {len(self.ids)} tokens")


def answer_sequels(rows: Sequence[RenderedRow]) -> list[Sequel]:
    """What is learnt of rows, after what stands before it; a row that lacks prompt or completion is left out."""
    return [_learnt(row) for row in rows if len(row.prompt_ids) and len(row.completion_ids)]


def _learnt(row: RenderedRow) -> Sequel:
    ids, last = [*row.prompt_ids, *row.completion_ids], len(row.completion_ids)
    if not row.earlier:
        return Sequel(ids, last)
    at = (*(place for span in row.earlier for place in range(*span) if place), *range(len(ids) - last, len(ids)))
    return Sequel(ids, len(at), at)


def sequel_losses(
    model: Any, sequences: Sequence[Sequel], *, pad_id: int, batch_tokens: int | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each sequence the loss of the tokens that are looked at, and whether each was the model's first choice.

    Args:
        batch_tokens: tokens of one pass, padding included; None chooses.

    Returns:
        for each sequence, in order, (losses in nats, hits), both of shape (count,).
    """
    import torch

    results = [(np.empty(0), np.empty(0, dtype=bool))] * len(sequences)
    with at_rest(model), torch.inference_mode():
        for batch in batches([len(sequence.ids) for sequence in sequences], batch_tokens or tokens_of_a_pass(model)):
            chosen = [sequences[index] for index in batch]
            scores, expected = scores_of(model, chosen, pad_id)
            losses, hits = _marks(scores, expected)
            del scores
            ends = np.cumsum([sequence.count for sequence in chosen])[:-1]
            for index, nll, hit in zip(batch, np.split(losses, ends), np.split(hits, ends), strict=True):
                results[index] = (nll, hit)
    return results


def scores_of(model: Any, sequences: Sequence[Sequel], pad_id: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of all places that are looked at, one sequence after the other, and the tokens that they should name.

    One pass; where a vocabulary is large its scores weigh more than all else, so that the other places have none.

    Returns:
        scores of shape (places, vocabulary) in the model's own type, and token ids of shape (places,).
    """
    import torch

    ids, mask = padded([sequence.ids for sequence in sequences], pad_id, next(model.parameters()).device)
    width = ids.shape[1]
    column = torch.arange(width, device=ids.device)
    ends = torch.tensor([len(sequence.ids) - 1 for sequence in sequences], device=ids.device)[:, None]
    counts = torch.tensor([sequence.count for sequence in sequences], device=ids.device)[:, None]
    places = (column >= ends - counts) & (column < ends)
    for row, sequence in enumerate(sequences):
        if sequence.at:
            # What is said of a token stands at the place of the one before it.
            places[row] = False
            places[row, [place - 1 for place in sequence.at]] = True
    made: list[Any] = []

    def choose(module: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        made.append(module)
        # Counted from the end: an adapter may put tokens of its own before the first.
        return (arguments[0][:, -width:][places][None], *arguments[1:])

    handle = model.get_output_embeddings().register_forward_pre_hook(choose)
    try:
        logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
    finally:
        handle.remove()
    scores = logits[0] if made else logits[:, -width:][places]
    return scores, ids.roll(-1, 1)[places]


def numbers(values: torch.Tensor) -> np.ndarray:
    """A tensor as float64 on the CPU."""
    return values.detach().cpu().double().numpy()


def nll(scores: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """Loss of each place in nats."""
    import torch

    return torch.nn.functional.cross_entropy(scores, expected, reduction="none")


@contextlib.contextmanager
def at_rest(model: Any) -> Iterator[None]:
    """Without dropout."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _marks(scores: torch.Tensor, expected: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    losses, hits = [], []
    for part, right in zip(scores.split(_CHUNK), expected.split(_CHUNK), strict=True):
        values = part.float()
        losses.append(numbers(nll(values, right)))
        hits.append((values.argmax(-1) == right).cpu().numpy())
    return np.concatenate(losses), np.concatenate(hits)
