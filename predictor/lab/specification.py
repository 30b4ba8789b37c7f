"""Dataset names such as `lab:wrong_answers:dial=0.3:size=512:seed=1`, and the ordinary files they stand for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from predictor.cache import cache_folder
from predictor.catalog import did_you_mean
from predictor.data.example import Example
from predictor.errors import ConfigError
from predictor.files import whole_file
from predictor.lab.families import FAMILIES, generate
from predictor.lab.items import evaluation_items
from predictor.lab.original import original_examples

WORLD_VERSION: Final = "4"
"""Changed whenever the same name would give other rows."""
PREFIX: Final = "lab:"
EVALUATION: Final = "lab:evaluation"
EVALUATION_ROWS: Final = 1280
ORIGINAL: Final = "original"
"""What the base model was taught, as rows of a dataset: no family, for nothing in it is poor."""
DEFAULT_SIZE: Final = 512
_RULE: Final = "lab:evaluation, lab:original:size=ROWS:seed=NUMBER, or lab:FAMILY:dial=NUMBER:size=ROWS:seed=NUMBER"


@dataclass(frozen=True)
class DatasetName:
    """A dataset of a family. `text` is the one spelling of it."""

    family: str
    dial: float
    size: int
    seed: int

    @property
    def text(self) -> str:
        """The name as :func:`parse` reads it; without `size=` where the dial is the number of rows itself."""
        size = "" if self.family == "size" else f":size={self.size}"
        dial = "" if self.family == ORIGINAL else f":dial={self.dial:g}"
        return f"{PREFIX}{self.family}{dial}{size}:seed={self.seed}"


def parse(spec: str) -> DatasetName:
    """The dataset that a name `lab:FAMILY:…` stands for; what is left out has its default.

    Defaults: the dial at the family's best setting, 512 rows, seed 1.

    Raises:
        ConfigError: the name has another form, or an unknown family or parameter.
    """
    prefix, _, rest = spec.partition(":")
    family, *parts = rest.split(":")
    if prefix != "lab" or not family:
        raise ConfigError(f"'{spec}' is not the name of a lab dataset", rule=_RULE)
    values: dict[str, Any] = {"size": DEFAULT_SIZE, "seed": 1}
    if family != ORIGINAL:
        values["dial"] = FAMILIES.get(family, where=spec).settings[0]
    for part in parts:
        name, equals, text = part.partition("=")
        if name not in values or not equals:
            raise ConfigError(f"unknown parameter '{part}'", where=spec, rule=_RULE, fix=did_you_mean(name, values))
        try:
            values[name] = float(text) if name == "dial" else int(text)
        except ValueError:
            kind = "a number" if name == "dial" else "a whole number"
            raise ConfigError(f"{name}='{text}' is not {kind}", where=spec, rule=_RULE) from None
    if family == ORIGINAL and values["size"] < 1:
        raise ConfigError(f"size={values['size']} is below 1", where=spec, rule=_RULE)
    return DatasetName(family, **{"dial": 0.0, **values})


def materialise(spec: str, cache: Path | None = None) -> Path:
    """The SQuAD v1.1 file of a lab dataset, written the first time it is asked for.

    Args:
        spec: `lab:evaluation`, `lab:original:size=…:seed=…` or `lab:FAMILY:dial=…:size=…:seed=…`.
        cache: folder for the files; by default `lab/<world version>` in `$PREDICTOR_CACHE`, else in
            `~/.cache/finetune-predictor`.

    Raises:
        ConfigError: the name, family, dial or size is not valid.
    """
    name = None if spec == EVALUATION else parse(spec)
    text = name.text if name else EVALUATION
    folder = cache if cache is not None else cache_folder() / "lab" / WORLD_VERSION
    path = folder / (text.removeprefix(PREFIX).replace(":", "-").replace("=", "") + ".json")
    if not path.exists():
        examples = _rows(name) if name else evaluation_examples()
        # Two processes may write it at once, with equal bytes. It is believed from then on, so it has to last.
        with whole_file(path, durable=True, encoding="utf-8") as file:
            file.write(squad_text(text, examples))
    return path


def _rows(name: DatasetName) -> Sequence[Example]:
    if name.family == ORIGINAL:
        return original_examples(name.size, name.seed)
    return generate(name.family, name.dial, name.size, name.seed)


def evaluation_examples() -> list[Example]:
    """The fixed questions over all relations.

    1 000 are scored by default; there are as many more as let a fifth of the file stay aside for the development slice.
    """
    return [item.example(f"evaluation-{number}") for number, item in enumerate(evaluation_items(EVALUATION_ROWS))]


def squad_text(title: str, examples: Sequence[Example]) -> str:
    """SQuAD v1.1 JSON of one article; neighbouring rows with the same context share a paragraph."""
    paragraphs: list[dict[str, Any]] = []
    for example in examples:
        if not paragraphs or paragraphs[-1]["context"] != example.context:
            paragraphs.append({"context": example.context, "qas": []})
        starts = example.answer_starts or (-1,) * len(example.answers)
        answers = [{"text": text, "answer_start": start} for text, start in zip(example.answers, starts, strict=True)]
        paragraphs[-1]["qas"].append({"id": example.id, "question": example.question, "answers": answers})
    document = {"version": "1.1", "data": [{"title": title, "paragraphs": paragraphs}]}
    return json.dumps(document, ensure_ascii=False) + "\n"
