"""What determines one fine-tune, in sections; each section is owned by what reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from predictor.config import (
    LAB,
    TIERS,
    Chosen,
    Sectioned,
    choice,
    from_values,
    nested,
    param,
    parameters_of,
    section,
    shortened,
    split_list,
)
from predictor.config.fields import Parameter
from predictor.finetune.methods import METHODS
from predictor.finetune.settings import Hyperparameters
from predictor.schema import run_title
from predictor.tasks import TASKS


@dataclass(frozen=True)
class Data:
    """What is learnt from."""

    dataset: str = param(
        "lab:size:dial=512:seed=1",
        "training data: a file, a folder, a hub id, lab:FAMILY:dial=…:size=…:seed=…, or spoil:, mix:, slice: of these",
    )
    train_limit: int = param(0, "use only this many training rows, drawn by seed; 0 uses all", least=0)
    family: str = param(
        "",
        "how the dataset was made: a predictor is also judged on families left out; empty: as its lab: or spoil: says",
    )
    leak: str = param(
        "note",
        "training rows that are also scored or development questions: note says so, refuse ends with an error",
        choices=("note", "refuse"),
    )
    replay: str = param(
        "", "rows of what the base could do before, mixed into the training rows against forgetting; in the same forms"
    )
    replay_share: float = param(
        0.05, "share of the rows of replay in all that is trained on, a fraction", above=0.0, most=0.9
    )

    order: str = param(
        "lengths",
        "order of the rows: lengths (random, rows of like length together), random, by_task (batches of one task, of a "
        "join: of several), as_given",
        choices=("lengths", "random", "by_task", "as_given"),
        listed=False,
    )

    @property
    def short_name(self) -> str:
        """The dataset without its folders."""
        return shortened(self.dataset)


@dataclass(frozen=True)
class Model:
    """What is fine-tuned."""

    base_model: str = param(
        LAB,
        "base model: lab (embedded), smollm2 (real English, 135M, fetched once), a folder, or a hub id such as "
        "Qwen/Qwen2.5-7B-Instruct-1M; mlflow run . -e bases lists the names",
    )
    start_from: str = param(
        "", "folder with the adapter of an earlier fine-tune of this base to go on from; empty starts with the base"
    )
    keep_optimizer: bool = param(
        False,
        "the optimizer's state is kept beside the adapter, and gone on with where start_from has one",
        listed=False,
    )


@dataclass(frozen=True)
class Evaluation:
    """What it is scored on."""

    eval_dataset: str = param(
        "lab:evaluation",
        "evaluation data, in the same forms as dataset; split:0.1 holds out a tenth of the dataset, by conversation or "
        "passage, as chat and summarization do when nothing is said",
    )
    eval_limit: int = param(1000, "questions that are scored; 0 scores all", least=0)
    dev_limit: int = param(
        64, "questions of the evaluation file set aside, never scored, for the zero-shot and early scores", least=0
    )


@dataclass(frozen=True)
class Probe:
    """What is measured before and in the first steps."""

    probe_steps: int = param(10, "optimizer steps that the train tier of the probe watches", least=2)
    tiers: str = param(",".join(TIERS), "price tiers of the probe, separated by commas", entries=TIERS)

    @property
    def tier_list(self) -> tuple[str, ...]:
        """The chosen tiers, cheapest first."""
        chosen = split_list(self.tiers)
        return tuple(tier for tier in TIERS if tier in chosen)


@dataclass(frozen=True)
class Execution:
    """How it is carried out. Of these only the seed changes any number."""

    seed: int = param(1, "seeds the data order, the method's own weights and dropout", least=0)
    checkpoint_steps: int = param(
        0,
        "optimizer steps between checkpoints, from which the same fine-tune goes on when it was cut off; 0 writes none",
        least=0,
    )
    checkpoint_dir: str = param("checkpoints", "folder for checkpoints; each fine-tune has its own in it")
    evaluate: bool = param(False, "compare the fine-tune with its base at the end, as -e evaluate does")
    evaluation_config: str = param("", "a .yaml or .json file with parameters of evaluate, for evaluate=true")


NO_HEAD: Final = "none"
"""What the parameter `head` says of a task whose model writes its answers."""
WITHOUT_EFFECT: Final = ("family", "checkpoint_steps", "checkpoint_dir", "evaluate", "evaluation_config")
"""Parameters that change how a fine-tune is carried out or told of, but no number of its result."""


@dataclass(frozen=True)
class FinetuneConfig(Sectioned):
    """Everything that determines one fine-tune: the dataset Di, the evaluation, the base model M, Hj and the seed."""

    data: Data = section(Data)
    evaluation: Evaluation = section(Evaluation)
    task: Chosen = choice(
        lambda: TASKS,
        "qa",
        "what doing well means: qa (exact match and F1 as SQuAD scores), chat (every answer of a conversation) or "
        "summarization (ROUGE)",
    )
    model: Model = section(Model)
    hyperparameters: Hyperparameters = nested(Hyperparameters)
    probe: Probe = section(Probe)
    execution: Execution = section(Execution)

    @property
    def has_head(self) -> bool:
        """Whether a head is trained, that says a class or gives scores, instead of a model that writes answers."""
        writes = getattr(METHODS.get(self.hyperparameters.method.name), "writes", False)
        return getattr(self.task.settings, "head", NO_HEAD) != NO_HEAD and not writes

    @property
    def base_kind(self) -> str:
        """What a base model with a name must be: `decoder`, or `any` where it gets a head."""
        return "any" if self.has_head else "decoder"

    @property
    def title(self) -> str:
        """What the UI calls the run."""
        hp = self.hyperparameters
        return run_title(self.data.short_name, hp.method.name, hp.logged(), self.execution.seed)


def finetune_config(**values: Any) -> FinetuneConfig:
    """The configuration of one fine-tune from parameters by their one name, the others at their defaults.

    Raises:
        ConfigError: an unknown parameter, or a value that breaks its rule.
    """
    return from_values(FinetuneConfig, values)


def config_of(stored: Mapping[str, Any]) -> FinetuneConfig:
    """The configuration that an earlier run has stored, in sections or flat.

    Parameters of another version of the package, which this one does not have, are left out: the run had no use for
    what this version added, nor this version for what it took away.
    """
    flat: dict[str, Any] = {}
    for name, value in stored.items():
        flat |= value if isinstance(value, Mapping) else {name: value}
    picked: dict[str, str] = {name: flat[name] for name in ("task", "method") if name in flat}
    known = parameters_of(FinetuneConfig, picked)
    return from_values(FinetuneConfig, {name: value for name, value in flat.items() if name in known})


def hyperparameters_of(method: str = "lora") -> dict[str, Parameter]:
    """The fields of Hj by name: what varies from one fine-tune of a dataset to another."""
    return {name: p for name, p in parameters_of(Hyperparameters, {"method": method}).items() if name != "method"}
