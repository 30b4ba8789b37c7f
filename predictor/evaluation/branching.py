"""How likely several endings of one beginning are: the beginning is read once, and serves all endings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from predictor.probe.batching import tokens_of_a_pass
from predictor.probe.scoring import at_rest, nll, numbers

if TYPE_CHECKING:
    import torch

_ROWS: Final = 16
"""Beginnings of one batch at most: they share a width, and longer batches save no time."""


@dataclass(frozen=True)
class Branches:
    """Token ids of a beginning, and of each of its endings; none of them empty."""

    beginning: Sequence[int]
    endings: Sequence[Sequence[int]]

    @property
    def places(self) -> int:
        """Tokens of all endings, padded to the longest."""
        return len(self.endings) * max(map(len, self.endings))


def ending_losses(
    model: Any, rows: Sequence[Branches], *, pad_id: int, on_batch: Callable[[int], None] = lambda rows: None
) -> list[np.ndarray]:
    """For each beginning the loss of each of its endings, the sum over its tokens in nats, shape (endings,)."""
    import torch

    found: list[np.ndarray] = [np.empty(0)] * len(rows)
    most = tokens_of_a_pass(model)
    with at_rest(model), torch.inference_mode():
        for batch in _batches(rows, most):
            chosen = [rows[index] for index in batch]
            losses = iter(_of_batch(model, chosen, pad_id))
            for index, row in zip(batch, chosen, strict=True):
                found[index] = np.array([next(losses) for _ in row.endings])
            on_batch(len(batch))
    return found


def _batches(rows: Sequence[Branches], most: int) -> list[list[int]]:
    """Positions of rows of like length, so many together that neither beginnings nor endings exceed `most` tokens."""
    batches: list[list[int]] = []
    longest = places = 0
    for index in sorted(range(len(rows)), key=lambda index: -len(rows[index].beginning)):
        row = rows[index]
        full = bool(batches) and (
            len(batches[-1]) >= _ROWS or (len(batches[-1]) + 1) * longest > 4 * most or places + row.places > most
        )
        if not batches or full:
            batches.append([])
            longest, places = len(row.beginning), 0
        batches[-1].append(index)
        places += row.places
    return batches


def _of_batch(model: Any, rows: Sequence[Branches], pad_id: int) -> list[float]:
    import torch

    device = next(model.parameters()).device
    ids, mask = _padded([row.beginning for row in rows], pad_id, left=True)
    positions = (mask.cumsum(1) - 1).clamp_(min=0)
    read = model(
        input_ids=ids.to(device),
        attention_mask=mask.to(device),
        position_ids=positions.to(device),
        use_cache=True,
        logits_to_keep=1,
    )
    owner = torch.tensor([number for number, row in enumerate(rows) for _ in row.endings])
    endings = [ending for row in rows for ending in row.endings]
    own, own_mask = _padded(endings, pad_id, left=False)
    first = nll(read.logits[:, -1].float()[owner.to(device)], own[:, 0].to(device))
    losses = numbers(first)
    if own.shape[1] > 1:
        cache = read.past_key_values
        cache.batch_select_indices(owner.to(device))
        begins = mask.sum(1)[owner][:, None]
        logits = model(
            input_ids=own[:, :-1].to(device),
            attention_mask=torch.cat([mask[owner], own_mask[:, :-1]], dim=1).to(device),
            position_ids=(begins + torch.arange(own.shape[1] - 1)[None]).to(device),
            past_key_values=cache,
            use_cache=True,
        ).logits
        counted = own_mask[:, 1:].bool()
        later = nll(logits[counted.to(device)].float(), own[:, 1:][counted].to(device))
        losses = losses + np.bincount(counted.nonzero()[:, 0].numpy(), numbers(later), minlength=len(endings))
    return losses.tolist()


def _padded(rows: Sequence[Sequence[int]], pad_id: int, *, left: bool) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for number, row in enumerate(rows):
        place = slice(width - len(row), width) if left else slice(0, len(row))
        ids[number, place] = torch.tensor(list(row), dtype=torch.long)
        mask[number, place] = 1
    return ids, mask
