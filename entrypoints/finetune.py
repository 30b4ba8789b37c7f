"""One LoRA fine-tune of a base model on a dataset, recorded as one MLflow run with features, scores and costs."""

from __future__ import annotations

from entrypoints import _cli
from predictor.progress import Progress
from predictor.trial.config import FinetuneConfig

CONFIG = FinetuneConfig


def run(config: FinetuneConfig, progress: Progress) -> None:
    from predictor.flows.finetune import finetune, follow
    from predictor.models.crew import joined

    with joined() as crew:
        if not crew.leads:
            follow(config)
            return
        record = finetune(config, progress)
    for name, value in sorted(record.scores.items()):
        print(f"score/{name:<24} {value:.4g}")
    print(f"run {record.run_id}: {record.costs['total_s']:.0f} s, {record.costs['train_steps']:.0f} optimizer steps")
    _cli.look(record.run_id)


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run, launched=True))
