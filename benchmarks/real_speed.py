"""A real language model on this machine: `python -m benchmarks.real_speed FOLDER TRAIN EVAL [ROUNDS]`.

FOLDER is a base model, TRAIN and EVAL are files of questions, of which 256 and 200 are taken. Four parts; two ways that
are compared take turns:

1. tokens a second of a fine-tune beside a bare loop of forward and backward over the same rows, at the loop's best size
   of a pass, prompts without scores in both;
2. the share of padding in the passes;
3. 200 questions answered by the fine-tuned model, and by a batch size of 1 on the first of them;
4. the forward tier beside one bare forward pass over the same tokens, and beside a fine-tune of 256 rows in three
   epochs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from predictor import environment

environment.prepare()
environment.quiet_libraries()

import torch  # noqa: E402

from benchmarks.interleaved import interleave, seconds  # noqa: E402
from predictor.finetune.fit import fit  # noqa: E402
from predictor.finetune.methods import METHODS  # noqa: E402
from predictor.finetune.plan import plan_training  # noqa: E402
from predictor.finetune.train import train  # noqa: E402
from predictor.models.base_model import load_base_model  # noqa: E402
from predictor.models.device import detect  # noqa: E402
from predictor.models.generate import generate  # noqa: E402
from predictor.models.render import RenderedRow, render_prompts, render_rows  # noqa: E402
from predictor.models.room import room  # noqa: E402
from predictor.probe import answer_marks, forward_features  # noqa: E402
from predictor.trial.config import finetune_config  # noqa: E402
from predictor.trial.costs import peak_memory_mb  # noqa: E402
from predictor.trial.materials import gather  # noqa: E402

BATCH, STEPS, PASS_ROWS, ALONE = 16, 3, (2, 4, 8), 10


def batches_of(rows: Sequence[RenderedRow], size: int) -> list[Sequence[RenderedRow]]:
    """Rows in passes of `size`, those of like length together, as a fine-tune would have them at best."""
    ordered = sorted(rows, key=lambda row: -row.length)
    return [ordered[begin : begin + size] for begin in range(0, len(ordered), size)]


def padded(rows: Sequence[RenderedRow]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, mask, and where the next token is an answer's."""
    width = max(row.length for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask, learnt = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    for place, row in enumerate(rows):
        ids[place, : row.length] = torch.tensor([*row.prompt_ids, *row.completion_ids])
        mask[place, : row.length] = 1
        learnt[place, len(row.prompt_ids) - 1 : row.length - 1] = True
    return ids, mask, learnt


def bare_loop(model: Any, rows: Sequence[RenderedRow], size: int) -> None:
    """Forward and backward over all rows, without optimizer, trainer or curves."""
    inner = model.get_base_model()
    for part in batches_of(rows, size):
        ids, mask, learnt = padded(part)
        states = inner.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        scores = inner.lm_head(states[learnt])
        torch.nn.functional.cross_entropy(scores, ids.roll(-1, 1)[learnt]).backward()


def bare_forward(model: Any, sequences: Sequence[Sequence[int]], tokens: int = 1024) -> None:
    """Scores of all tokens, nothing made of them."""
    rows = [RenderedRow("", list(ids[:-1]), [ids[-1]]) for ids in sequences]
    ordered = sorted(rows, key=lambda row: -row.length)
    with torch.inference_mode():
        while ordered:
            size = max(1, tokens // ordered[0].length)
            ids, mask, _ = padded(ordered[:size])
            model(input_ids=ids, attention_mask=mask, use_cache=False)
            ordered = ordered[size:]


def main(folder: str, train_file: str, eval_file: str, rounds: int = 2) -> None:
    config = finetune_config(
        dataset=train_file, eval_dataset=eval_file, base_model=folder, train_limit=256, eval_limit=200,
        batch_size=BATCH, learning_rate=1e-3, max_steps=STEPS,
    )  # fmt: skip
    hp, device = config.hyperparameters, detect()
    materials = gather(config)
    tokenizer = load_base_model(folder, device).tokenizer
    everything = render_rows(materials.train, materials.task, tokenizer)
    some = everything[: BATCH * STEPS]
    tokens = sum(row.length for row in some)
    print(f"{torch.get_num_threads()} threads; {len(everything)} rows, {tokens / len(some):.0f} tokens on average")

    state: dict[str, Any] = {}

    def ours() -> float:
        base = load_base_model(folder, device)
        plan = plan_training(hp.training, len(some), device)
        plan = state["plan"] = fit(plan, base.model.config, hp, some, device, room(device))
        state["tuned"] = train(base, some, hp, plan, seed=1, on_log=lambda step, values: None)
        return tokens / float(state["tuned"].seconds)

    def bare(size: int) -> Callable[[], float]:
        model = METHODS.get("lora").apply(load_base_model(folder, device).model, hp.method.settings).train()
        return lambda: tokens / seconds(lambda: bare_loop(model, some, size))

    best = max(PASS_ROWS, key=lambda size: bare(size)())
    fine_tune, loop, ratio = interleave(ours, bare(best), rounds)
    print(f"passes of {state['plan'].pass_tokens} tokens; the bare loop is fastest with {best} rows in a pass")
    print(f"fine-tune {fine_tune:.0f} tokens/s, bare loop {loop:.0f} tokens/s, ratio {ratio:.2f}")
    print(f"peak memory {peak_memory_mb():.0f} MB")

    filled = sum(row.length for row in everything)
    cells = sum(len(part) * part[0].length for part in batches_of(everything, best))
    print(f"padding in passes of {best} rows of like length: {1 - filled / cells:.1%}")

    model = state["tuned"].model
    prompts = render_prompts(materials.scored, materials.task, tokenizer)
    most = materials.task.max_new_tokens
    answers: list[list[int]] = []
    taken = seconds(lambda: answers.extend(generate(model, tokenizer, prompts, max_new_tokens=most)))
    alone = generate(model, tokenizer, prompts[:ALONE], max_new_tokens=most, batch_rows=1)
    same = sum(a == b for a, b in zip(alone, answers, strict=False))
    lengths = sorted(len(answer) for answer in answers)
    print(
        f"{len(prompts)} questions: {taken:.0f} s, answers of {lengths[len(lengths) // 2]} tokens, the longest of "
        f"{lengths[-1]}; {same} of {ALONE} as with batch size 1"
    )

    base = load_base_model(folder, device)
    rows = everything[:64]
    dev = render_rows(materials.dev, materials.task, tokenizer)
    empty = tokenizer.apply_chat_template(
        [{"role": "user", "content": ""}], add_generation_prompt=True, tokenize=True, return_dict=False
    )
    read = [[*row.prompt_ids, *row.completion_ids] for row in [*rows, *dev]]
    read += [[*empty, *row.completion_ids] for row in rows]

    def tier() -> float:
        def work() -> None:
            forward_features(base.model, tokenizer, rows, dev=answer_marks(base.model, tokenizer, dev))

        return seconds(work)

    forward, pure, ratio = interleave(tier, lambda: seconds(lambda: bare_forward(base.model, read)), rounds)
    fine_tune_s = 3 * filled / fine_tune
    print(f"forward tier without zero-shot answers {forward:.1f} s, bare forward pass {pure:.1f} s, ratio {ratio:.2f}")
    zero_shot = seconds(
        lambda: generate(
            base.model, tokenizer, render_prompts(materials.dev, materials.task, tokenizer), max_new_tokens=most
        )
    )
    steps = math.ceil(len(everything) / BATCH) * 3
    print(f"zero-shot answers {zero_shot:.1f} s; a fine-tune of {steps} steps in three epochs {fine_tune_s:.0f} s")
    with_answers, without = (forward + zero_shot) / fine_tune_s, forward / fine_tune_s
    print(f"the tier's share of it: {with_answers:.1%}, without answers {without:.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:4], *(int(rounds) for rounds in sys.argv[4:5]))
