"""A base model with a head, that says which class a text belongs to: load, read texts, say, save, load again.

A head that gives scores (:mod:`predictor.models.scorer`) stands on the model, reads and is saved in the same way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from predictor.errors import ModelError
from predictor.models.base_model import BaseModel, require_present, save_tokenizer, tokenizer_of, unloadable
from predictor.models.device import Device
from predictor.models.digests import model_digest, weights_digest
from predictor.models.products import reduce_products
from predictor.models.quantization import Quantization
from predictor.models.shape import HEADS
from predictor.probe.batching import batches, pad_id_of, padded
from predictor.probe.scoring import at_rest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_HIDDEN: Final = (512, 256)
_DROPOUT: Final = 0.1
_PASS_TOKENS: Final = 8192
SETTINGS: Final = "classifier.json"
"""Beside a classifier's weights: what no file of transformers says of it."""
_MOST: Final = 512
"""Tokens of a text that are read where nothing else is said."""
TINY: Final = 1e-12
"""No probability is taken for less: its logarithm would be none."""
NO_CLASS: Final = -1
"""The label of a row that is scored instead."""


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One text as the model reads it, and the position of its class, or its scores.

    Attributes:
        prompt_ids: tokens of the text. completion_ids, earlier: none, since nothing is said.
        label: position of the class; :data:`NO_CLASS` of a row with scores.
        cut: the text was longer, and its end is left out.
        scores: shares of the range by dimension, in [0, 1], NaN where the row has none; empty of a row with a class.
    """

    id: str
    prompt_ids: list[int]
    label: int
    cut: bool = False
    completion_ids: list[int] = field(default_factory=list)
    earlier: tuple[tuple[int, int], ...] = ()
    scores: tuple[float, ...] = ()

    @property
    def learnt(self) -> int:
        """Tokens that are learnt to say: none."""
        return 0

    @property
    def length(self) -> int:
        """Tokens of the text."""
        return len(self.prompt_ids)


class MlpHead(torch.nn.Sequential):
    """Input → 512 → 256 → classes, with ReLU and dropout between; weights Xavier-uniform, biases 0.

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural networks", equation 16.
    """

    def __init__(self, inputs: int, classes: int) -> None:
        first, second = _HIDDEN
        super().__init__(
            torch.nn.Linear(inputs, first), torch.nn.ReLU(), torch.nn.Dropout(_DROPOUT),
            torch.nn.Linear(first, second), torch.nn.ReLU(), torch.nn.Dropout(_DROPOUT),
            torch.nn.Linear(second, classes),
        )  # fmt: skip


def load_classifier(
    source: str, device: Device, labels: Sequence[str], head: str, quantization: Quantization | None = None
) -> BaseModel:
    """A base model, decoder or encoder, with a new head; its weights are not drawn before :func:`draw_head`.

    Args:
        labels: the classes in their order, or the dimensions that are scored: the head has an output for each. They
            stand in the model's configuration.
        head: `mlp` or `linear`.
        quantization: in how many bits all but the head is kept; None: in the device's type.

    Raises:
        ModelError: the model is absent, its files are damaged, it cannot carry a head, or it cannot be quantised here.
    """
    from transformers import AutoModelForSequenceClassification

    require_present(source)
    tokenizer = reader_tokenizer(source)
    told: dict[str, Any] = {}
    if quantization is not None:
        quantization.require(device)
        told = quantization.loading(device)
        told["quantization_config"].llm_int8_skip_modules = list(HEADS)
    try:
        with _silent_loading():
            model = AutoModelForSequenceClassification.from_pretrained(
                source,
                num_labels=len(labels),
                id2label=dict(enumerate(labels)),
                label2id={label: position for position, label in enumerate(labels)},
                dtype=getattr(torch, device.dtype_name),
                attn_implementation=device.attention,
                use_safetensors=True,
                **told,
            )
    except Exception as error:  # safetensors, torch and transformers each have their own family
        raise unloadable("weights", source, error) from error
    _put_head(model, head, len(labels), source)
    # With it, transformers' own pooling finds the last token of a padded text.
    model.config.get_text_config().pad_token_id = model.config.pad_token_id = pad_id_of(tokenizer)
    if quantization is None:
        model.to(device.kind)
        if device.bf16_products:
            reduce_products(model)
    else:
        quantization.settle(model, device)
    model.eval()
    commit = getattr(model.config, "_commit_hash", None)
    digests = weights_digest(source, commit), model_digest(source, commit)
    return BaseModel(source, model, tokenizer, *digests, device, quantization)


def reader_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model that reads texts: padding on the right, and no text can name a special token.

    A decoder is pooled at its last token that is no padding, and where padding is the token that ends a turn, a text
    that ends in this token's name would be pooled one token early.
    """
    tokenizer = tokenizer_of(source)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    tokenizer.padding_side = "right"
    tokenizer.split_special_tokens = True
    return tokenizer


