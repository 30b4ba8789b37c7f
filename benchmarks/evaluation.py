"""Evaluation in sorted batches against batch size 1, identical answers required: `python -m benchmarks.evaluation`."""

from __future__ import annotations

from predictor import environment

environment.prepare()
environment.quiet_libraries()

from benchmarks.interleaved import interleave, seconds  # noqa: E402
from predictor.models.base_model import load_base_model  # noqa: E402
from predictor.models.device import detect  # noqa: E402
from predictor.models.generate import BATCH_ROWS, generate  # noqa: E402
from predictor.models.render import render_prompts  # noqa: E402
from predictor.trial.config import finetune_config  # noqa: E402
from predictor.trial.materials import gather  # noqa: E402
from predictor.trial.sources import base_source  # noqa: E402

QUESTIONS, ROUNDS = 100, 3


def main() -> None:
    config = finetune_config(dataset="lab:size:dial=32:seed=1", eval_limit=QUESTIONS)
    materials = gather(config)
    base = load_base_model(base_source(config.model.base_model), detect())
    prompts = render_prompts(materials.scored, materials.task, base.tokenizer)
    answers: dict[int, list[list[int]]] = {}

    def with_batches_of(rows: int) -> float:
        def work() -> None:
            answers[rows] = generate(
                base.model,
                base.tokenizer,
                prompts,
                max_new_tokens=materials.task.max_new_tokens,
                batch_rows=rows,
            )

        return seconds(work)

    alone, batched, ratio = interleave(lambda: with_batches_of(1), lambda: with_batches_of(BATCH_ROWS), ROUNDS)
    same = sum(a == b for a, b in zip(answers[1], answers[BATCH_ROWS], strict=True))
    print(
        f"{len(prompts)} questions: batch size 1 {alone:.2f} s, batches of {BATCH_ROWS} {batched:.2f} s: {ratio:.1f} x"
    )
    print(f"identical answers: {same} of {len(prompts)}")


if __name__ == "__main__":
    main()
