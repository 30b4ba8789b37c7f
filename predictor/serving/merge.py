"""One folder out of a base and its adapter, and the proof that it answers as they do."""

from __future__ import annotations

import dataclasses
import gc
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from predictor.config import split_list
from predictor.errors import ConfigError, ModelError
from predictor.files import whole_folder
from predictor.finetune.origin import Origin
from predictor.models.base_model import BaseModel, save_tokenizer
from predictor.models.device import Device
from predictor.models.quantization import dequantized
from predictor.progress import SILENT, Progress
from predictor.serving.card import card_text
from predictor.serving.opening import Weights, with_adapter
from predictor.serving.parity import Parity, Said, compare
from predictor.serving.subjects import Subject

PARITY: Final = "parity.json"
DTYPES: Final = ("auto", "float32", "bfloat16", "float16")
COMBINATIONS: Final = (
    "linear", "cat", "svd", "ties", "ties_svd", "dare_linear", "dare_ties", "dare_linear_svd", "dare_ties_svd",
    "magnitude_prune", "magnitude_prune_svd",
)  # fmt: skip
"""Ways of peft's `add_weighted_adapter`."""
_DENSE: Final = ("ties", "dare", "magnitude_prune")
"""Ways that keep only a share of each adapter's values."""
_COMBINED: Final = "combined"


@dataclass(frozen=True)
class Limits:
    """What a merged model must keep to: the largest difference of logits, and the least share of equal answers."""

    max_difference: float = 1e-3
    least_equal: float = 1.0


@dataclass(frozen=True)
class Combination:
    """How several adapters become one.

    Attributes:
        weights: one for each adapter.
        kind: one of :data:`COMBINATIONS`. density: the share of values that ties, dare and magnitude_prune keep.
    """

    weights: tuple[float, ...] = (1.0,)
    kind: str = "linear"
    density: float = 0.5


@dataclass(frozen=True)
class Merged:
    """A merged model on disk.

    Attributes:
        parity: of the merge itself, in float32. written: of the files, in their own type; the same for float32.
        dtype: of the files.
    """

    folder: Path
    base_model: str
    dtype: str
    parity: Parity
    written: Parity


def merge(
    parts: Sequence[Weights],
    output: Path,
    subject: Subject,
    *,
    device: Device,
    base_model: str = "",
    dtype: str = "auto",
    combination: Combination = Combination(),
    limits: Limits = Limits(),
    told: dict[str, Any] | None = None,
    replace: bool = False,
    progress: Progress = SILENT,
) -> Merged:
    """Merge where the adapter was trained, write the result, read it again and compare it with the tuned model.

    An adapter that was trained beside 4 or 8 bits is merged into the numbers that these bits stand for: into the
    original weights it would not fit. All is computed in float32; a coarser `dtype` rounds only the files.

    Args:
        parts: adapters of one base, or one whole model that was trained in full.
        output: the folder to write; what it holds is replaced only when `replace` is true.
        subject: the kind of model, and the real prompts or texts of the comparison.
        told: lines for the model card.

    Raises:
        ModelError: the base is another one, adapters do not fit together, or a limit is broken; nothing is written.
    """
    _check_output(output, replace)
    exact = dataclasses.replace(device, bf16=False, flash_attention=False, bf16_products=False)
    progress.stage("load the tuned model")
    base, tuned = _tuned(parts, subject, base_model, exact, combination, progress)
    prompts = subject.ids(base.tokenizer)
    progress.stage(f"ask it {len(prompts)} questions")
    reference = subject.said(tuned, base.tokenizer, prompts)
    progress.stage("merge")
    merged = _merged(tuned, base, parts, combination)
    chosen = _dtype(dtype, base.source)
    parity = None
    if chosen != "float32":
        parity = compare(reference, subject.said(merged, base.tokenizer, prompts, reference), subject.parity)
        _keep_limits(parity, limits, parts)
    name = parts[0].origin.base_model or base_model or base.source
    with whole_folder(output, replace=replace) as folder:
        _save(merged, base.tokenizer, folder, chosen, subject)
        _origin_of(parts[0], name).write(folder)
        del merged, tuned, base
        gc.collect()
        progress.stage("read it again and compare")
        written = compare(reference, _read_again(folder, subject, prompts, reference, exact), subject.parity)
        parity = parity or written
        if chosen == "float32":
            _keep_limits(parity, limits, parts)
        elif not written.max_logit_difference < float("inf"):
            raise ModelError(f"in {chosen} the merged model's logits are no numbers", where=f"-P dtype={dtype}")
        report = Merged(output, name, chosen, parity, written)
        content = {**_report(report, parts, combination, limits), **subject.card}
        content["auto_tokenizer"] = subject.plainly(folder, prompts)
        (folder / PARITY).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(card_text(content, told or {}), encoding="utf-8")
    return report


def combination_of(weights: str, number: int, kind: str, density: float) -> Combination:
    """How so many adapters are combined.

    Args:
        weights: numbers separated by commas; empty gives each 1 / number.

    Raises:
        ConfigError: they are no numbers, or not as many as there are adapters.
    """
    given = split_list(weights)
    try:
        parsed = tuple(float(weight) for weight in given) or (1.0 / number,) * number
    except ValueError:
        parsed = ()
    if len(parsed) != number or not all(math.isfinite(weight) for weight in parsed):
        raise ConfigError(
            f"weights={weights} does not fit {number} adapter{'s' * (number > 1)}",
            where="-P weights",
            rule="one number for each adapter, separated by commas",
            fix="-P weights=" + ",".join(["0.5"] * number),
        )
    return Combination(parsed, kind, density)


