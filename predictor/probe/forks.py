"""How likely several ways are to go on from one beginning: the beginning is read once, and serves all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from predictor.probe.batching import padded, tokens_of_a_pass
from predictor.probe.scoring import at_rest, nll, numbers

_HEADS: Final = 16
"""Heads of one batch at most: they share a width, and longer batches save no time."""


@dataclass(frozen=True)
class Fork:
    """Token ids that a model reads once, and the ways in which they may go on, each of one token at least.

    Raises:
        ValueError: nothing stands before the ways, there is none, or one of them is empty.
    """

    head: Sequence[int]
    tails: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        if not len(self.head) or not len(self.tails) or not all(map(len, self.tails)):
            raise ValueError("a fork has a head, and tails of which none is empty")

    @property
    def places(self) -> int:
        """Tokens of all tails, padded to the longest."""
        return len(self.tails) * max(map(len, self.tails))


def fork_losses(
    model: Any, forks: Sequence[Fork], *, pad_id: int, on_batch: Callable[[int], None] = lambda forks: None
) -> list[list[np.ndarray]]:
    """For each fork and each of its tails the losses of the tail's tokens, in nats, (tokens,).

    As :func:`~predictor.probe.scoring.sequel_losses` of head and tail together.

    Args:
        on_batch: is told how many forks were read.
    """
    import torch

    found: list[list[np.ndarray]] = [[] for _ in forks]
    most = tokens_of_a_pass(model)
    with at_rest(model), torch.inference_mode():
        for batch in _batches(forks, most):
            chosen = [forks[index] for index in batch]
            losses = iter(_of_batch(model, chosen, pad_id))
            for index, fork in zip(batch, chosen, strict=True):
                found[index] = [next(losses) for _ in fork.tails]
            on_batch(len(batch))
    return found


def fork_sums(
    model: Any, forks: Sequence[Fork], *, pad_id: int, on_batch: Callable[[int], None] = lambda forks: None
) -> list[np.ndarray]:
    """For each fork the loss of each of its tails, the sum over its tokens in nats, (tails,)."""
    losses = fork_losses(model, forks, pad_id=pad_id, on_batch=on_batch)
    return [np.array([tail.sum() for tail in of_fork]) for of_fork in losses]


def _batches(forks: Sequence[Fork], most: int) -> list[list[int]]:
    """Positions of forks with heads of like length, so many together that neither heads nor tails exceed `most`."""
    batches: list[list[int]] = []
    longest = places = 0
    for index in sorted(range(len(forks)), key=lambda index: -len(forks[index].head)):
        fork = forks[index]
        full = bool(batches) and (
            len(batches[-1]) >= _HEADS or (len(batches[-1]) + 1) * longest > 4 * most or places + fork.places > most
        )
        if not batches or full:
            batches.append([])
            longest, places = len(fork.head), 0
        batches[-1].append(index)
        places += fork.places
    return batches


def _of_batch(model: Any, forks: Sequence[Fork], pad_id: int) -> list[np.ndarray]:
    """The losses of each tail, one fork after the other."""
    import torch

    device = next(model.parameters()).device
    ids, mask = padded([fork.head for fork in forks], pad_id, device, left=True)
    positions = (mask.cumsum(1) - 1).clamp_(min=0)
    read = model(
        input_ids=ids,
        attention_mask=mask,
        position_ids=positions,
        use_cache=True,
        logits_to_keep=1,
    )
    owner = torch.tensor([number for number, fork in enumerate(forks) for _ in fork.tails], device=device)
    tails = [tail for fork in forks for tail in fork.tails]
    own, own_mask = padded(tails, pad_id, device)
    first = numbers(nll(read.logits[:, -1].float()[owner], own[:, 0]))
    if own.shape[1] == 1:
        return [loss[None] for loss in first]
    cache = read.past_key_values
    cache.batch_select_indices(owner)
    begins = mask.sum(1)[owner][:, None]
    logits = model(
        input_ids=own[:, :-1],
        attention_mask=torch.cat([mask[owner], own_mask[:, :-1]], dim=1),
        position_ids=begins + torch.arange(own.shape[1] - 1, device=device),
        past_key_values=cache,
        use_cache=True,
    ).logits
    counted = own_mask[:, 1:].bool()
    later = numbers(nll(logits[counted].float(), own[:, 1:][counted]))
    ends = np.cumsum([len(tail) - 1 for tail in tails])[:-1]
    return [np.concatenate(pair) for pair in zip(first[:, None], np.split(later, ends), strict=True)]
