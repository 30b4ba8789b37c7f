"""Products with a model's matrices in bfloat16 on processors that multiply it natively; the weights stay in float32.

Such a processor (AVX512-BF16, AMX) multiplies bfloat16 at twice the rate of float32 and more. Autocast would cast every
product, those of single tokens too, where the casts cost more than they save, and would hold a second copy of all
weights for the backward pass. Here only the body's wide matrices are meant, and only passes of many tokens.
"""

from __future__ import annotations

import os
from typing import Any, Final

import torch

from predictor.errors import ConfigError

PRODUCTS: Final = "PREDICTOR_CPU_PRODUCTS"
"""Environment variable: `float32` keeps all products on a CPU in float32, whatever the processor."""
_WEIGHTS: Final = 100_000
"""Of a matrix, from which the casts pay. Measured on one core: 384 × 384 gains 1.45 times at 64 tokens, 128 × 512
1.2 times; and the embedded lab, which is smaller, keeps to the bits that it has everywhere."""
_TOKENS: Final = 16
"""Tokens of a row from which the product is taken in bfloat16: it must not depend on what else is in the batch."""


def native() -> bool:
    """Whether this processor multiplies bfloat16 natively, and nobody has forbidden it.

    Raises:
        ConfigError: the environment variable names no type.
    """
    wanted = os.environ.get(PRODUCTS, "").strip() or "auto"
    if wanted not in ("auto", "float32"):
        raise ConfigError(
            f"{PRODUCTS}='{wanted}' is neither auto nor float32",
            where=f"environment variable {PRODUCTS}",
            rule="auto multiplies in bfloat16 where the processor does so natively, float32 never",
            fix="set one of the two, or leave it away",
        )
    if wanted == "float32":
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def reduce_products(model: Any) -> int:
    """Let the wide linear layers of a model's body multiply in bfloat16, in place; how many there are.

    The output layer stays as it is: scores rounded to eight bits would tie.
    """
    reduced = 0
    for module in model.base_model.modules():
        if type(module) is torch.nn.Linear and module.weight.numel() >= _WEIGHTS:
            module.__class__ = ReducedLinear
            reduced += 1
    return reduced


class ReducedLinear(torch.nn.Linear):
    """A linear layer of float32 whose product over many tokens is taken in bfloat16 (sums in float32)."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """(..., tokens, inputs) to (..., tokens, outputs), float32 both."""
        few = input.dim() < 2 or input.shape[-2] < _TOKENS
        if few or input.dtype != torch.float32 or self.weight.dtype != torch.float32:
            return super().forward(input)
        product: torch.Tensor = _Product.apply(input, self.weight)  # type: ignore[no-untyped-call]
        return product if self.bias is None else product + self.bias


class _Product(torch.autograd.Function):
    """`input @ weight.T`, keeping for the backward pass no more than a product in float32 keeps."""

    @staticmethod
    def forward(ctx: Any, input: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(input if weight.requires_grad else None, weight)
        return torch.nn.functional.linear(input.bfloat16(), weight.bfloat16()).float()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        input, weight = ctx.saved_tensors
        gradient = gradients[0].bfloat16()
        of_input = of_weight = None
        if ctx.needs_input_grad[0]:
            of_input = (gradient @ weight.bfloat16()).float()
        if ctx.needs_input_grad[1]:
            of_weight = (gradient.flatten(0, -2).T @ input.bfloat16().flatten(0, -2)).float()
        return of_input, of_weight
