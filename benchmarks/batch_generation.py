"""Answers in batches beside answers one by one, in turns: rows a second, and whether they are the same.

`python -m benchmarks.batch_generation [MODEL [DATASET [ROWS [ROUNDS]]]]`, at first lab and lab:evaluation.
"""

from __future__ import annotations

import sys

from benchmarks.interleaved import interleave, seconds
from predictor import environment


def main(model: str = "lab", dataset: str = "lab:evaluation", rows: str = "128", rounds: str = "3") -> None:
    environment.prepare()
    environment.quiet_libraries()
    from predictor.models.generate import generate
    from predictor.models.render import render_turns
    from predictor.serving.opening import open_model
    from predictor.serving.questions import Question, read_questions
    from predictor.tasks import TASKS
    from predictor.tracking.tuned import fetch_tuned
    from predictor.trial.sources import dataset_source

    opened = open_model(model, fetch_tuned)
    found = [q for q in read_questions(dataset_source(dataset), TASKS.get("qa")) if isinstance(q, Question)]
    tokenizer = opened.base.tokenizer
    prompts = [render_turns(question.turns, tokenizer) for question in found[: int(rows)]]
    said: dict[bool, list[list[int]]] = {}

    def ask(*, together: bool) -> None:
        more = {} if together else {"batch_rows": 1}
        said[together] = generate(opened.model, tokenizer, prompts, max_new_tokens=64, **more)

    alone, batched, ratio = interleave(
        lambda: seconds(lambda: ask(together=False)), lambda: seconds(lambda: ask(together=True)), int(rounds)
    )
    same = sum(a == b for a, b in zip(said[True], said[False], strict=True))
    print(f"{len(prompts)} rows: one by one {alone:.1f} s, in batches {batched:.1f} s, ratio {ratio:.2f}")
    print(f"{same} of {len(prompts)} answers are equal")


if __name__ == "__main__":
    main(*sys.argv[1:5])
