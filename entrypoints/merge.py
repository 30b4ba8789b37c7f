"""A fine-tune's adapter merged into its base: one folder that transformers loads, compared with the tuned model."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.merge import MergeConfig
from predictor.progress import Progress

CONFIG = MergeConfig


def run(config: MergeConfig, progress: Progress) -> None:
    from predictor.flows.merge import merge

    outcome = merge(config, progress)
    merged = outcome.merged
    print(f"merged    {merged.folder}: {merged.dtype}, from {merged.base_model}")
    for name, parity in (("parity", merged.parity), ("written", merged.written)):
        print(
            f"{name:<9} logits differ by at most {parity.max_logit_difference:.2e}, "
            f"{parity.equal_answers:.1%} of {parity.prompts} {parity.said} are equal"
        )
    print(f"report    {merged.folder}/parity.json, {merged.folder}/README.md")
    if outcome.version:
        print(f"served by mlflow models serve -m models:/{config.register}/{outcome.version} --env-manager local")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
