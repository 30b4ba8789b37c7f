"""Peak resident memory of real fine-tunes beside their estimate, each in a process forked for it: prints JSON lines.

`python -m tests.finetune.measured_memory FOLDER [SHAPES]`, FOLDER of a base model whose tokenizer is used.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys

from predictor import environment

environment.prepare()
environment.quiet_libraries()

import peft  # noqa: E402, F401
import torch  # noqa: E402
import transformers  # noqa: E402
import trl.trainer.sft_trainer  # noqa: E402, F401

from predictor.finetune.memory import estimate_memory  # noqa: E402
from predictor.finetune.plan import plan_training  # noqa: E402
from predictor.finetune.settings import Hyperparameters, hyperparameters  # noqa: E402
from predictor.finetune.train import train  # noqa: E402
from predictor.models.base_model import BaseModel, load_tokenizer  # noqa: E402
from predictor.models.device import Device  # noqa: E402
from predictor.models.render import RenderedRow  # noqa: E402
from tests.memory import growth  # noqa: E402

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
# kind, layers, hidden, MLP, heads, vocabulary, rows, tokens of a row, learnt ones of these
SHAPES = {
    "deep and narrow": ("Llama", 24, 256, 512, 4, 1000, 8, 200, 20),
    "wide and shallow": ("Llama", 2, 1536, 4096, 12, 2000, 6, 200, 20),
    "tiny": ("Llama", 1, 64, 64, 4, 1000, 1, 8, 2),
    "a large vocabulary": ("Qwen2", 4, 384, 1024, 6, 49_152, 8, 200, 40),
}
WAYS = (("lora", False), ("full", False), ("lora", True))
"""Method, and whether activations are recomputed."""


def config_of(shape: str) -> transformers.PretrainedConfig:
    kind, layers, hidden, width, heads, vocabulary, *_ = SHAPES[shape]
    return getattr(transformers, f"{kind}Config")(
        num_hidden_layers=layers, hidden_size=hidden, intermediate_size=width, num_attention_heads=heads,
        num_key_value_heads=heads // 2, vocab_size=vocabulary, tie_word_embeddings=True, max_position_embeddings=512,
    )  # fmt: skip


def fine_tune(
    shape: str, hp: Hyperparameters, folder: str, *, rows: int, tokens: int, learnt: int, checkpointing: bool = False
) -> None:
    """As many optimizer steps as Hj say."""
    config = config_of(shape)
    model = getattr(transformers, f"{SHAPES[shape][0]}ForCausalLM")(config).eval()
    base = BaseModel("", model, load_tokenizer(folder), "", "", CPU)
    ids = torch.randint(3, 900, (rows, tokens)).tolist()
    rendered = [RenderedRow(str(i), row[:-learnt], row[-learnt:]) for i, row in enumerate(ids)]
    plan = dataclasses.replace(plan_training(hp.training, rows, CPU), checkpointing=checkpointing)
    train(base, rendered, hp, plan, seed=1, on_log=lambda step, values: None)


def measure(shape: str, method: str, checkpointing: bool, folder: str) -> dict[str, object]:
    rows, tokens, learnt = SHAPES[shape][-3:]
    # The moments of the first step weigh in the second where all weights have them.
    steps = 2 if method == "full" else 1
    hp = hyperparameters(method=method, batch_size=rows, max_steps=steps, learning_rate=1e-4)
    fine_tune("tiny", hp, folder, rows=1, tokens=8, learnt=2)  # what any fine-tune takes once
    sizes = {"rows": rows, "tokens": tokens, "learnt": learnt, "checkpointing": checkpointing}
    grown = growth(lambda: fine_tune(shape, hp, folder, **sizes)) / 1e6
    tokens, learnt = rows * tokens, rows * learnt
    estimate = estimate_memory(
        config_of(shape), hp, tokens=tokens, learnt=learnt, dtype_bytes=4, checkpointing=checkpointing, cpu=True
    )
    found = {"shape": shape, "method": method, "checkpointing": checkpointing}
    return found | {"measured_mb": grown, "estimated_mb": estimate.total_mb}


def main(folder: str, *shapes: str) -> None:
    for shape in shapes or SHAPES.keys() - {"tiny"}:
        # Recomputing frees and takes so many blocks that it is slow to watch: one shape stands for all.
        ways = WAYS if shape == "deep and narrow" else WAYS[:2]
        for method, checkpointing in ways:
            child = os.fork()  # nothing was computed yet, so no threads are torn
            if child == 0:
                print(json.dumps(measure(shape, method, checkpointing, folder)), flush=True)
                os._exit(0)
            os.waitpid(child, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
