"""Which of a model's trainable parameters are looked at while it is trained: all of them, or a fixed sample.

The parameters are thought of as one vector v of n values, in the order in which the model names them. Up to
:data:`SEEN_WHOLE` values all are looked at. Beyond that the sample is every k-th value, the same places each time, and

    ‖v‖ ≈ √k · ‖sample of v‖,    cos(v, w) ≈ cos(sample of v, sample of w):

the expansion estimator of systematic sampling (Cochran 1977, Sampling Techniques, chapters 2 and 8), under a root and
in a ratio. If the m = n / k values of the sample are as good as drawn at random, the relative standard error of a norm
is √((κ − 1)(1 − 1/k) / m) / 2, where κ = n Σv⁴ / (Σv²)² says how heavy the tails are (3 for a Gaussian), and the
standard error of a cosine near 0 is √(κ'(1 − 1/k) / m), where κ' = n Σv²w² / (Σv² Σw²); it is less near 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SEEN_WHOLE = 24_000_000
"""Up to so many trainable values all are looked at, among them those of LoRA in the standard setting on a base of 7B
weights (20.2M)."""
SAMPLE = 16_000_000
"""At most so many values are looked at otherwise: 64 MB in float32, three times, whatever the model's size."""


def stride_for(shapes: Sequence[Sequence[int]]) -> int:
    """k: 1 for all values; else the least number that makes the sample small enough and suits the shapes.

    It has no divisor in common with the length of any matrix's row. With a common divisor some columns of a matrix
    would be looked at in every row and others never, and columns differ: a few of a transformer's hidden units are far
    larger than the rest.
    """
    values = sum(math.prod(shape) for shape in shapes)
    if values <= SEEN_WHOLE:
        return 1
    rows = {shape[-1] for shape in shapes if len(shape) > 1}
    return next(k for k in count(math.ceil(values / SAMPLE)) if all(math.gcd(k, length) == 1 for length in rows))


def flat(parameters: Sequence[Any], stride: int, *, gradients: bool = False) -> torch.Tensor:
    """Every `stride`-th value of the parameters, float32, on the device of the first, without history; a copy.

    Args:
        gradients: of their gradients instead; of a parameter that took no part in the step they are zeros, so that
            places stay the same.
    """
    import torch

    if not parameters:
        return torch.zeros(0)
    total = sum(parameter.numel() for parameter in parameters)
    vector = torch.zeros(-(-total // stride), dtype=torch.float32, device=parameters[0].device)
    begin = filled = 0
    for parameter in parameters:
        first = -begin % stride
        begin += parameter.numel()
        seen = len(range(first, parameter.numel(), stride))
        values = parameter.grad if gradients else parameter
        if values is not None:
            # Places of one parameter at a time, and no vector of all of them before.
            vector[filled : filled + seen] = values.detach().reshape(-1)[first::stride]
        filled += seen
    return vector
