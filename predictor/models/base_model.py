"""The base model M and its tokenizer, from a folder or the hub."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from predictor.catalog import did_you_mean
from predictor.config import LAB
from predictor.errors import ModelError
from predictor.models.bases import BASES
from predictor.models.device import Device
from predictor.models.digests import model_digest, planned_digest, weights_digest
from predictor.models.quantization import Quantization

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["BaseModel", "fetch", "load_base_model", "load_tokenizer", "planned_digest", "weights_digest"]


@dataclass
class BaseModel:
    """A loaded base model.

    Attributes:
        source: the folder or hub id that it was loaded from.
        digest: 16 hex digits over its weights (of a hub model: its commit), by which runs on the same base are known.
        model_digest: the same over configuration, tokenizer and chat template too, for the identity of a fine-tune.
        device: where it runs.
        quantization: in how many bits its matrices are kept; None: in the device's type.
    """

    source: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    digest: str
    model_digest: str
    device: Device
    quantization: Quantization | None = None


def load_tokenizer(source: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a base model, padding on the left, with a pad token and a chat template.

    Raises:
        ModelError: it cannot be found, or has no chat template.
    """
    tokenizer = tokenizer_of(source)
    if not tokenizer.chat_template:
        raise ModelError(
            "the base model's tokenizer has no chat template",
            where=source,
            rule="examples are put to the model as chat turns",
            fix="use an instruct model, such as Qwen/Qwen2.5-7B-Instruct-1M",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    # Right padding makes a decoder continue from pad tokens and gives wrong answers.
    tokenizer.padding_side = "left"
    return tokenizer


def tokenizer_of(source: str) -> PreTrainedTokenizerBase:
    """The tokenizer of a model as its files have it.

    Raises:
        ModelError: it cannot be found.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    require_present(source)
    loader = PreTrainedTokenizerFast if _is_described_whole(source) else AutoTokenizer
    try:
        tokenizer: PreTrainedTokenizerBase = loader.from_pretrained(source)
    except (OSError, ValueError, KeyError) as error:
        raise unloadable("tokenizer", source, error) from error
    return tokenizer


_WHOLE: Final = "PreTrainedTokenizerFast"
"""The class that is nothing but tokenizer.json."""


def _is_described_whole(source: str) -> bool:
    """The folder's tokenizer.json is the whole tokenizer: `tokenizer_class` names no model's own class.

    AutoTokenizer overrides that for a Qwen2 model and splits words as Qwen2 does, whatever tokenizer.json says.
    """
    try:
        settings = json.loads((Path(source).expanduser() / "tokenizer_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(settings, dict) and settings.get("tokenizer_class") == _WHOLE


def save_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write a tokenizer so that :func:`load_tokenizer` reads the very same one.

    Of one that is nothing but its tokenizer.json transformers 5 writes a class name by which neither it nor earlier
    versions would read it back for every kind of model.
    """
    from transformers import PreTrainedTokenizerFast

    tokenizer.save_pretrained(str(folder))
    if type(tokenizer) is PreTrainedTokenizerFast:
        file = folder / "tokenizer_config.json"
        settings = {**json.loads(file.read_text(encoding="utf-8")), "tokenizer_class": _WHOLE}
        file.write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_base_model(source: str, device: Device, quantization: Quantization | None = None) -> BaseModel:
    """Load M in the device's dtype, or in fewer bits, with the attention that it supports.

    Raises:
        ModelError: the model is absent (and the hub out of reach), its files are damaged, or the package that
            quantises is missing or cannot serve.
    """
    import torch
    from transformers import AutoModelForCausalLM

    tokenizer = load_tokenizer(source)
    if quantization is not None:
        quantization.require(device)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source,
            # A model loaded by name without a dtype comes in float32, twice the memory of its own weights.
            dtype=getattr(torch, device.dtype_name),
            attn_implementation=device.attention,
            use_safetensors=True,
            **(quantization.loading(device) if quantization else {}),
        )
    except Exception as error:  # safetensors, torch and transformers each have their own family
        raise unloadable("weights", source, error) from error
    return settled(source, model, tokenizer, device, quantization)


def settled(
    source: str,
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    device: Device,
    quantization: Quantization | None = None,
) -> BaseModel:
    """A model that was read from its files, on the device, at rest, with the products that the device has."""
    from predictor.models.products import reduce_products

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


def fetch(source: str) -> None:
    """Bring a hub model into the local cache, so that workers started afterwards find it there.

    Raises:
        ModelError: the hub is out of reach or has no such model.
    """
    from huggingface_hub import snapshot_download

    require_present(source)
    try:
        snapshot_download(source, allow_patterns=["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model"])
    except Exception as error:  # the hub, httpx and the disk each have their own family
        raise unloadable("files", source, error) from error


def require_present(source: str) -> None:
    folder, names = Path(source).expanduser(), {LAB, *BASES.names()}
    looks_local = folder.is_absolute() or source.startswith((".", "~")) or source.count("/") != 1
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ModelError(
                "the folder holds no model",
                where=str(folder.resolve()),
                rule="a base model's folder has config.json, tokenizer.json and *.safetensors",
                fix="name the folder that `save_pretrained` wrote",
            )
    elif looks_local:
        raise ModelError(
            f"base model '{source}' does not exist",
            where=str(folder.resolve()),
            rule=f"base_model is a name ({', '.join(sorted(names))}), a folder, or a hub id OWNER/NAME",
            fix=did_you_mean(source, names) if _may_be_a_name(source) else "check the path, or take one of the names",
        )
    else:
        _require_hub(source)


def _may_be_a_name(source: str) -> bool:
    return not {"/", "\\", "."} & set(source)


def _require_hub(source: str) -> None:
    from huggingface_hub import hf_hub_download

    try:
        hf_hub_download(source, "config.json", etag_timeout=5)
    except Exception as error:  # the hub client has a dozen families; each means that the model is not to be had
        raise ModelError(
            f"base model '{source}' is not in the local cache and cannot be fetched ({type(error).__name__})",
            where="Hugging Face hub",
            rule="a hub id needs the network once, or a cache filled before",
            fix="connect, or run `hf download "
            + source
            + "` where there is a network and copy the cache, or use base_model=lab or smollm2",
        ) from error


def unloadable(part: str, source: str, error: Exception) -> ModelError:
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return ModelError(
        f"the base model's {part} cannot be loaded: {first}",
        where=source,
        rule="config.json, tokenizer.json and *.safetensors of a causal language model that needs no code of its own",
        fix="load the model once with AutoModelForCausalLM to see what is missing, or download it again",
    )
