"""A classifier's fine-tune beside a bare Trainer: `python -m benchmarks.class_speed FOLDER DATASET [ROWS [ROUNDS]]`.

FOLDER is a base model (`minilm` for the encoder that comes with the package), DATASET a file or folder of texts with
labels. Both train the same model with LoRA and the same head on the same batches: rows of like length share one. Ours
has its own loss, passes, curves of every step and its memory of the best; neither evaluates. Told are tokens a second
without padding, and the share of padding in the batches that the model sees.
"""

from __future__ import annotations

import sys
import tempfile
from typing import Any

from predictor import environment

environment.prepare()
environment.quiet_libraries()

import torch  # noqa: E402
from transformers import Trainer, TrainingArguments, set_seed  # noqa: E402

from benchmarks.interleaved import interleave, seconds  # noqa: E402
from predictor.finetune.classes import Classes, labelled_dataset  # noqa: E402
from predictor.finetune.heads import collated, few_widths  # noqa: E402
from predictor.finetune.methods import METHODS  # noqa: E402
from predictor.finetune.plan import plan_training  # noqa: E402
from predictor.finetune.train import train  # noqa: E402
from predictor.models.device import detect  # noqa: E402
from predictor.models.head import draw_head, load_classifier  # noqa: E402
from predictor.trial.class_trial import ClassTrial  # noqa: E402
from predictor.trial.config import finetune_config  # noqa: E402
from predictor.trial.sources import ready_base  # noqa: E402


def main(folder: str, dataset: str, rows: int = 512, rounds: int = 3) -> None:
    config = finetune_config(
        task="classification", base_model=folder, dataset=dataset, train_limit=rows, epochs=1, batch_size=16,
        max_length=128, metric_for_best_model="none", dev_limit=0, eval_limit=1,
    )  # fmt: skip
    trial = ClassTrial(config)
    learnt, hp, device = trial.rows, config.hyperparameters, detect()
    tokens = sum(row.length for row in learnt)
    labels, source = trial.labels, ready_base(folder, kind="any")
    longest = max(row.length for row in learnt)
    seen: list[list[int]] = []

    def fresh() -> Any:
        return load_classifier(source, device, labels, "mlp")

    def ours() -> float:
        plan = plan_training(hp.training, len(learnt), device)
        learning = Classes(len(labels), balanced=False, scores=lambda found: {}, metric=None)
        done = train(fresh(), learnt, hp, plan, seed=1, on_log=lambda step, values: None, learning=learning)
        return tokens / done.seconds

    def bare() -> float:
        base = fresh()
        set_seed(1)
        draw_head(base.model)
        model = METHODS.get("lora").apply(base.model, hp.method.settings)
        pad_id = base.tokenizer.pad_token_id

        def collate(batch: Any) -> Any:
            seen.append([len(row["input_ids"]) for row in batch])
            return collated(batch, pad_id, longest=0)

        with tempfile.TemporaryDirectory() as temporary:
            arguments = TrainingArguments(
                temporary, per_device_train_batch_size=16, num_train_epochs=1, learning_rate=hp.training.learning_rate,
                train_sampling_strategy="group_by_length", length_column_name="length", report_to="none", seed=1,
                save_strategy="no", disable_tqdm=True, use_cpu=device.kind == "cpu", remove_unused_columns=False,
                logging_strategy="no",
            )  # fmt: skip
            trainer = Trainer(model, arguments, data_collator=collate, train_dataset=labelled_dataset(learnt))
            return tokens / seconds(trainer.train)

    mine, theirs, ratio = interleave(ours, bare, rounds)
    places = sum(len(batch) * min(longest, few_widths(max(batch))) for batch in seen)
    padding = 1 - sum(map(sum, seen)) / places
    print(f"{len(learnt)} rows of {tokens / len(learnt):.0f} tokens on average, {torch.get_num_threads()} threads")
    print(f"ours {mine:.0f} tokens/s, bare Trainer {theirs:.0f} tokens/s, ratio {ratio:.2f}; padding {padding:.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:3], *(int(number) for number in sys.argv[3:5]))
