"""A model by whatever names it: a folder with a model or an adapter, a run, a base model's name, or a hub id."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from predictor.config import canonical_hash
from predictor.errors import ModelError
from predictor.finetune.origin import Origin, read_origin
from predictor.models.base_model import BaseModel, load_base_model
from predictor.models.classifier import Classifier, Saved, classifier_of, is_classifier, load_whole, read_saved
from predictor.models.device import Device, detect
from predictor.models.digests import weights_digest
from predictor.models.head import load_classifier
from predictor.progress import SILENT, Progress
from predictor.trial.sources import named_bases, ready_base

if TYPE_CHECKING:
    from predictor.schema import RunRecord

_RUN_ID = re.compile(r"[0-9a-f]{32}")
ADAPTER = "adapter_config.json"
CLASSIFICATION = "classification"
"""The task of a model with a head that says classes."""
SCORING = "scoring"
"""The task of a model with a head that gives scores."""


class TunedRun(Protocol):
    """A run whose weights are on this machine."""

    @property
    def record(self) -> RunRecord:
        """The fine-tune."""
        ...

    @property
    def folder(self) -> Path:
        """With the adapter, or the whole model."""
        ...

    @property
    def config(self) -> Mapping[str, Any]:
        """The configuration as the run stored it."""
        ...

    @property
    def model_digest(self) -> str:
        """Of the whole base, empty when the run did not say."""
        ...


FetchRun = Callable[[str], TunedRun]
"""From the id of a run to its weights."""


@dataclass(frozen=True)
class Weights:
    """Tuned weights in a folder, and where they come from.

    Attributes:
        adapter: matrices beside a base; otherwise a whole model.
        run_id: of the fine-tune; empty when a folder was named.
        config: of the fine-tune, as the run stored it.
    """

    folder: Path
    origin: Origin
    adapter: bool
    run_id: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Opened:
    """A model ready to be asked.

    Attributes:
        name: as the user named it.
        base: with the tokenizer; of a base model, and of a folder with a whole model, its model is `model`.
        task: that it was tuned for; empty of a base model.
        digest: of all that its answers depend on.
        classifier: of a model with a head, which writes no answers; None of one that writes. Its labels are classes, or
            where there are bounds dimensions that it scores.
        bounds: the lowest and the highest score, of a head that gives scores.
        weights: that it was opened from; None of a base model.
    """

    name: str
    model: Any
    base: BaseModel
    task: str
    digest: str
    classifier: Classifier | None = None
    weights: Weights | None = None
    bounds: tuple[float, float] | None = None


def is_run(name: str) -> bool:
    """Whether a name is the id of a run: 32 hexadecimal digits, and no folder."""
    return bool(_RUN_ID.fullmatch(name)) and not Path(name).exists()


def weights_of_run(run_id: str, fetch_run: FetchRun) -> Weights:
    """The weights of a fine-tune, with what the run recorded of their origin."""
    tuned = fetch_run(run_id)
    record, kept = tuned.record, read_origin(tuned.folder) or Origin()
    origin = Origin(
        base_model=record.base_model,
        base_model_digest=record.base_model_digest,
        model_digest=tuned.model_digest,
        method=record.method,
        task=record.task,
        quantization=str(record.hp.get("quantization", "")),
        double_quantization=bool(record.hp.get("double_quantization", True)),
        task_settings=kept.task_settings,
        task_found=kept.task_found,
    )
    return Weights(tuned.folder, origin, (tuned.folder / ADAPTER).is_file(), run_id, tuned.config)


def weights_of_folder(folder: Path) -> Weights:
    """The weights in a folder that a method, or plain peft or transformers, has written.

    Raises:
        ModelError: the folder holds neither an adapter nor a model.
    """
    adapter = (folder / ADAPTER).is_file()
    if not adapter and not (folder / "config.json").is_file():
        raise ModelError(
            "the folder holds neither a model nor an adapter",
            where=str(folder.resolve()),
            rule=f"a model's folder has config.json, an adapter's {ADAPTER}",
            fix="name the folder itself, such as the artifact adapter/ of a run",
        )
    return Weights(folder, read_origin(folder) or Origin(), adapter)


def open_model(
    name: str,
    fetch_run: FetchRun,
    progress: Progress = SILENT,
    *,
    base_model: str = "",
    device: Device | None = None,
    heads: bool = False,
) -> Opened:
    """Load a model by its name.

    Args:
        base_model: the base of an adapter, where another one is to be taken than its origin says.
        heads: a model with a head is welcome too; else only one that writes answers.

    Raises:
        ModelError: there is no such model, the base is not the one that an adapter was trained on, or it is a
            classifier where an answer is to be written.
    """
    device = device or detect()
    if is_run(name):
        weights = weights_of_run(name, fetch_run)
    elif name not in named_bases() and Path(name).expanduser().is_dir():
        weights = weights_of_folder(Path(name).expanduser())
    else:
        base = load_base_model(ready_base(name, progress), device)
        return Opened(name, base.model, base, "", base.model_digest)
    if is_classifier(weights.folder):
        if not heads:
            raise ModelError(
                f"{name} is a classifier: it says the class of a text and writes no answers",
                where=f"-P model={name}",
                rule="a conversation is held with a model that writes",
                fix=f"mlflow run . -e generate -P model={name} -P input=FILE -P output=FILE classifies rows",
            )
        base, classifier = open_classifier(weights, base_model, device, progress, scores=True)
        told, saved = {"base": base.model_digest}, read_saved(weights.folder)
        told["weights"] = weights_digest(str(weights.folder))
        digest = canonical_hash({**told, "saved": asdict(saved)})
        task = CLASSIFICATION if saved.bounds is None else SCORING
        return Opened(name, classifier.model, base, task, digest, classifier, weights, saved.bounds)
    if not weights.adapter:
        whole = load_base_model(str(weights.folder), device)
        return Opened(name, whole.model, whole, weights.origin.task, whole.model_digest, weights=weights)
    base = base_of(weights, base_model, device, progress)
    digest = f"{base.model_digest}+{weights_digest(str(weights.folder))}"
    return Opened(name, with_adapter(base.model, weights), base, weights.origin.task, digest, weights=weights)


def open_classifier(
    weights: Weights, base_model: str, device: Device, progress: Progress = SILENT, *, scores: bool = False
) -> tuple[BaseModel, Classifier]:
    """A model with a head: its base, which holds the tokenizer, and the classifier that it is.

    Args:
        scores: a head that gives scores is welcome too.

    Raises:
        ModelError: as :func:`base_of` and :func:`with_adapter`, or its files are damaged.
    """
    saved = read_saved(weights.folder)
    if not weights.adapter:
        whole = load_whole(weights.folder, device, saved)
        return whole, classifier_of(saved, whole.model, whole.tokenizer, scores=scores)
    base = base_of(weights, base_model, device, progress, saved)
    return base, classifier_of(saved, with_adapter(base.model, weights), base.tokenizer, scores=scores)


def base_of(
    weights: Weights, base_model: str, device: Device, progress: Progress = SILENT, saved: Saved | None = None
) -> BaseModel:
    """The base of an adapter, loaded as it was in the fine-tune, when it is the one that the fine-tune recorded.

    Args:
        saved: what stands beside the adapter of a classifier, whose base gets a head; None of a model that writes.

    Raises:
        ModelError: nobody says which base it was, or it is another one.
    """
    origin = weights.origin
    name = base_model or origin.base_model or _named_by_peft(weights.folder)
    if not name:
        raise ModelError(
            "the adapter does not say which base model it was trained on",
            where=str(weights.folder),
            rule="origin.json beside the adapter, or base_model_name_or_path in adapter_config.json",
            fix="-P base_model=NAME, a folder or a hub id",
        )
    if saved is None:
        base = load_base_model(ready_base(name, progress), device, origin.quantized)
    else:
        source = ready_base(name, progress, kind="any")
        base = load_classifier(source, device, saved.labels, saved.head, saved.quantization)
    if not origin.base_model_digest:
        progress.note(f"{weights.folder}: no digest of the base was recorded, so {name} could not be compared with it")
    elif base.digest != origin.base_model_digest:
        raise ModelError(
            f"{name} is not the base model that the adapter was trained on: its weights have the digest {base.digest}",
            where=f"run {weights.run_id}" if weights.run_id else str(weights.folder),
            rule=f"the fine-tune recorded {origin.base_model_digest} ({origin.base_model})",
            fix="-P base_model=… with the base of the fine-tune",
        )
    elif origin.model_digest and base.model_digest != origin.model_digest:
        progress.note(
            f"WARNING: {name} has the weights that the adapter was trained on, but configuration, tokenizer or chat "
            "template have changed since"
        )
    return base


def with_adapter(model: Any, weights: Weights, name: str = "default") -> Any:
    """The model with the adapter on it, at rest.

    Raises:
        ModelError: the adapter does not fit the model.
    """
    from peft import PeftModel

    try:
        if isinstance(model, PeftModel):
            model.load_adapter(str(weights.folder), adapter_name=name)
        else:
            model = PeftModel.from_pretrained(model, str(weights.folder), adapter_name=name)
    except Exception as error:  # peft, safetensors and torch each have their own family
        first = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise ModelError(
            f"the adapter does not fit the base model: {first}",
            where=str(weights.folder),
            rule="an adapter that peft wrote, on the base that it was trained on",
            fix="-P base_model=… with the base of the fine-tune",
        ) from error
    model.requires_grad_(False)
    return model.eval()


def _named_by_peft(folder: Path) -> str:
    import json

    content = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
    return str(content.get("base_model_name_or_path") or "")
