"""What fine-tunes forget, and what prevents it: `python -m benchmarks.forgetting lab`.

`python -m benchmarks.forgetting smollm2 TRAIN EVAL [KNOWLEDGE]` does the same with a real model on real files. Runs go
into a store of their own, `outputs/forgetting/<base>.db`; what is done there is not done again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from predictor import environment

environment.prepare()
environment.quiet_libraries()

import numpy as np  # noqa: E402

from predictor.config import from_values  # noqa: E402
from predictor.evaluation.result import Evaluated  # noqa: E402
from predictor.flows.evaluate import EvaluateConfig, evaluate  # noqa: E402
from predictor.flows.finetune import finetune  # noqa: E402
from predictor.progress import SILENT  # noqa: E402
from predictor.trial.config import finetune_config  # noqa: E402

SEEDS = (1, 2, 3)
Values = dict[str, Any]
Experiment = tuple[Values, Values, dict[str, Values], Values, Values]
"""Parameters of all fine-tunes, of their evaluations, of each way to train, of a deliberate overfit and a clean run."""


def _lab() -> Experiment:
    data = {"dataset": "lab:size:dial=192:seed=7", "eval_limit": 400}
    common = {**data, "batch_size": 16, "epochs": 3.0, "tiers": "static"}
    ways = {
        "full, high rate": {"method": "full", "learning_rate": 3e-3},
        "lora": {"method": "lora", "learning_rate": 5e-3, "lora_dropout": 0.0},
        "full, 5 % replay": {
            "method": "full", "learning_rate": 3e-3, "replay": "lab:original:size=512:seed=1", "replay_share": 0.05,
        },
    }  # fmt: skip
    overfit = {"dataset": "lab:size:dial=32:seed=7", "epochs": 60.0, "method": "full", "learning_rate": 5e-3}
    clean = {"dataset": "lab:size:dial=1024:seed=7", "epochs": 2.0, "learning_rate": 2e-3, "lora_dropout": 0.0}
    return common, {"questions": 400}, ways, overfit, clean


def _smollm2(
    train: str, questions: str, knowledge: str = ""
) -> tuple[Values, Values, dict[str, Values], Values, Values]:
    common = {
        "dataset": f"slice:size=96:{train}", "eval_dataset": questions, "eval_limit": 200, "dev_limit": 32,
        "base_model": "smollm2", "batch_size": 4, "epochs": 2.0, "tiers": "static", "max_length": 512,
    }  # fmt: skip
    alpaca = os.environ.get("PREDICTOR_REPLAY", str(Path(train).parent.parent / "alpaca" / "alpaca_en_demo.json"))
    ways = {
        "full, high rate": {"method": "full", "learning_rate": 3e-4},
        "lora": {"method": "lora", "learning_rate": 1e-3, "lora_dropout": 0.0},
        "full, 5 % replay": {"method": "full", "learning_rate": 3e-4, "replay": alpaca, "replay_share": 0.05},
    }
    asked = {"questions": 200, **({"knowledge": knowledge} if knowledge else {})}
    overfit = {"dataset": f"slice:size=32:{train}", "epochs": 12.0, "learning_rate": 2e-3, "lora_dropout": 0.0}
    clean = {"epochs": 1.0, "learning_rate": 3e-4, "lora_dropout": 0.0}
    return common, asked, ways, overfit, clean


def main(base: str, *files: str) -> None:
    folder = Path("outputs/forgetting")
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{(folder / f'{base}.db').resolve()}"
    common, asked, ways, overfit, clean = _lab() if base == "lab" else _smollm2(*files)
    print(f"{'':<20}{'score, base':>14}{'tuned':>14}{'forgetting':>14}{'noise floor':>14}{'retention':>12}  verdicts")
    for name, values in ways.items():
        found = [_done(base, name, seed, {**common, **values}, asked) for seed in SEEDS]
        print(_line(name, found), flush=True)
    for name, values in (("overfit", overfit), ("clean", clean)):
        one = _done(base, name, 1, {**common, **values}, asked)
        seen = one.overfitting
        print(f"{name}: overfitting {seen.verdict if seen else 'unknown'}; " + "; ".join(a.text for a in one.advice))


def _done(base: str, name: str, seed: int, values: Values, asked: Values) -> Evaluated:
    """The evaluation of a fine-tune, from the store where it is done."""
    from predictor.tracking import read_records
    from predictor.tracking.evaluated import read_evaluation

    config = finetune_config(**values, seed=seed)
    for record in _records(read_records, name):
        if record.seed == seed and record.complete and record.status == "FINISHED" and "forgetting" in record.scores:
            return Evaluated.from_json(read_evaluation(record.run_id, Path("outputs/forgetting")))
    record = finetune(config, SILENT, experiment=name)
    [found] = evaluate(from_values(EvaluateConfig, {"run_id": record.run_id, **asked})).evaluated
    return found


def _records(read: Any, experiment: str) -> Iterator[Any]:
    from predictor.errors import TrackingError

    try:
        yield from read([experiment])
    except TrackingError:
        return


def _line(name: str, found: list[Evaluated]) -> str:
    def spread(values: list[float], scale: float = 100.0) -> str:
        return f"{scale * np.mean(values):.2f} ± {scale * np.std(values, ddof=1):.2f}"

    base = [one.task.score.base for one in found if one.task]
    tuned = [one.task.score.tuned for one in found if one.task]
    kept = [one.retention.whole.retention for one in found if one.retention]
    floor = f"{np.mean([196 * one.forgetting_se for one in found]):.2f}"
    return (
        f"{name:<20}{spread(base):>14}{spread(tuned):>14}{spread([one.forgetting for one in found]):>14}"
        f"{floor:>14}{spread(kept):>12}  {', '.join(one.verdict for one in found)}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