def is_decoder(model: Any) -> bool:
    """Whether the model pools the last token, as decoders do, or has a pooling of its own."""
    return hasattr(_inner(model), "score")


def head_of(model: Any) -> Any:
    """The head of a classifier, whatever a method has wrapped it in."""
    inner = _inner(model)
    return next(getattr(inner, name) for name in HEADS if hasattr(inner, name))


def draw_head(model: Any) -> None:
    """Draw the head's weights: Xavier-uniform, biases 0. Call it after the seed is set."""
    with torch.no_grad():
        for module in head_of(model).modules():
            if isinstance(module, torch.nn.Linear):
                torch.nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    torch.nn.init.zeros_(module.bias)


def start_at(model: Any, outputs: Sequence[float]) -> None:
    """Let the head begin near these outputs, one for each: they become its last bias, should it have one."""
    last = [module for module in head_of(model).modules() if isinstance(module, torch.nn.Linear)][-1]
    if last.bias is not None:
        with torch.no_grad():
            last.bias.copy_(torch.tensor(outputs, dtype=last.bias.dtype))


def read_texts(
    texts: Sequence[str],
    labels: Sequence[int],
    ids: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    most: int,
    around: Sequence[str] | None = None,
    scores: Sequence[tuple[float, ...]] | None = None,
) -> list[LabelledRow]:
    """Texts as token ids of at most `most`, their ends left out where they are longer.

    Args:
        around: the text of each in its template; the text inside is cut, not the template. None where there is none.
        scores: of each, by dimension; None of rows with classes.
    """
    whole = _token_ids(around or texts, tokenizer, None)
    longer = [place for place, row in enumerate(whole) if len(row) > most]
    cut = dict(zip(longer, _shortened(texts, around, longer, tokenizer, most), strict=True))
    return [
        LabelledRow(
            ids[place], cut.get(place, row), labels[place], place in cut, scores=scores[place] if scores else ()
        )
        for place, row in enumerate(whole)
    ]


