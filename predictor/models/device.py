"""What the machine offers to a fine-tune."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass

from predictor.errors import TrainingError
from predictor.models.crew import current


@dataclass(frozen=True)
class Device:
    """One accelerator, or the CPU.

    Attributes:
        kind: `cpu` or `cuda`.
        bf16: weights and all arithmetic are bfloat16. On a CPU single tokens would be slower, so False there.
        flash_attention: the flash-attn package is installed and usable.
        memory_bytes: memory of the accelerator in all; 0 for the CPU, whose free memory changes: see
            :func:`~predictor.models.room.room`.
        bf16_products: a CPU multiplies wide matrices in bfloat16: see :mod:`predictor.models.products`.
    """

    kind: str
    bf16: bool
    flash_attention: bool
    memory_bytes: int
    bf16_products: bool = False

    @property
    def dtype_name(self) -> str:
        """The type of the frozen base weights."""
        return "bfloat16" if self.bf16 else "float32"

    @property
    def attention(self) -> str:
        """The implementation of attention, by the name that transformers gives it."""
        return "flash_attention_2" if self.flash_attention else "sdpa"


def detect() -> Device:
    """The device that a fine-tune of this process would use.

    Raises:
        TrainingError: several GPUs are visible, or this process is one of several that has not joined the others.
        ConfigError: an environment variable asks for what is not known.
    """
    import torch

    from predictor.models.products import native

    if current().size == 1:
        refuse_launcher()
    if not torch.cuda.is_available():
        return Device("cpu", bf16=False, flash_attention=False, memory_bytes=0, bf16_products=native())
    visible = torch.cuda.device_count()
    if visible > 1 and current().size == 1:
        raise TrainingError(
            f"{visible} GPUs are visible to one process",
            where="CUDA_VISIBLE_DEVICES",
            rule="one process trains on one GPU; SFTTrainer refuses DataParallel",
            fix="set CUDA_VISIBLE_DEVICES=0; -e sweep -P workers=N trains N fine-tunes at once, each on its own GPU; "
            "accelerate launch --num_processes N -m entrypoints.finetune trains one on all",
        )
    bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    flash = bf16 and importlib.util.find_spec("flash_attn") is not None
    return Device("cuda", bf16, flash, torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)


def refuse_launcher() -> None:
    """Raise TrainingError when a launcher has started this process as one of several of what only one can do.

    Each of them would do the whole and write a run of its own.
    """
    processes = os.environ.get("WORLD_SIZE", "1")
    if processes.strip() not in ("", "0", "1"):
        raise TrainingError(
            f"a launcher has started {processes} processes of it",
            where="WORLD_SIZE",
            rule="a launcher starts `entrypoints.finetune` alone; everything else is done by one process on one device",
            fix="start the entry point without `accelerate launch` or `torchrun`; -e sweep -P workers=N trains N "
            "fine-tunes at once, each on its own GPU",
        )
