"""Answers for many prompts at once: greedy, or drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from predictor.models.render import turn_end
from predictor.models.room import spare
from predictor.models.sampling import RowSampler, Sampling
from predictor.models.shape import key_width, mlp_width
from predictor.probe.batching import padded

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BATCH_TOKENS = 16_384
"""Prompt tokens of one batch at most: large enough to fill two cores or a GPU."""
BATCH_ROWS = 128
_BLOCK = 32 * 1024 * 1024
"""Bytes of a tensor from which glibc maps each one anew, and the system clears its pages: no larger ones on a CPU."""
_SHARE = 0.5
"""Of the memory that is free, what a batch may take."""
_STAGE = 8
"""New tokens after which the rows that have ended leave their batch."""


def generate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    *,
    max_new_tokens: int,
    batch_rows: int = BATCH_ROWS,
    on_batch: Callable[[int], None] = lambda rows: None,
    on_answers: Callable[[Sequence[int], Sequence[list[int]]], None] = lambda places, answers: None,
    sampling: Sampling | None = None,
    numbers: Sequence[int] | None = None,
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
        on_answers: told the places and answers of each finished batch.
        sampling: draws the answers instead; each prompt's draws follow from its number.
        numbers: of the prompts; None counts them.
    """
    ends = end_tokens(model, tokenizer)
    pad = int(tokenizer.pad_token_id or 0)
    answers: list[list[int]] = [[] for _ in prompts]
    free = spare(model.device.type)
    training = model.training
    model.eval()
    try:
        for batch in _batches(prompts, batch_rows, lambda longest: _most_rows(model, longest, max_new_tokens, free)):
            chosen = [prompts[i] for i in batch]
            ids, mask = padded(chosen, pad, model.device, left=True)
            sampler = None
            if sampling is not None and not sampling.greedy:
                sampler = RowSampler(sampling, [numbers[i] if numbers else i for i in batch], chosen, ids.shape[1])
            rows = _continue(model, ids, mask, max_new_tokens, ends, pad, sampler)
            for i, row in zip(batch, rows, strict=True):
                answers[i] = row
            on_answers(batch, rows)
            on_batch(len(batch))
    finally:
        model.train(training)
    return answers


def _continue(
    model: PreTrainedModel,
    ids: torch.Tensor,
    mask: torch.Tensor,
    most: int,
    ends: set[int],
    pad: int,
    sampler: RowSampler | None = None,
) -> list[list[int]]:
    """The continuation of each row of a batch, up to its end token.

    Rows that have ended leave the batch at the end of a stage: a few long answers would otherwise cost as much for each
    of their tokens as the whole batch does.
    """
    import torch
    from transformers import LogitsProcessorList

    found: list[list[int]] = [[] for _ in ids]
    alive = list(range(len(ids)))
    cache = None
    drawing = {"logits_processor": LogitsProcessorList([sampler])} if sampler else {}
    with torch.inference_mode():
        for begin in range(0, most, _STAGE):
            output = model.generate(  # type: ignore[operator]
                input_ids=ids,
                attention_mask=mask,
                past_key_values=cache,
                generation_config=_greedy(min(_STAGE, most - begin), ends, pad),
                **drawing,
            )
            new = output.sequences[:, ids.shape[1] :]
            going_on = []
            for place, row in enumerate(new.tolist()):
                answer = _until(row, ends)
                found[alive[place]] += answer
                if len(answer) == len(row):
                    going_on.append(place)
            if not going_on:
                break
            cache = output.past_key_values
            ids, mask = output.sequences, torch.cat([mask, torch.ones_like(new)], dim=1)
            if len(going_on) < len(alive):
                kept = torch.tensor(going_on, device=ids.device)
                cache.batch_select_indices(kept)
                ids, mask = ids[kept], mask[kept]
                alive = [alive[place] for place in going_on]
                if sampler is not None:
                    sampler.keep(going_on)
    return found


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


def _greedy(max_new_tokens: int, ends: set[int], pad: int):  # noqa: ANN202 - a transformers type
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        max_new_tokens=max_new_tokens,
        eos_token_id=sorted(ends) or None,
        pad_token_id=pad,
        use_cache=True,
        return_dict_in_generate=True,
    )


def _batches(prompts: Sequence[list[int]], batch_rows: int, most_rows: Callable[[int], int]) -> list[list[int]]:
    """Indices of prompts in batches of like length, longest first, so that memory runs out at once or never.

    Args:
        most_rows: from the tokens of the longest prompt to how many of them may share a batch.
    """
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    batches: list[list[int]] = []
    while order:
        rows = max(1, min(batch_rows, most_rows(len(prompts[order[0]]))))
        batches.append(order[:rows])
        order = order[rows:]
    return batches


def _most_rows(model: PreTrainedModel, longest: int, new: int, free: int) -> int:
    """Rows of `longest` tokens that may share a batch: as fast as it gets, and within what is free (bytes)."""
    config, width = model.config.get_text_config(), model.dtype.itemsize
    kept = 2 * config.num_hidden_layers * key_width(config)
    mlp = mlp_width(config)
    tokens = BATCH_TOKENS
    if model.device.type == "cpu":
        tokens = min(tokens, _BLOCK // (width * mlp))
    # Keys and values of each token, and a copy of them when rows leave; one layer's tensors and the mask in the first
    # pass; and the scores of one token, three times.
    passing = 4 * mlp + 12 * config.hidden_size + 2 * longest
    row = width * (2 * kept * (longest + new) + passing * longest) + 3 * 4 * config.vocab_size
    return min(tokens // max(1, longest), int(_SHARE * free // row))


def _until(row: list[int], ends: set[int]) -> list[int]:
    for position, token in enumerate(row):
        if token in ends:
            return row[:position]
    return row