def head_outputs(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """What the head gives, (rows, outputs), in the model's own type: of a classifier the logits of its classes.

    A decoder is pooled at the last token of each row that the mask counts, wherever padding stands and whatever token
    it is made of.
    """
    inner = _inner(model)
    if not is_decoder(model):
        scores: torch.Tensor = model(input_ids=input_ids, attention_mask=attention_mask).logits
        return scores
    places = torch.arange(input_ids.shape[1], device=input_ids.device)
    last = (attention_mask * places).argmax(dim=1)
    # With padding on the left the first token is not at position 0.
    positions = (attention_mask.cumsum(1) - 1).clamp(min=0)
    states = inner.base_model(
        input_ids=input_ids, attention_mask=attention_mask, position_ids=positions, use_cache=False
    ).last_hidden_state
    pooled: torch.Tensor = inner.score(states[torch.arange(len(last), device=last.device), last])
    return pooled


def class_probabilities(
    model: Any,
    tokenizer: Any,
    rows: Sequence[LabelledRow],
    *,
    batch_tokens: int = _PASS_TOKENS,
    on_batch: Callable[[int], None] = lambda rows: None,
    on_rows: Callable[[Sequence[int], np.ndarray], None] = lambda places, probabilities: None,
) -> np.ndarray:
    """Probabilities of the classes, (rows, classes), float64, in the order of the rows.

    Args:
        batch_tokens: tokens of one pass, padding included.
        on_batch: told the number of rows of each finished pass.
        on_rows: told their places and probabilities.
    """
    return read_off(
        model,
        tokenizer,
        rows,
        lambda logits: logits.softmax(-1),
        batch_tokens=batch_tokens,
        on_batch=on_batch,
        on_rows=on_rows,
    )


def read_off(
    model: Any,
    tokenizer: Any,
    rows: Sequence[LabelledRow],
    reading: Callable[[torch.Tensor], torch.Tensor],
    *,
    batch_tokens: int = _PASS_TOKENS,
    on_batch: Callable[[int], None] = lambda rows: None,
    on_rows: Callable[[Sequence[int], np.ndarray], None] = lambda places, said: None,
) -> np.ndarray:
    """What a model with a head says of rows, (rows, outputs), float64, in the order of the rows.

    Args:
        reading: of the outputs of a batch, float32, (rows, outputs).
        batch_tokens: tokens of one pass, padding included.
        on_batch: told the number of rows of each finished pass.
        on_rows: told their places and what was read off.
    """
    found: dict[int, np.ndarray] = {}
    pad_id, device = pad_id_of(tokenizer), next(model.parameters()).device
    lengths = [max(2, row.length) for row in rows]
    with at_rest(model), torch.inference_mode():
        for batch in batches(lengths, batch_tokens):
            ids, mask = padded([rows[place].prompt_ids for place in batch], pad_id, device)
            said = reading(head_outputs(model, ids, mask).float()).cpu().double().numpy()
            found |= dict(zip(batch, said, strict=True))
            on_rows(batch, said)
            on_batch(len(batch))
    return np.stack([found[place] for place in range(len(rows))])


def class_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy in nats of the right classes, (rows,), among probabilities, (rows, classes)."""
    right = probabilities[np.arange(len(probabilities)), labels]
    return float(-np.log(np.maximum(right, TINY)).mean())


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
    config = _inner(model).config
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
    most = limit_of(_inner(model).config, tokenizer, saved.max_length)
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


def _put_head(model: Any, head: str, classes: int, source: str) -> None:
    """Give the model a head that is trained, and so is held in float32 whatever the body's type."""
    name = next((name for name in HEADS if hasattr(model, name)), None)
    if name is None:
        raise ModelError(
            "the model cannot carry a head",
            where=source,
            rule=f"its AutoModelForSequenceClassification has its head under {' or '.join(HEADS)}",
            fix="use method=sft with task=classification, or head=none with task=scoring: the model writes its answer",
        )
    old = getattr(model, name)
    linear = next(module for module in old.modules() if isinstance(module, torch.nn.Linear))
    inputs, like = linear.in_features, linear.weight
    if isinstance(old, torch.nn.Linear):
        made: torch.nn.Module = (
            MlpHead(inputs, classes) if head == "mlp" else torch.nn.Linear(inputs, classes, bias=old.bias is not None)
        )
    elif head == "linear":
        made = old  # the model's own
    else:
        made = _FirstToken(inputs, classes)
    made.register_forward_pre_hook(_in_own_type)
    setattr(model, name, made.to(device=like.device, dtype=torch.float32))


def _in_own_type(head: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    return (given[0].to(next(head.parameters()).dtype), *given[1:])


class _FirstToken(MlpHead):
    """For encoders whose head pools: the first token's state."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Scores of the classes from (rows, tokens, hidden) or (rows, hidden)."""
        scores: torch.Tensor = super().forward(input[:, 0] if input.dim() == 3 else input)
        return scores


def _inner(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _token_ids(texts: Sequence[str], tokenizer: Any, most: int | None) -> list[list[int]]:
    if not texts:
        return []
    told = {"truncation": True, "max_length": most} if most else {}
    ids: list[list[int]] = tokenizer(list(texts), split_special_tokens=True, **told)["input_ids"]
    return ids


def _shortened(
    texts: Sequence[str], around: Sequence[str] | None, places: Sequence[int], tokenizer: Any, most: int
) -> list[list[int]]:
    """The rows at `places`, with as much of the text as fits."""
    chosen = [texts[place] for place in places]
    if around is None:
        return _token_ids(chosen, tokenizer, most)
    made = []
    for place, text in zip(places, chosen, strict=True):
        before, _, after = around[place].partition(text)
        head = _token_ids([before], tokenizer, None)[0]
        if head and head[-1] == tokenizer.sep_token_id:
            made.append(_token_ids([around[place]], tokenizer, most)[0])  # an encoder closes what it reads
            continue
        tail = tokenizer(after, add_special_tokens=False, split_special_tokens=True)["input_ids"] if after else []
        room = max(0, most - len(head) - len(tail))
        inside = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"][:room]
        made.append([*head, *inside, *tail][:most])
    return made


class _silent_loading:
    """transformers warns that the head is new, which it is meant to be."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._level = logging.get_verbosity()
        logging.set_verbosity_error()

    def __exit__(self, *exc: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self._level)
