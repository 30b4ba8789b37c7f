"""What the machine offers to a fine-tune."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from predictor.errors import TrainingError


@dataclass(frozen=True)
class Device:
    """One accelerator, or the CPU.

    Attributes:
        kind: `cpu` or `cuda`.
        bf16: bfloat16 arithmetic is native. On a CPU it is emulated or slower, so False there.
        flash_attention: the flash-attn package is installed and usable.
        memory_bytes: memory of the accelerator in all; 0 for the CPU, where it is not checked.
    """

    kind: str
    bf16: bool
    flash_attention: bool
    memory_bytes: int

    @property
    def dtype_name(self) -> str:
        """The type of the frozen base weights."""
        return "bfloat16" if self.bf16 else "float32"

    @property
    def attention(self) -> str:
        return "flash_attention_2" if self.flash_attention else "sdpa"


def detect() -> Device:
    """The device that a fine-tune of this process would use.

    Raises:
        TrainingError: several GPUs are visible but no launcher gave this process one of them.
    """
    import os

    import torch

    if not torch.cuda.is_available():
        return Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
    visible = torch.cuda.device_count()
    if visible > 1 and "LOCAL_RANK" not in os.environ:
        raise TrainingError(
            f"{visible} GPUs are visible to one process",
            where="CUDA_VISIBLE_DEVICES",
            rule="one process trains on one GPU; SFTTrainer refuses DataParallel",
            fix="set CUDA_VISIBLE_DEVICES=0, or start the entry point with `accelerate launch`",
        )
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    flash = bf16 and importlib.util.find_spec("flash_attn") is not None
    return Device("cuda", bf16, flash, torch.cuda.get_device_properties(0).total_memory)
