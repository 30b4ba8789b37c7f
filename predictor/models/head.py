"""The head on a base model, for classes or scores: put on, drawn, asked.

Whatever gives scores (:mod:`predictor.models.scorer`) has the same head as a classifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import torch

from predictor.errors import ModelError
from predictor.models.base_model import BaseModel, require_present, settled, tokenizer_of, unloadable
from predictor.models.device import Device
from predictor.models.quantization import Quantization
from predictor.models.shape import HEADS
from predictor.probe.batching import pad_id_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_HIDDEN: Final = (512, 256)
_DROPOUT: Final = 0.1


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
    return settled(source, model, tokenizer, device, quantization)


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
    return hasattr(unwrapped(model), "score")


def head_of(model: Any) -> Any:
    """The head of a classifier, whatever a method has wrapped it in."""
    inner = unwrapped(model)
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


def head_outputs(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """What the head gives, (rows, outputs), in the model's own type: of a classifier the logits of its classes.

    A decoder is pooled at the last token of each row that the mask counts, wherever padding stands and whatever token
    it is made of.
    """
    inner = unwrapped(model)
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


def unwrapped(model: Any) -> Any:
    """The model itself, without what peft has put around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


class _silent_loading:
    """transformers warns that the head is new, which it is meant to be."""

    def __enter__(self) -> None:
        from transformers.utils import logging

        self._level = logging.get_verbosity()
        logging.set_verbosity_error()

    def __exit__(self, *exc: object) -> None:
        from transformers.utils import logging

        logging.set_verbosity(self._level)
