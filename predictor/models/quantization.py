"""Base models whose matrices are kept in 4 or 8 bits while adapters learn beside them; no torch at the top.

Dettmers et al. 2023, "QLoRA: Efficient Finetuning of Quantized LLMs" (NF4, double quantisation); Dettmers et al. 2022,
"LLM.int8()". The arithmetic is that of the package bitsandbytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from predictor.errors import ModelError

if TYPE_CHECKING:
    from predictor.models.device import Device

KINDS: Final = ("nf4", "fp4", "int8")
_BLOCK: Final = 64
"""Weights that share a scale in 4 bits."""
_SCALES: Final = 256
"""Scales that share a scale of their own, with double quantisation."""


@dataclass(frozen=True)
class Quantization:
    """How the linear modules of a base model are kept. Embeddings, norms and the head stay in the device's type.

    Attributes:
        kind: one of :data:`KINDS`.
        double: the scales of 4-bit blocks are kept in 8 bits too; of no meaning for int8.
    """

    kind: str
    double: bool = True

    def __str__(self) -> str:
        return f"{self.kind}, double quantisation" if self.double and self.kind != "int8" else self.kind

    @property
    def weight_bytes(self) -> float:
        """Bytes that one weight takes, its share of the scales included."""
        if self.kind == "int8":
            return 1.0
        scales = 1 / _BLOCK + 4 / (_BLOCK * _SCALES) if self.double else 4 / _BLOCK
        return 0.5 + scales

    def require(self, device: Device) -> None:
        """Raise ModelError unless bitsandbytes is there and its kernels work on the device."""
        try:
            import bitsandbytes
        except ModuleNotFoundError as error:
            raise ModelError(
                f"quantization={self.kind} needs the package bitsandbytes, which is not installed",
                where="-P method=qlora",
                rule="a base model in 4 or 8 bits is read and computed by bitsandbytes",
                fix="pip install bitsandbytes==0.50.2, or -P method=lora",
            ) from error
        import torch

        matrix = torch.zeros(_BLOCK, _BLOCK, device=device.kind)
        try:
            if self.kind == "int8":
                bitsandbytes.functional.int8_vectorwise_quant(matrix.to(torch.float16))
            else:
                packed, state = bitsandbytes.functional.quantize_4bit(matrix, quant_type=self.kind)
                bitsandbytes.functional.dequantize_4bit(packed, state)
        except Exception as error:  # a native library that is not there, a card that is too old: each has its family
            raise ModelError(
                f"bitsandbytes cannot serve quantization={self.kind} here: {_first_line(error)}",
                where=f"device {device.kind}",
                rule="its native library must know this processor or card",
                fix="`python -m bitsandbytes` says what it misses; or -P method=lora",
            ) from error

    def loading(self, device: Device) -> dict[str, Any]:
        """Keyword arguments by which transformers loads a model in this form."""
        import torch
        from transformers import BitsAndBytesConfig

        if self.kind == "int8":
            config = BitsAndBytesConfig(load_in_8bit=True)
        else:
            config = BitsAndBytesConfig(
                load_in_4bit=True,
                bnb_4bit_quant_type=self.kind,
                bnb_4bit_use_double_quant=self.double,
                bnb_4bit_compute_dtype=getattr(torch, device.dtype_name),
            )
        return {"quantization_config": config, "device_map": {"": device.kind}}

    def settle(self, model: Any, device: Device) -> None:
        """Let a model that was loaded so compute the same in training and at rest, whatever the processor."""
        if device.kind != "cpu":
            return
        for tensor in (*model.parameters(), *model.buffers()):
            # What is not quantised is a view into the file, all of whose pages would stay the process's as long.
            if tensor.is_floating_point():
                tensor.data = tensor.data.clone()
        for module in model.modules():
            if hasattr(module, "support_avx512bf16_for_cpu"):
                # On some processors a 4-bit layer at rest would repack its weights in place and compute in bfloat16,
                # and in the training that follows pass on no gradient.
                module.support_avx512bf16_for_cpu = False
            elif type(module).__name__ == "Linear8bitLt":
                # In training a CPU multiplies by the weights that the 8 bits stand for; at rest it would round the
                # inputs too, by scales that depend on the other rows of a batch. It stays in the one mode.
                module.train(True)
                module.train = _in_its_mode(module)


def dequantized(model: Any) -> Any:
    """The model with each weight as the number that its bits stand for, in float32; it is no quantised model any more.

    Changes the model that is given, in place.
    """
    import torch

    model = model.dequantize(torch.float32)
    return model.to(torch.float32)


def _in_its_mode(module: Any) -> Any:
    def train(mode: bool = True) -> Any:
        return module

    return train


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
