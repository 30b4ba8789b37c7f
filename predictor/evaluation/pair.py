"""A base model and what a fine-tune made of it, both ready to be asked, each loaded once."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from predictor.errors import ModelError
from predictor.evaluation.memory import Memory

if TYPE_CHECKING:
    from predictor.models.base_model import BaseModel
    from predictor.probe.forks import Fork

ADAPTER_CONFIG: Final = "adapter_config.json"
ADAPTER_WEIGHTS: Final = "adapter_model.safetensors"


@dataclass
class Pair:
    """Two models with one tokenizer.

    Attributes:
        base: with tokenizer, device and digests.
        tuned: a PEFT model around the base, or a model of its own.
        memory: of what the base said before; None asks it anew.
    """

    base: BaseModel
    tuned: Any
    memory: Memory | None = None

    @property
    def is_adapter(self) -> bool:
        """The base is the tuned model with its adapter switched off: the weights are in memory once."""
        return callable(getattr(self.tuned, "disable_adapter", None))

    @contextlib.contextmanager
    def untuned(self) -> Iterator[Any]:
        """The base model, to be asked inside the block."""
        if self.is_adapter:
            with self.tuned.disable_adapter():
                yield self.tuned
        else:
            yield self.base.model

    def base_answers(
        self,
        model: Any,
        tokenizer: Any,
        prompts: Sequence[list[int]],
        *,
        max_new_tokens: int,
        on_batch: Callable[[int], None] = lambda rows: None,
    ) -> list[list[int]]:
        """As :func:`~predictor.models.generate.generate` of the base, which need not be asked the same twice."""
        from predictor.models.generate import generate

        def compute() -> list[list[int]]:
            return generate(model, tokenizer, prompts, max_new_tokens=max_new_tokens, on_batch=on_batch)

        asked = {"prompts": list(prompts), "max_new_tokens": max_new_tokens}
        return self._recalled(asked, len(prompts), compute, on_batch)

    def base_sums(
        self, model: Any, forks: Sequence[Fork], *, pad_id: int, on_batch: Callable[[int], None] = lambda forks: None
    ) -> list[np.ndarray]:
        """As :func:`~predictor.probe.forks.fork_sums` of the base, which need not be asked the same twice."""
        from predictor.probe.forks import fork_sums

        def compute() -> list[list[float]]:
            return [sums.tolist() for sums in fork_sums(model, forks, pad_id=pad_id, on_batch=on_batch)]

        asked = {"forks": [[list(fork.head), *map(list, fork.tails)] for fork in forks]}
        return [np.array(row) for row in self._recalled(asked, len(forks), compute, on_batch)]

    def _recalled(
        self,
        asked: Mapping[str, Any],
        count: int,
        compute: Callable[[], list[list[Any]]],
        on_batch: Callable[[int], None],
    ) -> list[list[Any]]:
        if self.memory is None:
            return compute()
        rows, known = self.memory.recall(asked, compute)
        if known:
            on_batch(count)
        return rows


def load_pair(base: BaseModel, folder: Path, memory: Memory | None = None) -> Pair:
    """The pair of a base model and a fine-tune's folder: an adapter of peft, or a whole model.

    Args:
        memory: of what the base said before.

    Raises:
        ModelError: files are missing or damaged, or the fine-tune is of another base.
    """
    if (folder / ADAPTER_CONFIG).is_file() or (folder / ADAPTER_WEIGHTS).is_file():
        return Pair(base, _with_adapter(base, folder), memory)
    if (folder / "config.json").is_file():
        return Pair(base, _whole_model(base, folder), memory)
    raise ModelError(
        "the folder holds neither an adapter nor a model" if folder.is_dir() else "the folder does not exist",
        where=str(folder),
        rule=f"{ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}, as peft writes them, or a model that save_pretrained wrote",
        fix="name the folder itself, or -P run_id=RUN to take the fine-tune out of its run",
    )


def base_named_in(folder: Path) -> str:
    """The base model that an adapter's own files name; empty when they name none."""
    try:
        settings = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    named = settings.get("base_model_name_or_path") if isinstance(settings, dict) else None
    return named if isinstance(named, str) else ""


