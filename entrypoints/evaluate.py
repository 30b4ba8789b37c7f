"""What a fine-tune cost: its base and it on the task, on what the base could do before, and on facts; a verdict."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.evaluate import EvaluateConfig
from predictor.progress import Progress

CONFIG = EvaluateConfig


def run(config: EvaluateConfig, progress: Progress) -> None:
    from predictor.flows.evaluate import evaluate
    from predictor.report.evaluation_text import lines

    result = evaluate(config, progress)
    for each in result.evaluated:
        for line in lines(each):
            print(line)
    print(f"run {result.run_id}: report.html")
    _cli.look(result.run_id)


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
