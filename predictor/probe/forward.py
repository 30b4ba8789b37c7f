"""The third tier: one forward pass of the untouched base model over a sample of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from predictor.errors import DataError, ModelError
from predictor.probe.batching import pad_id_of
from predictor.probe.feature import measure
from predictor.probe.losses import UNMARKED, Losses, Marks
from predictor.probe.sample import sample
from predictor.probe.scoring import RenderedRow, Sequel, answer_sequels, sequel_losses

ROWS = 64
"""Rows that go through the base model at most."""


def forward_features(
    model: Any,
    tokenizer: Any,
    rows: Sequence[RenderedRow],
    *,
    empty_prompt_ids: Sequence[int] | None = None,
    most: int = ROWS,
    dev: Marks | None = None,
) -> dict[str, float]:
    """The features of tier `forward` by name, except the zero-shot score, which needs generation.

    Leaves the model's weights, mode and random numbers as they were. LoRA matrices that have not been trained yet do
    not change the base model, so a model with a fresh adapter may be passed.

    Args:
        model: a causal language model of transformers, or a PEFT model around one.
        tokenizer: its tokenizer; gives the padding token and the empty prompt.
        rows: the training rows as token ids; those without a completion are left out.
        empty_prompt_ids: the prompt that says nothing; None renders an empty user turn with the chat template.
        most: rows that are read at most, the same ones every time.
        dev: of the same model on the development slice, by :func:`answer_marks`; None without a slice.

    Raises:
        DataError: no row has a completion. ModelError: the tokenizer has no chat template and no empty prompt is given.
    """
    usable = sample([row for row in rows if len(row.completion_ids)], most)
    if not usable:
        raise DataError(
            "no row has a completion to measure the base model on",
            rule="at least one row with a non-empty answer",
            fix="check the dataset's report",
        )
    empty = list(_empty_prompt(tokenizer) if empty_prompt_ids is None else empty_prompt_ids)
    full = [[*row.prompt_ids, *row.completion_ids] for row in usable]
    turns = [[*(row.prompt_ids[slice(*span)] for span in row.earlier), row.completion_ids] for row in usable]
    alone = [[*empty, *turn] for said in turns for turn in said]
    scored = token_losses(model, full + alone, pad_id=pad_id_of(tokenizer))
    answers, hits, texts, unconditional = [], [], [], []
    of_turns = iter(scored[len(full) :])
    for row, said, (nll, hit) in zip(usable, turns, scored[: len(full)], strict=True):
        # The first token of a sequence has no predecessor and no loss: with an empty prompt of no tokens at all, the
        # answer's first token is not counted, and a row that has nothing else is left out.
        nll_alone = np.concatenate([next(of_turns)[0][-len(turn) :] for turn in said])
        if min(len(nll), len(nll_alone)) == 0:
            continue
        answers.append(_of_turns(row, nll))
        hits.append(_of_turns(row, hit))
        texts.append(nll)
        unconditional.append(nll_alone)
    if not answers:
        raise DataError("no row has an answer token after another token", rule="prompts of at least one token")
    return measure("forward", Losses(answers, hits, texts, unconditional, dev or UNMARKED))


def _of_turns(row: RenderedRow, values: np.ndarray) -> np.ndarray:
    """Of the values of all tokens but the first of a row those of the tokens that are learnt."""
    spans = [values[max(0, begin - 1) : end - 1] for begin, end in row.earlier]
    return np.concatenate([*spans, values[-len(row.completion_ids) :]])


def answer_marks(model: Any, tokenizer: Any, rows: Sequence[RenderedRow], batch_tokens: int | None = None) -> Marks:
    """How well a model says the right answers of `rows` when each token is put before it; NaN of none."""
    scored = sequel_losses(model, answer_sequels(rows), pad_id=pad_id_of(tokenizer), batch_tokens=batch_tokens)
    return Marks.of([nll for nll, _ in scored], [hit for _, hit in scored])


def token_losses(
    model: Any, sequences: Sequence[Sequence[int]], *, pad_id: int, batch_tokens: int | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each sequence the loss of every token but the first, and whether it was the model's first choice.

    Returns:
        for each sequence, in order, (losses in nats, hits), both of shape (tokens − 1,).
    """
    whole = {i: Sequel(ids, len(ids) - 1) for i, ids in enumerate(sequences) if len(ids) > 1}
    scored = sequel_losses(model, list(whole.values()), pad_id=pad_id, batch_tokens=batch_tokens)
    found = dict(zip(whole, scored, strict=True))
    return [found.get(i, (np.empty(0), np.empty(0, dtype=bool))) for i in range(len(sequences))]


def _empty_prompt(tokenizer: Any) -> list[int]:
    if not getattr(tokenizer, "chat_template", None):
        raise ModelError(
            "the tokenizer has no chat template, so there is no empty prompt to compare with",
            rule="a base model for chat, or empty_prompt_ids",
            fix="use an instruct model",
        )
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": ""}], add_generation_prompt=True, tokenize=True, return_dict=False
    )