def _with_adapter(base: BaseModel, folder: Path) -> Any:
    from peft import PeftConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    for name in (ADAPTER_CONFIG, ADAPTER_WEIGHTS):
        if not (folder / name).is_file():
            raise ModelError(
                f"the adapter lacks {name}",
                where=str(folder),
                rule=f"an adapter is {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}",
                fix="copy the whole folder, or log the adapter again",
            )
    weights = _tensors(folder / ADAPTER_WEIGHTS)
    _same_base(base, folder)
    try:
        settings = PeftConfig.from_pretrained(str(folder))
        settings.inference_mode = True
        settings.base_model_name_or_path = base.source  # where it lies here; peft would warn of a folder that moved
        if settings.peft_type is None:
            raise ValueError(f"{ADAPTER_CONFIG} says no peft_type")
    except Exception as error:  # peft, json and the disk each have their own family
        raise _damaged(folder, error) from error
    try:
        model = get_peft_model(base.model, settings)
    except (ValueError, TypeError, KeyError) as error:
        raise _other_base(base, folder, str(error).strip().splitlines()[0]) from error
    try:
        _check_shapes(base, folder, get_peft_model_state_dict(model), weights)
        set_peft_model_state_dict(model, weights)
    except BaseException:
        model.unload()  # the base is somebody else's too, and goes back as it came
        raise
    model.eval()
    return model


def _tensors(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    try:
        return load_file(str(path))
    except Exception as error:  # safetensors and the disk each have their own family
        raise _damaged(path.parent, error) from error


def _check_shapes(base: BaseModel, folder: Path, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    lacking, foreign = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
    if lacking or foreign:
        what = f"it has no weights for {lacking[0]}" if lacking else f"it has weights for {foreign[0]}"
        raise _other_base(base, folder, f"{what}, and {len(lacking) + len(foreign) - 1} more such differences")
    for name in sorted(wanted):
        if wanted[name].shape != found[name].shape:
            ours, theirs = (tuple(each[name].shape) for each in (wanted, found))
            raise _other_base(base, folder, f"{name} is {theirs}, the base asks for {ours}")


def _same_base(base: BaseModel, folder: Path) -> None:
    """Refuse an adapter whose files name another model that is on this machine.

    Of a model that is not, its shapes alone can tell; a base whose folder was moved is the same base.
    """
    from predictor.models.digests import weights_digest

    named = base_named_in(folder)
    if not named or named == base.source or not Path(named).expanduser().is_dir():
        return
    digest = weights_digest(named, None)
    if digest != base.digest:
        raise _other_base(base, folder, f"its files name {named}, whose weights are {digest}, not {base.digest}")


def _whole_model(base: BaseModel, folder: Path) -> Any:
    from predictor.models.base_model import load_base_model

    tuned = load_base_model(str(folder), base.device)
    sizes = [int(model.config.get_text_config().vocab_size) for model in (base.model, tuned.model)]
    words = [base.tokenizer.get_vocab(), tuned.tokenizer.get_vocab()]
    if sizes[0] != sizes[1] or words[0] != words[1]:
        raise _other_base(base, folder, f"its vocabulary is another one ({sizes[1]} tokens, the base has {sizes[0]})")
    return tuned.model


def _other_base(base: BaseModel, folder: Path, why: str) -> ModelError:
    return ModelError(
        f"the fine-tune is of another base model: {why}",
        where=str(folder),
        rule=f"a fine-tune is compared with the base that it was made of, not with {base.source}",
        fix=f"-P base_model={named}" if (named := base_named_in(folder)) else "name its own base with -P base_model=…",
    )


def _damaged(folder: Path, error: Exception) -> ModelError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelError(
        f"the adapter cannot be read: {first}",
        where=str(folder),
        rule=f"{ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}, as peft writes them",
        fix="copy the whole folder again",
    )
