"""A trained model with a head that says which class a text belongs to: saved, loaded again, asked.

A head that gives scores (:mod:`predictor.models.scorer`) is saved and loaded in the same way.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from predictor.errors import ModelError
from predictor.models.base_model import BaseModel, save_tokenizer, unloadable
from predictor.models.device import Device
from predictor.models.head import head_of, load_classifier, unwrapped
from predictor.models.quantization import Quantization
from predictor.models.reading import LabelledRow, class_probabilities, read_texts
from predictor.models.shape import HEADS

if TYPE_CHECKING:
    import torch

SETTINGS: Final = "classifier.json"
"""Beside a classifier's weights: what no file of transformers says of it."""
_MOST: Final = 512
"""Tokens of a text that are read where nothing else is said."""


@dataclass(frozen=True)
class Saved:
    """What stands beside the weights of a trained classifier.

    Attributes:
        labels: its classes. head: `mlp` or `linear`. template: as of :class:`Classifier`.
        quantization: in how many bits the base of the adapter was; None: in its own type.
        max_length: tokens of a text that it read when it was trained.
        bounds: the lowest and the highest score; None of a head that says classes.
    """

    labels: list[str]
    head: str
    template: str
    quantization: Quantization | None = None
    max_length: int = _MOST
    bounds: tuple[float, float] | None = None


def is_classifier(folder: Path) -> bool:
    """Whether a folder holds what a fine-tune of a model with a head has left, or a merge of it."""
    return (folder / SETTINGS).is_file()


def save_classifier(
    model: Any,
    tokenizer: Any,
    folder: Path,
    head: str,
    template: str,
    quantization: Quantization | None = None,
    *,
    max_length: int = 0,
    bounds: tuple[float, float] | None = None,
) -> None:
    """Write beside the weights what :func:`read_saved` reads, and the tokenizer.

    Args:
        max_length: tokens of a text that were read at most; 0 leaves it to the model.
        bounds: the lowest and the highest score, of a head that gives scores.
    """
    config = unwrapped(model).config
    labels = [config.id2label[position] for position in range(config.num_labels)]
    save_tokenizer(tokenizer, folder)
    told: dict[str, Any] = {"labels": labels, "head": head, "template": template}
    if quantization is not None:
        told["quantization"] = [quantization.kind, quantization.double]
    if max_length:
        told["max_length"] = max_length
    if bounds is not None:
        told["bounds"] = list(bounds)
    (folder / SETTINGS).write_text(
        json.dumps(told, ensure_ascii=False, indent=1) + "\n",
        encoding="utf-8",
    )


