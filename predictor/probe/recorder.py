"""Watches the first optimizer steps of a fine-tune from inside the training loop, at next to no cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from predictor.probe.places import flat, stride_for
from predictor.probe.train import Trace

if TYPE_CHECKING:
    import torch


class ProbeRecorder:
    """Collects a :class:`~predictor.probe.train.Trace` over the first `steps` optimizer steps.

    Call in this order: :meth:`snapshot`, and :meth:`observe_dev_gradient` where there is a development slice, before
    the first step; for every step :meth:`observe_gradients` when the gradients are complete and the optimizer has not
    stepped yet, then :meth:`observe_step` with the step's loss; when :attr:`full`, :meth:`finish`, which lets go of the
    tensors. Calls after that do nothing.

    It keeps two copies of the trainable parameters, three while it compares two gradients, two more with a development
    slice, and no value leaves the device before :meth:`trace`, so a GPU is never made to wait. Where they are
    many, it looks at a fixed sample of them and gives estimates: see :mod:`predictor.probe.places`.

    Args:
        steps: optimizer steps to watch.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self._losses: list[float] = []
        self._reported_norms: list[float | None] = []
        self._norms: list[torch.Tensor] = []
        self._cosines: list[torch.Tensor] = []
        self._previous: torch.Tensor | None = None
        self._start: torch.Tensor | None = None
        self._initial_norm: torch.Tensor | None = None
        self._update_norm: torch.Tensor | None = None
        self._dev_gradient: torch.Tensor | None = None
        self._gradient_sum: torch.Tensor | None = None
        self._dev_agreement: torch.Tensor | None = None
        self._stride: int | None = None

    @property
    def full(self) -> bool:
        """Whether all steps have been seen."""
        return len(self._losses) >= self.steps

    def snapshot(self, model: Any) -> None:
        """Remember the trainable parameters as they are before the first step."""
        self._start = self._seen(model)
        self._initial_norm = self._start.norm()

    def observe_dev_gradient(self, model: Any) -> None:
        """Remember the gradient that lies in the model: that of the loss on the development slice."""
        self._dev_gradient = self._seen(model, gradients=True)

    def observe_gradients(self, model: Any) -> None:
        """Compare this step's gradient with the one before. Clipping may have happened: it does not turn a gradient."""
        if self.full:
            return
        gradient = self._seen(model, gradients=True)
        norm = gradient.norm()
        if self._previous is not None:
            # 0 / 0 gives NaN: a vanished gradient has no direction.
            self._cosines.append(self._previous @ gradient / (self._norms[-1] * norm))
        self._norms.append(norm)
        self._previous = gradient
        if self._dev_gradient is not None:
            # A copy: the gradient itself is the one that the next is compared with.
            self._gradient_sum = gradient.clone() if self._gradient_sum is None else self._gradient_sum.add_(gradient)

    def observe_step(self, loss: float, grad_norm: float | None = None) -> None:
        """Note the loss of the step and the norm of its gradient before clipping.

        Args:
            loss: mean over the step's answer tokens, in nats.
            grad_norm: as the trainer reports it; None takes the norm that :meth:`observe_gradients` saw.
        """
        if not self.full:
            self._losses.append(float(loss))
            self._reported_norms.append(None if grad_norm is None else float(grad_norm))

    def finish(self, model: Any) -> None:
        """Measure how far the trainable parameters have moved since :meth:`snapshot`, and free the copies.

        And whether the steps pulled to where the development slice does.
        """
        self._previous = None
        if self._start is not None:
            self._update_norm = self._seen(model).sub_(self._start).norm()
        self._start = None
        dev, steps = self._dev_gradient, self._gradient_sum
        if dev is not None and steps is not None:
            self._dev_agreement = dev @ steps / (dev.norm() * steps.norm())
        self._dev_gradient = self._gradient_sum = None

    def state(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        """All that was seen so far, as tensors by name and JSON values, for :meth:`restore`.

        Before :meth:`finish` the tensors hold two copies, float32, of the parameters that are looked at; four with a
        development slice.
        """
        import torch

        single = {
            "previous": self._previous,
            "start": self._start,
            "initial_norm": self._initial_norm,
            "update_norm": self._update_norm,
            "dev_gradient": self._dev_gradient,
            "gradient_sum": self._gradient_sum,
            "dev_agreement": self._dev_agreement,
        }
        tensors = {name: tensor for name, tensor in single.items() if tensor is not None}
        tensors |= {n: torch.stack(seen) for n, seen in (("norms", self._norms), ("cosines", self._cosines)) if seen}
        return tensors, {
            "losses": list(self._losses),
            "reported_norms": list(self._reported_norms),
            "stride": self._stride,
        }

    def restore(self, tensors: Mapping[str, torch.Tensor], values: Mapping[str, Any]) -> None:
        """Go on where :meth:`state` was taken, to the same bits. The tensors lie on the model's device."""
        self._losses = list(values["losses"])
        self._reported_norms = list(values["reported_norms"])
        # Checkpoints without it are from before there were samples.
        self._stride = values.get("stride", 1)
        self._previous, self._start = tensors.get("previous"), tensors.get("start")
        self._initial_norm, self._update_norm = tensors.get("initial_norm"), tensors.get("update_norm")
        self._dev_gradient, self._gradient_sum = tensors.get("dev_gradient"), tensors.get("gradient_sum")
        self._dev_agreement = tensors.get("dev_agreement")
        self._norms = list(tensors["norms"]) if "norms" in tensors else []
        self._cosines = list(tensors["cosines"]) if "cosines" in tensors else []

    def trace(self, **measured: Any) -> Trace:
        """What was seen so far.

        Args:
            measured: the fields of the trace that the caller, who owns the model, has measured.
        """
        scale = math.sqrt(self._stride or 1)
        seen = [scale * float(norm) for norm in self._norms]
        norms = [
            seen[step] if reported is None and step < len(seen) else math.nan if reported is None else reported
            for step, reported in enumerate(self._reported_norms)
        ]
        return Trace(
            losses=list(self._losses),
            grad_norms=norms,
            grad_cosines=[float(cosine) for cosine in self._cosines],
            initial_norm=math.nan if self._initial_norm is None else scale * float(self._initial_norm),
            update_norm=math.nan if self._update_norm is None else scale * float(self._update_norm),
            dev_agreement=math.nan if self._dev_agreement is None else float(self._dev_agreement),
            **measured,
        )

    def _seen(self, model: Any, *, gradients: bool = False) -> torch.Tensor:
        trainable = [p for p in model.parameters() if p.requires_grad]
        if self._stride is None:
            self._stride = stride_for([tuple(p.shape) for p in trainable])
        return flat(trainable, self._stride, gradients=gradients)
