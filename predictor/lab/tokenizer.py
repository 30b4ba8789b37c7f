"""The lab's own byte-level BPE tokenizer.

A word has the same tokens wherever it stands: white space is dropped before the merges and every word starts with the
mark `Ġ`. So an answer at the start of the assistant's turn is spelt as it is in the passage, and copying is one step.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Final

from predictor.lab.names import draw_person
from predictor.lab.relations import OPEN_RELATIONS, RELATIONS
from predictor.lab.values import DRAW

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT: Final = "<|endoftext|>"
IM_START: Final = "<|im_start|>"
IM_END: Final = "<|im_end|>"

_TEMPLATE_WEIGHT: Final = 60
"""How often a template is repeated, so that its words become single tokens before names do."""

CHAT_TEMPLATE: Final = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def train_tokenizer(vocabulary: int, names: int, seed: int) -> Tokenizer:
    """A tokenizer of `vocabulary` tokens, everyday words whole and made-up ones in pieces.

    Args:
        names: how many made-up names weigh against the templates.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\n"), "isolated"),
            pre_tokenizers.Split(Regex(r"[ \t]+"), "removed"),
            pre_tokenizers.Split(Regex(r"[.,:;?!]+$"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False),
        ]
    )
    left = [decoders.Replace(f" {mark}", mark) for mark in (".", ",", ":", ";", "?", "!", "\n")]
    right = [decoders.Replace(f"{mark} ", mark) for mark in ("\n", IM_START)]
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), *left, *right, decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT, IM_START, IM_END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_texts(names, seed), trainer)
    return tokenizer


def _texts(names: int, seed: int) -> Iterator[str]:
    """Every template, and values and names out of the pretraining pool."""
    rng = Random(f"tokenizer-{seed}")
    for relation in (*RELATIONS, *OPEN_RELATIONS["title"]):
        for template in (*relation.statements, *relation.questions, relation.sentence):
            for _ in range(_TEMPLATE_WEIGHT):
                yield template.replace("{x}", "").replace("{v}", "")
    yield from ["user\nContext:\nQuestion: assistant\nThe text says it is"] * _TEMPLATE_WEIGHT
    for _ in range(names // 2):
        yield draw_person(rng, "pretrain")
    for draw in DRAW.values():
        for _ in range(names // len(DRAW)):
            yield draw(rng, "pretrain")


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json`, so that `AutoTokenizer.from_pretrained(folder)` works."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None,
        "eos_token": IM_END,
        "pad_token": END_OF_TEXT,
        "unk_token": None,
        "additional_special_tokens": [IM_START, IM_END],
        "clean_up_tokenization_spaces": False,
        "model_max_length": 1024,
        "padding_side": "left",
        "chat_template": CHAT_TEMPLATE,
    }
    text = json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / "tokenizer_config.json").write_text(text + "\n", encoding="utf-8")
