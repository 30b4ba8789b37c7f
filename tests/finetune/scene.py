"""A short fine-tune with all that a checkpoint must carry: two epochs, gradient accumulation, dropout, a probe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.tiny import qa_rows
from predictor.data.example import Example
from predictor.finetune.checkpoints import Checkpoints
from predictor.finetune.plan import plan_training
from predictor.finetune.settings import Hyperparameters, hyperparameters
from predictor.finetune.train import train
from predictor.models.base_model import load_base_model
from predictor.models.device import Device
from predictor.models.render import render_rows
from predictor.probe import train_features
from predictor.tasks import TASKS
from predictor.trial.first_steps import FirstSteps

CPU = Device("cpu", bf16=False, flash_attention=False, memory_bytes=0)
QA = TASKS.get("qa")
HP = hyperparameters(learning_rate=1e-2, batch_size=4, per_device_batch_size=2, epochs=2.0, weight_decay=0.01)
"""On ten rows: three optimizer steps an epoch, the last of each from one forward pass only."""
STEPS = 6
PROBE_STEPS = 3


class Cut(Exception):
    """The fine-tune was cut off here."""


@dataclass(frozen=True)
class Outcome:
    """What must be equal to the bit; `features` and `curves` as text, in which floats are exact and NaN equals NaN."""

    weights: dict[str, bytes]
    curves: str
    features: str
    steps: int
    tokens: int


def tune(
    base_folder: Path,
    checkpoints: Checkpoints | None = None,
    *,
    hp: Hyperparameters = HP,
    cut: Callable[[int, Mapping[str, float]], bool] = lambda step, values: False,
    rows: int = 10,
    seed: int = 1,
    stop_after: int | None = None,
) -> Outcome:
    """Fine-tune the tiny model; raise Cut at the first point of a curve for which `cut` says so."""
    base = load_base_model(str(base_folder), CPU)
    examples = [Example(str(i), context=c, question=q, answers=(a,)) for i, (c, q, a) in enumerate(qa_rows(rows + 2))]
    rendered = render_rows(examples, QA, base.tokenizer)
    points: list[tuple[int, dict[str, float]]] = []

    def on_log(step: int, values: Mapping[str, float]) -> None:
        points.append((step, dict(values)))
        if cut(step, values):
            raise Cut

    first = FirstSteps(PROBE_STEPS, base, QA, examples[rows:], rendered[rows:])
    tuned = train(
        base,
        rendered[:rows],
        hp,
        plan_training(hp.training, rows, CPU, dev_rows=2),
        seed=seed,
        on_log=on_log,
        dev_rows=rendered[rows:],
        observer=first,
        stop_after=stop_after,
        checkpoints=checkpoints,
    )
    weights = {n: p.detach().numpy().tobytes() for n, p in tuned.model.named_parameters() if p.requires_grad}
    features = {**train_features(first.trace()), **first.scores}
    return Outcome(weights, repr(points), repr(features), tuned.steps, tuned.tokens)


def settings(folder: Path, notes: list[str] | None = None, **more: object) -> Checkpoints:
    """Checkpoints after every step in `folder`, of the identity `same`."""
    heard = [] if notes is None else notes
    return Checkpoints(folder, **{"identity": "same", "every_steps": 1, "note": heard.append, **more})  # type: ignore[arg-type]


def step_folders(folder: Path) -> list[str]:
    """Names of the checkpoints that are in place."""
    return sorted(entry.name for entry in folder.iterdir() if entry.name.startswith("step-"))
