"""LoRA by which a classifier says its label as an answer, instead of growing a head."""

from __future__ import annotations

from predictor.finetune.methods.base import METHODS
from predictor.finetune.methods.lora import Lora


class Sft(Lora):
    """LoRA on a model that writes; for tasks whose answers are written anyway it is `lora` under another name."""

    writes = True


METHODS.add("sft", Sft())
