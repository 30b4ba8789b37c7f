"""One base model kept in memory between the fine-tunes of a process: loaded once, lent out, put back as it was."""

from __future__ import annotations

import contextlib
import copy
import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from predictor.models.base_model import BaseModel, load_base_model
from predictor.models.device import Device
from predictor.models.digests import planned_digest
from predictor.models.quantization import Quantization


@dataclass
class Loan:
    """A base model in use by one fine-tune, which may change it as it likes.

    Attributes:
        seconds: that loading took, in this loan or an earlier one.
        fresh: it was loaded for this loan.
    """

    base: BaseModel
    seconds: float
    fresh: bool
    _as_loaded: AsLoaded = field(repr=False)

    def give_back(self, tuned: Any = None) -> None:
        """Put the model back, as it was when it was loaded, for the next one who asks for it.

        What cannot be put back (weights that were trained in place, layers of a kind that was not there) is let go, and
        loaded from its files the next time.

        Args:
            tuned: what a method made of it; an adapter of peft is taken off by peft's own `unload`.
        """
        # Whatever goes wrong here, loading again is right; and an error of the fine-tune itself must come through.
        with contextlib.suppress(Exception):
            if callable(unload := getattr(tuned, "unload", None)):
                unload()
        with contextlib.suppress(Exception):
            if self._as_loaded.put_back():
                _SHELF[:] = [Loan(self.base, self.seconds, False, self._as_loaded)]


_SHELF: list[Loan] = []
"""At most one base model that nobody uses. While it is lent it is not here, so two users never share one."""


def borrow(source: str, device: Device, quantization: Quantization | None = None) -> Loan:
    """The base model of a folder or hub id: the one that is kept, when its files are still the same, else loaded.

    Another one that is kept is let go before: there is no memory for two. What is never given back is simply gone.

    Raises:
        ModelError: the model is absent, or its files are damaged.
    """
    kept = _SHELF.pop() if _SHELF else None
    if kept is not None:
        base = kept.base
        # A hub's commit is asked of its cache, so that a model stays usable where the network has gone.
        kind = (base.source, base.model_digest, base.device, base.quantization)
        if kind == (source, planned_digest(source), device, quantization):
            return kept
        del kept, base, kind
        _free(device)
    started = time.perf_counter()
    base = load_base_model(source, device, quantization)
    as_loaded = AsLoaded(base)
    return Loan(base, time.perf_counter() - started, True, as_loaded)


def forget() -> None:
    """Let go of the base model that is kept, if there is one."""
    _SHELF.clear()


def _free(device: Device) -> None:
    gc.collect()  # a trainer and its model hold each other
    if device.kind == "cuda":
        import torch

        torch.cuda.empty_cache()


class AsLoaded:
    """How a base model was when it was loaded, so that it can be made so again.

    Weights are not copied. Their checksums tell whether they changed, which LoRA never does and full training always.
    """

    def __init__(self, base: BaseModel) -> None:
        model = base.model
        self._model = model
        self._types = [(module, type(module)) for module in model.modules()]
        self._attributes = [Attributes(thing) for thing in (*model.modules(), base.tokenizer)]
        settings = (model.config, model.generation_config)
        self._settings = [(each, copy.deepcopy(vars(each))) for each in settings if each is not None]
        self._learnable = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        self._tokens = len(base.tokenizer)
        self._tokenizer = base.tokenizer
        self._checksums = _checksums(model)

    def put_back(self) -> bool:
        """Undo every change of modules, attributes, hooks and settings.

        Returns:
            False when the weights, a module's type or the tokens are others, which is not undone.
        """
        for attributes in self._attributes:
            attributes.put_back()
        for thing, values in self._settings:
            vars(thing).clear()
            vars(thing).update(copy.deepcopy(values))
        for parameter, learns in self._learnable:
            parameter.requires_grad_(learns)
            parameter.grad = None
        return (
            all(type(module) is kind for module, kind in self._types)
            and len(self._tokenizer) == self._tokens
            and _checksums(self._model) == self._checksums
        )


class Attributes:
    """The attributes of an object, and what the mappings among them held.

    Of a module these are its parameters, submodules and hooks. Values themselves are not copied.
    """

    def __init__(self, thing: Any) -> None:
        self._thing = thing
        self._values = dict(vars(thing))
        self._contents = {name: dict(held) for name, held in self._values.items() if isinstance(held, dict)}

    def put_back(self) -> None:
        """Make them what they were; the mappings stay the same objects."""
        own = vars(self._thing)
        own.clear()
        own.update(self._values)
        for name, content in self._contents.items():
            held: dict[Any, Any] = self._values[name]
            held.clear()
            held.update(content)


def _checksums(model: Any) -> Mapping[str, tuple[Any, ...]]:
    """Name → shape, type and the sum of the bits of a weight or buffer, read as whole numbers: one pass and no copy."""
    import torch

    whole = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    found = {}
    with torch.inference_mode():
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            bits = tensor.detach().contiguous().view(whole.get(tensor.element_size(), torch.uint8))
            found[name] = (tuple(tensor.shape), tensor.dtype, int(bits.sum(dtype=torch.int64)))
    return found
