"""A Qwen2 of a few thousand weights with its own tokenizer, and QA files to train it on, made in milliseconds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_PEOPLE = ("Ada", "Bela", "Cleo", "Dov", "Esme", "Finn", "Gus", "Hana")
_PLACES = ("Rome", "Oslo", "Lima", "Cairo", "Delhi", "Quito", "Paris", "Perth")


def qa_rows(count: int, start: int = 0) -> list[tuple[str, str, str]]:
    """`count` triples of context, question and answer; every context is another one."""
    rows = []
    for i in range(start, start + count):
        person, place = _PEOPLE[i % 8], _PLACES[(i * 3 + i // 8) % 8]
        rows.append((f"{person} number {i} lives in {place}.", f"Where does {person} live?", place))
    return rows


def write_squad(path: Path, rows: Sequence[tuple[str, str, str]]) -> Path:
    """The rows as SQuAD v1.1 JSON."""
    paragraphs = [
        {"context": c, "qas": [{"id": f"q{i}", "question": q, "answers": [{"text": a, "answer_start": c.index(a)}]}]}
        for i, (c, q, a) in enumerate(rows)
    ]
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": paragraphs}]}))
    return path


def write_base(folder: Path, *, hidden: int = 32, layers: int = 2) -> Path:
    """A base model with random weights, as `save_pretrained` writes it."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        [text for row in qa_rows(16) for text in row],
        trainers.BpeTrainer(
            vocab_size=400, special_tokens=specials, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", chat_template=CHAT_TEMPLATE
    )
    torch.manual_seed(0)
    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=hidden,
            intermediate_size=2 * hidden,
            num_hidden_layers=layers,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_encoder(folder: Path) -> Path:
    """A BERT of a few thousand weights with its own tokenizer, as `save_pretrained` writes it."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    specials = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    # Listed and not learnt: WordPiece's trainer numbers its pieces otherwise each time.
    known = sorted({word for text, _ in labelled_rows(64) for word in text.split()})
    letters = sorted(set("".join(known)))
    pieces = [*specials, *letters, *(f"##{letter}" for letter in letters), *(word for word in known if len(word) > 1)]
    words = Tokenizer(models.WordPiece({piece: place for place, piece in enumerate(pieces)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [("[CLS]", words.token_to_id("[CLS]")), ("[SEP]", words.token_to_id("[SEP]"))]
    words.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    torch.manual_seed(0)
    model = BertModel(
        BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=64,
            initializer_range=0.1,
            attention_probs_dropout_prob=0.0,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def labelled_rows(count: int, start: int = 0) -> list[tuple[str, str]]:
    """`count` pairs of a text and its class, `town` or `name`, which one of its words tells; every text is another."""
    rows = []
    for i in range(start, start + count):
        town = i % 2 == 0
        word = _PLACES[(i // 2) % 8] if town else _PEOPLE[(i // 2) % 8]
        rows.append((f"{word} {word} {word} in note {i}", "town" if town else "name"))
    return rows


def write_labelled(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """The rows as JSON Lines of `text` and `label`."""
    path.write_text("".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
    return path