def _check_output(output: Path, replace: bool) -> None:
    if output.is_file():
        raise ModelError("the output is a file", where=str(output), rule="a folder that is not there yet")
    if output.is_dir() and any(output.iterdir()) and not replace:
        raise ModelError(
            "the output folder is there and holds files",
            where=str(output),
            rule="a merged model gets a folder of its own",
            fix="name another one, or -P overwrite=true",
        )


def _tuned(
    parts: Sequence[Weights],
    subject: Subject,
    base_model: str,
    device: Device,
    combination: Combination,
    progress: Progress,
) -> tuple[BaseModel, Any]:
    first = parts[0]
    if not first.adapter:
        if len(parts) > 1:
            raise ModelError(
                "whole models cannot be weighted",
                where=str(first.folder),
                rule="several parts are adapters of one base",
            )
        whole = subject.whole(first.folder, device)
        return whole, whole.model
    for other in parts[1:]:
        ours, theirs = first.origin, other.origin
        if not other.adapter or (theirs.base_model_digest, theirs.quantized) != (
            ours.base_model_digest,
            ours.quantized,
        ):
            raise ModelError(
                "the adapters were trained on different bases",
                where=f"{first.folder}, {other.folder}",
                rule="adapters that are weighted are of one base, kept in the same number of bits",
            )
    base = subject.base(first, base_model, device, progress)
    return base, _with_adapters(base.model, parts, combination)


def _with_adapters(model: Any, parts: Sequence[Weights], combination: Combination) -> Any:
    """The model with its one adapter, or with the weighted combination of several."""
    if len(parts) == 1 and combination.weights == (1.0,):
        return with_adapter(model, parts[0])
    names = [f"part{number}" for number in range(len(parts))]
    for name, part in zip(names, parts, strict=True):
        model = with_adapter(model, part, name)
    dense = {"density": combination.density} if combination.kind.startswith(_DENSE) else {}
    try:
        model.add_weighted_adapter(
            names, list(combination.weights), _COMBINED, combination_type=combination.kind, **dense
        )
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"the adapters cannot be combined: {error}",
            where=f"-P combination={combination.kind}",
            rule="linear needs adapters of one rank; cat and svd take any",
            fix="-P combination=cat",
        ) from error
    model.set_adapter(_COMBINED)
    model.requires_grad_(False)
    return model.eval()


def _merged(tuned: Any, base: BaseModel, parts: Sequence[Weights], combination: Combination) -> Any:
    if not parts[0].adapter:
        return tuned
    if base.quantization is not None:
        tuned = _with_adapters(dequantized(tuned.unload()), parts, combination)
    try:
        return tuned.merge_and_unload(safe_merge=True)
    except ValueError as error:
        raise ModelError(f"the adapter cannot be merged: {error}", where=str(parts[0].folder)) from error


def _dtype(asked: str, source: str) -> str:
    """The type of the files: as asked for, or that of the base's own."""
    if asked != "auto":
        return asked
    try:
        from transformers import AutoConfig

        own = str(AutoConfig.from_pretrained(source).dtype).removeprefix("torch.")
    except (OSError, ValueError):
        own = "float32"
    return own if own in DTYPES else "float32"


def _save(model: Any, tokenizer: Any, folder: Path, dtype: str, subject: Subject) -> None:
    import torch

    model = model.to(getattr(torch, dtype))
    model.config.dtype = getattr(torch, dtype)
    model.save_pretrained(str(folder), safe_serialization=True)
    save_tokenizer(tokenizer, folder)
    subject.keep(model, tokenizer, folder)


def _origin_of(part: Weights, base_model: str) -> Origin:
    """What stands beside the merged weights, so that rows are put to them as they were put in the fine-tune."""
    return dataclasses.replace(part.origin, base_model=base_model, quantization="")


def _read_again(folder: Path, subject: Subject, prompts: Sequence[list[int]], reference: Said, device: Device) -> Said:
    model, tokenizer = subject.read_again(folder, device)
    again = subject.ids(tokenizer)
    if again != list(prompts):
        raise ModelError(
            "the tokenizer that was written splits prompts otherwise when it is read again",
            where=str(folder),
            rule="the same tokens as the base model's",
        )
    return subject.said(model, tokenizer, again, reference)


def _keep_limits(parity: Parity, limits: Limits, parts: Sequence[Weights]) -> None:
    broken = parity.broken(limits.max_difference, limits.least_equal)
    if broken is None:
        return
    check = "check the base model; "
    if any(part.origin.quantization == "int8" for part in parts):
        check = "an int8 layer rounds its inputs on a GPU, which a merged model does not: tune with nf4, or "
    raise ModelError(
        f"the merged model does not answer as the tuned one: {broken}",
        where=", ".join(str(part.folder) for part in parts) + f"; {parity.prompts} prompts, {parity.places} places",
        rule=f"logits differ by at most {limits.max_difference:g}, and {limits.least_equal:.0%} of answers are equal",
        fix=f"{check}-P max_difference and -P least_equal set other limits",
    )


def _report(merged: Merged, parts: Sequence[Weights], combination: Combination, limits: Limits) -> dict[str, Any]:
    origin = parts[0].origin
    several = dataclasses.asdict(combination) if combination.weights != (1.0,) else None
    return {
        "merge": merged.parity.to_json(),
        "written": merged.written.to_json(),
        "dtype": merged.dtype,
        "limits": dataclasses.asdict(limits),
        "base_model": merged.base_model,
        "base_model_digest": origin.base_model_digest,
        "method": origin.method,
        "quantization": str(origin.quantized) if origin.quantized else "",
        "runs": [part.run_id for part in parts if part.run_id],
        "combination": several,
    }
