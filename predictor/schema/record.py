"""One fine-tune, or one probe, in Python types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from predictor.schema import keys

HpValue = int | float | str | bool


def run_title(dataset: str, method: str, hp: Mapping[str, HpValue], seed: int) -> str:
    """What the UI calls a fine-tune; the rank stands for LoRA, which has one."""
    how = f"r{hp['lora_r']}" if "lora_r" in hp else method
    if "quantization" in hp:
        how = f"{hp['quantization']} {how}"
    return f"{dataset} {how} lr{hp['learning_rate']:g} s{seed}"


@dataclass(frozen=True)
class RunRecord:
    """What one MLflow run of ours says, free of MLflow.

    Attributes:
        run_id: MLflow's id; empty before the run exists.
        kind: `finetune` or `probe`.
        status: MLflow's status (RUNNING, FINISHED, FAILED, KILLED).
        complete: all results were written, in one batch at the end.
        start_time: milliseconds since the epoch, UTC.
        task: the task's name.
        dataset: the source as the user named it.
        family: how the dataset was made, empty where nobody said so; datasets of one family err alike.
        dataset_fingerprint: digest of the accepted rows.
        row_sketch: hashes of the rows' inputs by which datasets that share rows are recognised.
        eval_fingerprint: digest of the scored questions; scores on different questions are not comparable.
        base_model: as the user named it; `base_model_digest` is of its weights.
        encoder_digest: of the sentence encoder's weights, empty when no encoder was used.
        seed: seeds the data order, the LoRA initialisation and dropout.
        config_hash: identity of everything that determines the result.
        code_revision: of the code that makes the numbers.
        method: how weights were changed.
        train_limit, eval_limit, dev_limit, probe_steps: sizes of the run, None where it was written without them.
        hp: Hj by field name. probe, scores, costs: metrics by name, without their prefix.
        failure: the reason, for a run that failed.
    """

    run_id: str = ""
    kind: str = keys.KIND_FINETUNE
    status: str = "RUNNING"
    complete: bool = False
    start_time: int = 0
    task: str = ""
    dataset: str = ""
    family: str = ""
    dataset_fingerprint: str = ""
    row_sketch: tuple[str, ...] = ()
    eval_dataset: str = ""
    eval_fingerprint: str = ""
    base_model: str = ""
    base_model_digest: str = ""
    encoder_digest: str = ""
    seed: int = 0
    config_hash: str = ""
    code_revision: str = ""
    method: str = "lora"
    train_limit: int | None = None
    eval_limit: int | None = None
    dev_limit: int | None = None
    probe_steps: int | None = None
    hp: Mapping[str, HpValue] = field(default_factory=dict)
    probe: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None

    def ineligible(self, target: str) -> str | None:
        """Why this run may not teach a predictor of `target` (`score/<name>`), or None when it may.

        A run counts only if it is FINISHED, complete, and its target and required values are finite: a failed run
        is never a low score.
        """
        if self.kind != keys.KIND_FINETUNE:
            return f"kind is {self.kind}"
        if self.status != "FINISHED":
            return f"status is {self.status}"
        if not self.complete:
            return "results are incomplete"
        name = target.removeprefix(keys.SCORE)
        if name not in self.scores:
            return f"has no {keys.SCORE}{name}"
        if not math.isfinite(self.scores[name]):
            return f"{keys.SCORE}{name} is not finite"
        return None