@dataclass
class Classifier:
    """A trained classifier, loaded.

    Attributes:
        labels: its classes. template: `{text}` and `{class_labels}` around a text; empty for the bare text.
    """

    model: Any
    tokenizer: Any
    labels: list[str]
    template: str
    max_length: int = _MOST

    def put(self, texts: Sequence[str]) -> list[str]:
        """The texts as they are put to the model, in its template."""
        if not self.template:
            return list(texts)
        classes = ",".join(self.labels)
        return [self.template.replace("{class_labels}", classes).replace("{text}", text) for text in texts]

    def rows(self, texts: Sequence[str]) -> list[LabelledRow]:
        """The texts as token ids; their class is not known, and 0."""
        around = self.put(texts)
        many, told = len(texts), None if around == list(texts) else around
        return read_texts(texts, [0] * many, [""] * many, self.tokenizer, self.max_length, told)

    def predict(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Class → probability of each text."""
        found = class_probabilities(self.model, self.tokenizer, self.rows(texts))
        return [dict(zip(self.labels, map(float, row), strict=True)) for row in found]


@dataclass(frozen=True)
class SavedHead:
    """A trained model with a head, loaded in evaluation mode.

    Attributes:
        labels: classes, or dimensions that are scored, in the order of the outputs.
        template: around a text; empty for the bare text.
        max_length: tokens of a text that are read.
        bounds: the lowest and the highest score; None of a head that says classes.
    """

    model: Any
    tokenizer: Any
    labels: list[str]
    template: str
    max_length: int
    bounds: tuple[float, float] | None = None


def read_saved(folder: Path) -> Saved:
    """What stands beside the weights of a classifier.

    Raises:
        ModelError: the folder holds none.
    """
    try:
        told = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        low, high = told.get("bounds", (None, None))
        return Saved(
            told["labels"],
            told["head"],
            told["template"],
            Quantization(*told["quantization"]) if "quantization" in told else None,
            int(told.get("max_length", _MOST)),
            None if low is None else (float(low), float(high)),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(
            f"the folder holds no classifier ({type(error).__name__}: {error})",
            where=str(folder),
            rule="what a fine-tune of task=classification, or of task=scoring with a head, leaves: weights, tokenizer "
            f"and {SETTINGS}",
        ) from error


def load_whole(folder: Path, device: Device, saved: Saved) -> BaseModel:
    """A classifier all of whose weights lie in a folder, its head among them.

    Raises:
        ModelError: its files are damaged, or are of another head.
    """
    loaded = load_classifier(str(folder), device, saved.labels, saved.head)
    _load_head(loaded.model, folder)
    return loaded


def classifier_of(saved: Saved, model: Any, tokenizer: Any, *, scores: bool = False) -> Classifier:
    """A loaded model as the classifier that it is, at rest.

    Args:
        scores: a head that gives scores is welcome too; its labels are the dimensions.

    Raises:
        ModelError: its head gives scores.
    """
    if saved.bounds is not None and not scores:
        raise _gives_scores(saved.labels)
    model.eval()
    most = limit_of(unwrapped(model).config, tokenizer, saved.max_length)
    return Classifier(model, tokenizer, saved.labels, saved.template, most)


def _gives_scores(dimensions: Sequence[str], where: str | None = None) -> ModelError:
    return ModelError(
        f"the model gives scores ({', '.join(dimensions)}) and says no classes",
        where=where,
        rule="what a fine-tune of task=classification leaves",
        fix="load it with predictor.models.scorer.load_scorer",
    )


def load_saved(folder: str | Path, device: Device, base: str = "") -> Classifier:
    """The classifier that a fine-tune has left, with all weights or as an adapter with its head.

    Args:
        base: folder or hub id of the base model that the adapter belongs to; empty for the one that it names.

    Raises:
        ModelError: the folder holds none, or the base is absent or another.
    """
    found = open_saved(folder, device, base)
    if found.bounds is not None:
        raise _gives_scores(found.labels, str(folder))
    return Classifier(found.model, found.tokenizer, found.labels, found.template, found.max_length)


def open_saved(folder: str | Path, device: Device, base: str = "") -> SavedHead:
    """A model with a head that a fine-tune has left; arguments and errors as of :func:`load_saved`."""
    folder = Path(folder)
    saved = read_saved(folder)
    adapter = (folder / "adapter_config.json").is_file()
    if adapter:
        from peft import PeftModel

        source = (
            base or json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"]
        )
        loaded = load_classifier(str(source), device, saved.labels, saved.head, saved.quantization)
        try:
            model: Any = PeftModel.from_pretrained(loaded.model, str(folder))
        except (RuntimeError, ValueError, OSError) as error:
            raise unloadable("adapter", str(folder), error) from error
    else:
        loaded = load_whole(folder, device, saved)
        model = loaded.model
    model.eval()
    limit = limit_of(loaded.model.config, loaded.tokenizer, saved.max_length)
    return SavedHead(model, loaded.tokenizer, saved.labels, saved.template, limit, saved.bounds)


def limit_of(config: Any, tokenizer: Any, most: int = _MOST) -> int:
    """Tokens of a text that the model can read, `most` at most."""
    places = getattr(config.get_text_config(), "max_position_embeddings", None) or most
    return int(min(most, places, tokenizer.model_max_length))


def _load_head(model: Any, folder: Path) -> None:
    """The weights of a head that transformers does not know, from the file in which it has left them."""
    from safetensors import safe_open

    name = next(name for name in HEADS if hasattr(model, name))
    files = sorted(folder.glob("*.safetensors"))
    found: dict[str, torch.Tensor] = {}
    for file in files:
        with safe_open(file, "pt") as tensors:
            keys = [key for key in tensors.keys() if key.startswith(name + ".")]  # noqa: SIM118 - it is no mapping
            found |= {key[len(name) + 1 :]: tensors.get_tensor(key) for key in keys}
    try:
        head_of(model).load_state_dict(found)
    except RuntimeError as error:
        raise unloadable("head", str(folder), error) from error
