"""Sequences of tokens as the batches of a forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

BATCH_TOKENS = 4096
"""Tokens of one forward pass at most, padding included."""
_SCORES = 64_000_000
"""Numbers that a model may say of the tokens of one pass: 256 MB of them in float32."""


def tokens_of_a_pass(model: Any) -> int:
    """Tokens of one forward pass that scores all of them: fewer, the larger the vocabulary. More would save no time."""
    vocabulary = int(model.config.get_text_config().vocab_size)
    return max(1, min(BATCH_TOKENS, _SCORES // vocabulary))


def batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Indices of sequences of similar length, at most `batch_tokens` with padding; those under two tokens are left."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda index: -lengths[index]):
        if lengths[index] < 2:
            continue
        if batch and (len(batch) + 1) * lengths[batch[0]] > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def padded(
    rows: Sequence[Sequence[int]], pad_id: int, device: Any, *, left: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, padded on the right or left, shape (rows, longest row)."""
    import torch

    width = max(map(len, rows))
    ids = torch.full((len(rows), width), pad_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        filled = slice(width - len(row), width) if left else slice(len(row))
        ids[place, filled] = torch.tensor(row, dtype=torch.long)
        mask[place, filled] = 1
    return ids.to(device), mask.to(device)


def pad_id_of(tokenizer: Any) -> int:
    """Padding is masked, so any token will do where the tokenizer names none."""
    return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
