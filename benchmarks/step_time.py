"""A training step of ours against a bare SFTTrainer on the same batches: `python -m benchmarks.step_time`.

Both train the embedded base on the same rows with the same arguments; ours adds what a fine-tune run adds, the
callback that passes curves on and ends a run on a NaN loss. A second pair adds the recorder of the probe's train tier
to the first steps, without the scoring of the development slice, which is a price of the probe and counted there.
"""

from __future__ import annotations

import tempfile

from predictor import environment

environment.prepare()
environment.quiet_libraries()

from benchmarks.interleaved import interleave  # noqa: E402
from predictor.finetune.labels import as_dataset  # noqa: E402
from predictor.finetune.methods import METHODS  # noqa: E402
from predictor.finetune.plan import plan_training, sft_arguments  # noqa: E402
from predictor.finetune.train import train  # noqa: E402
from predictor.models.base_model import load_base_model  # noqa: E402
from predictor.models.device import detect  # noqa: E402
from predictor.models.render import render_rows  # noqa: E402
from predictor.trial.config import finetune_config  # noqa: E402
from predictor.trial.first_steps import FirstSteps  # noqa: E402
from predictor.trial.materials import gather  # noqa: E402
from predictor.trial.sources import base_source  # noqa: E402

STEPS, ROUNDS = 20, 3


def main() -> None:
    config = finetune_config(dataset="lab:size:dial=640:seed=1", batch_size=16, max_steps=STEPS, learning_rate=1e-3)
    materials = gather(config)
    source, device, hp = base_source(config.model.base_model), detect(), config.hyperparameters
    rows = render_rows(materials.train, materials.task, load_base_model(source, device).tokenizer)

    plan = plan_training(hp.training, len(rows), device)

    def ours() -> float:
        base = load_base_model(source, device)
        return train(base, rows, hp, plan, seed=1, on_log=lambda step, values: None).seconds / STEPS

    def watched() -> float:
        base = load_base_model(source, device)
        first = FirstSteps(STEPS, base, materials.task, ())
        return train(base, rows, hp, plan, seed=1, on_log=lambda step, values: None, observer=first).seconds / STEPS

    def bare() -> float:
        import time

        from transformers import set_seed
        from transformers.trainer_callback import PrinterCallback
        from trl import SFTConfig, SFTTrainer

        base = load_base_model(source, device)
        set_seed(1)
        with tempfile.TemporaryDirectory() as folder:
            arguments = sft_arguments(hp.training, plan, device, seed=1, output_dir=folder)
            trainer = SFTTrainer(
                model=METHODS.get(hp.method.name).apply(base.model, hp.method.settings),
                args=SFTConfig(**{**arguments, "eval_strategy": "no"}),
                train_dataset=as_dataset(rows),
                processing_class=base.tokenizer,
            )
            trainer.remove_callback(PrinterCallback)
            started = time.perf_counter()
            trainer.train()
            return (time.perf_counter() - started) / STEPS

    print(f"{len(rows)} rows, batch {hp.training.batch_size}, {STEPS} steps, medians of {ROUNDS} interleaved rounds")
    for name, variant in (("callback", ours), ("callback + probe recorder on every step", watched)):
        a, b, ratio = interleave(variant, bare, ROUNDS)
        print(f"{name:<42} {1e3 * a:6.1f} ms a step, bare SFTTrainer {1e3 * b:6.1f} ms, ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
