"""What the base model is taught from: passages with several chats each, and the ladder of levels."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Final

import numpy as np

from predictor.lab.passages import Fact, Passage, draw_passage
from predictor.lab.relations import OPEN_RELATIONS, RELATIONS
from predictor.lab.tokenizer import END_OF_TEXT, IM_END, IM_START

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_MET: Final = tuple(relation for relation in RELATIONS if relation.met)
_UNASKED_SHARE: Final = 0.2
"""Share of passages that may state relations that are never asked for. In all passages, they would be learnt as answers
that are always wrong."""


_TERSE_SHARE: Final = 0.85
_BARE_SHARE: Final = 0.3
"""Shares of bare values in the answers about terse and other relations: the model mostly answers the others in
sentences, and has still learnt to find a value without the run-up of a sentence."""
_QUOTING_SHARE: Final = 0.65
"""Share of the sentences that begin with `The text says`; the others repeat the statement."""


@dataclass(frozen=True)
class Level:
    """One rung of the ladder: passages of `people` × `facts_each`, with `chats` questions on each passage."""

    people: int
    facts_each: int
    chats: int

    @property
    def name(self) -> str:
        """The level in short: `2x4` is two people with four facts each."""
        return f"{self.people}x{self.facts_each}"


LADDER: Final = (
    Level(1, 1, 2),
    Level(1, 2, 3),
    Level(1, 3, 4),
    Level(2, 2, 5),
    Level(2, 3, 8),
    Level(2, 4, 8),
    Level(3, 3, 9),
)


@dataclass(frozen=True)
class Batch:
    """Passages of one level as padded arrays of shape (passages, passage_width + chats × chat_width).

    A row holds a passage and then several chats about it, each padded on the right. Each chat sees the passage and
    itself only, at the positions that it would have alone, so that one row teaches what so many prompts would.

    Attributes:
        ids: token ids.
        positions: position of each token in its own chat.
        learn: 1 where the *next* token is learnt: in the assistant's turn, and where the token and the next one stand
            together further left already, so that copying is learnt; 2 where the next token belongs to the asked
            value and cannot be missed for the style alone.
        lengths: tokens of each passage, shape (passages,).
        passage_width, chats, chat_width: how a row divides.
        tokens: tokens without padding.
    """

    ids: np.ndarray
    positions: np.ndarray
    learn: np.ndarray
    lengths: np.ndarray
    passage_width: int
    chats: int
    chat_width: int
    tokens: int


def draw_batch(rng: Random, tokenizer: Tokenizer, level: Level, passages: int) -> Batch:
    """A batch drawn from the pretraining pool."""
    drawn = [draw_chats(rng, level) for _ in range(passages)]
    texts: list[str] = []
    for passage, chats in drawn:
        texts.append(f"{IM_START}user\nContext: {passage.text}")
        for question, parts in chats:
            texts += [f"\nQuestion: {question}{IM_END}\n{IM_START}assistant\n", *parts, IM_END]
    encoded = iter(encoding.ids for encoding in tokenizer.encode_batch(texts, add_special_tokens=False))
    rows = []
    for _ in drawn:
        prefix = next(encoded)
        rows.append((prefix, [_block(*(next(encoded) for _ in range(5))) for _ in range(level.chats)]))
    lengths = np.array([len(prefix) for prefix, _ in rows])
    wide = _round_up(lengths.max(), 8)
    high = _round_up(max(len(block[0]) for _, blocks in rows for block in blocks), 4)
    pad = tokenizer.token_to_id(END_OF_TEXT)
    ids = np.full((passages, wide + level.chats * high), pad, dtype=np.int64)
    learn = np.zeros_like(ids)
    positions = np.tile(np.concatenate([np.arange(wide), np.tile(np.arange(high), level.chats)]), (passages, 1))
    positions[:, wide:] += lengths[:, None]
    for index, (prefix, blocks) in enumerate(rows):
        ids[index, : len(prefix)] = prefix
        seen: set[tuple[int, int]] = set()
        learn[index, : len(prefix)] = _repeats(prefix, seen)
        for number, (block, marks) in enumerate(blocks):
            start = wide + number * high
            ids[index, start : start + len(block)] = block
            learn[index, start : start + len(block)] = np.maximum(marks, _repeats(block, set(seen)))
    tokens = int(lengths.sum()) + sum(len(block) for _, blocks in rows for block, _ in blocks)
    return Batch(ids, positions, learn, lengths, wide, level.chats, high, tokens)


def _repeats(ids: list[int], seen: set[tuple[int, int]]) -> list[int]:
    """1 at each token whose pair with the next one is in `seen` or stands further left; adds the pairs to `seen`."""
    marks = []
    for pair in pairwise(ids):
        marks.append(int(pair in seen))
        seen.add(pair)
    return [*marks, 0]


def _round_up(number: int, step: int) -> int:
    """Few different widths let the matrix library reuse its kernels."""
    return -(-int(number) // step) * step


def _block(
    question: list[int], before: list[int], value: list[int], after: list[int], end: list[int]
) -> tuple[list[int], list[int]]:
    """The token ids of a chat, and for each token what is learnt at it, the next token."""
    marks = [0] * (len(question) - 1) + [1] * len(before) + [2] * len(value) + [1] * len(after + end) + [0]
    if not before:
        marks[len(question) - 1] = 1  # which style comes is a matter of chance, not of reading
    return question + before + value + after + end, marks


def draw_chats(rng: Random, level: Level) -> tuple[Passage, list[tuple[str, tuple[str, str, str]]]]:
    """A passage and, for each chat, the question and the answer in three parts: before, value, after."""
    askable: list[Fact] = []
    while not askable:
        if rng.random() < _UNASKED_SHARE:
            stated = RELATIONS
        else:
            stated = (*_MET, *(rng.choice(relations) for relations in OPEN_RELATIONS.values()))
        passage = draw_passage(rng, stated, level.people, level.facts_each, "pretrain")
        askable = [fact for fact in passage.facts if fact.relation.met]
    rng.shuffle(askable)
    return passage, [_chat(rng, askable[index % len(askable)]) for index in range(level.chats)]


def _chat(rng: Random, fact: Fact) -> tuple[str, tuple[str, str, str]]:
    relation = fact.relation
    subject = fact.person if rng.random() < 0.5 else fact.person.split()[0]
    question = rng.choice(relation.questions[: relation.met]).replace("{x}", subject)
    return question, _answer(rng, fact, subject)


def _answer(rng: Random, fact: Fact, subject: str) -> tuple[str, str, str]:
    """The base model's style: bare values for the terse relations, whole sentences for the others, most of the time."""
    relation = fact.relation
    if rng.random() < (_TERSE_SHARE if relation.terse else _BARE_SHARE):
        return "", fact.value, ""
    if rng.random() < _QUOTING_SHARE:
        return "The text says", f" {fact.value}", "."
    before, after = relation.sentence.replace("{x}", subject).split("{v}")
    return before.rstrip(), f" {fact.value}", after


def choose_level(rng: Random, reached: int) -> Level:
    """The highest rung reached two times in three, otherwise one of those below it."""
    if reached == 0 or rng.random() < 2 / 3:
        return LADDER[reached]
    return LADDER[rng.randrange(reached)]
