"""The mean of a model's trained weights over its first steps, and the model with that mean in place.

At a high learning rate the weights circle around where they are going, and what the model says after ten steps is
mostly noise of the last batches. The end of a schedule, where the rate falls, takes that noise away. A mean of the
weights does the same without a single further step (Polyak and Juditsky 1992, Acceleration of Stochastic Approximation
by Averaging; Izmailov et al. 2018, Averaging Weights Leads to Wider Optima; Kaddour 2022, Stop Wasting My Time!).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from predictor.probe.places import SEEN_WHOLE

if TYPE_CHECKING:
    import torch

PREFIX = "mean/"
"""Of the names of tensors in :meth:`WeightMean.state`."""


class WeightMean:
    """The running mean of the trainable parameters of one model.

    It keeps one copy of them in float32. Of more than `SEEN_WHOLE` values nothing is kept, and there is no mean.
    """

    def __init__(self) -> None:
        self._sums: list[torch.Tensor] = []
        self._count = 0

    @property
    def known(self) -> bool:
        """Whether anything was added."""
        return self._count > 0

    def add(self, model: Any) -> None:
        """Take in the weights as they are now."""
        parameters = _trained(model)
        if sum(parameter.numel() for parameter in parameters) > SEEN_WHOLE:
            return
        self._count += 1
        if not self._sums:
            self._sums = [parameter.detach().float().clone() for parameter in parameters]
            return
        for total, parameter in zip(self._sums, parameters, strict=True):
            total.add_(parameter.detach())

    @contextlib.contextmanager
    def in_place(self, model: Any) -> Iterator[None]:
        """The model with the mean as its weights; afterwards they are what they were, to the bit."""
        import torch

        parameters = _trained(model)
        own = [parameter.detach().clone() for parameter in parameters]
        try:
            with torch.no_grad():
                for parameter, total in zip(parameters, self._sums, strict=True):
                    parameter.copy_(total / self._count)
            yield
        finally:
            with torch.no_grad():
                for parameter, kept in zip(parameters, own, strict=True):
                    parameter.copy_(kept)

    def forget(self) -> None:
        """Let go of the tensors."""
        self._sums, self._count = [], 0

    def state(self) -> tuple[dict[str, torch.Tensor], int]:
        """The sums by name, and of how many weights each is one, for :meth:`restore`."""
        return {f"{PREFIX}{number}": total for number, total in enumerate(self._sums)}, self._count

    def restore(self, tensors: Mapping[str, torch.Tensor], count: int) -> None:
        """Go on where :meth:`state` was taken. Other tensors are passed over."""
        names = sorted((name for name in tensors if name.startswith(PREFIX)), key=lambda name: int(name[len(PREFIX) :]))
        self._sums, self._count = [tensors[name] for name in names], count


def _trained(model: Any) -> list[Any]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]
