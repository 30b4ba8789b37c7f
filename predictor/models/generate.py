"""Greedy answers for many prompts at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from predictor.models.render import turn_end

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BATCH_TOKENS = 16_384
"""Prompt tokens of one batch: large enough to fill two cores or a GPU, small enough for the key-value cache."""
BATCH_ROWS = 128


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    *,
    max_new_tokens: int,
    batch_rows: int = BATCH_ROWS,
    on_batch: Callable[[int], None] = lambda rows: None,
) -> list[list[int]]:
    """Greedy continuations, without the end-of-turn token, in the order of the prompts.

    An answer ends at any token by which the model's own settings, its tokenizer or its chat template end one.

    Prompts of like length share a batch, padded on the left: the answers are those of batch size 1, several times
    sooner. The model's other generation settings (Qwen's sample and penalise repetition) are set aside, because a score
    must not depend on chance.

    Args:
        prompts: token ids; none may be empty.
        max_new_tokens: a longer answer is cut.
        on_batch: told the number of rows of each finished batch.
    """
    import torch

    ends = end_tokens(model, tokenizer)
    settings = _greedy(tokenizer, max_new_tokens, ends)
    answers: list[list[int]] = [[] for _ in prompts]
    training = model.training
    model.eval()
    try:
        for batch in _batches(prompts, batch_rows):
            ids, mask = _pad_left([prompts[i] for i in batch], int(tokenizer.pad_token_id or 0))
            with torch.inference_mode():
                output = model.generate(  # type: ignore[operator]
                    input_ids=ids.to(model.device), attention_mask=mask.to(model.device), generation_config=settings
                )
            for i, row in zip(batch, output[:, ids.shape[1] :].tolist(), strict=True):
                answers[i] = _until(row, ends)
            on_batch(len(batch))
    finally:
        model.train(training)
    return answers


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokens that end an answer: of the model's generation settings, the tokenizer's, the chat template's.

    Which of them a model says depends on its pretraining and on what it was fine-tuned on: Gemma's tokenizer ends a
    text with `<eos>`, but its template a turn with `<end_of_turn>`.
    """
    own = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    named = [*(own if isinstance(own, (list, tuple)) else [own]), tokenizer.eos_token_id, turn_end(tokenizer)]
    ends = {int(token) for token in named if token is not None}
    conventional = tokenizer.convert_tokens_to_ids("<|im_end|>")
    if isinstance(conventional, int) and conventional != tokenizer.unk_token_id:
        ends.add(conventional)
    return ends


def _greedy(tokenizer: PreTrainedTokenizerBase, max_new_tokens: int, ends: set[int]):  # noqa: ANN202 - a transformers type
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(ends) or None,
        pad_token_id=tokenizer.pad_token_id,
        use_cache=True,
    )


def _batches(prompts: Sequence[list[int]], batch_rows: int) -> list[list[int]]:
    """Indices of prompts in batches of like length, longest first, so that memory runs out at once or never."""
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    batches: list[list[int]] = []
    while order:
        rows = max(1, min(batch_rows, BATCH_TOKENS // max(1, len(prompts[order[0]]))))
        batches.append(order[:rows])
        order = order[rows:]
    return batches


def _pad_left(rows: Sequence[list[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    import torch

    width = max(len(row) for row in rows)
    ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    return ids, mask


def _until(row: list[int], ends: set[int]) -> list[int]:
    for position, token in enumerate(row):
        if token in ends:
            return row[:position]
    return row
