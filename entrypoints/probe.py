"""The features of a fine-tune without the fine-tune, in a run of kind `probe`; `tiers` chooses the price."""

from __future__ import annotations

from entrypoints import _cli
from predictor.progress import Progress
from predictor.trial.config import FinetuneConfig

CONFIG = FinetuneConfig


def run(config: FinetuneConfig, progress: Progress) -> None:
    from predictor.flows.probe import probe_dataset
    from predictor.probe import explain

    record = probe_dataset(config, progress)
    for name, value in record.probe.items():
        print(f"probe/{name:<32} {value:>12.5g}  {explain(name)}")
    print(f"run {record.run_id}: {record.costs['total_s']:.0f} s, tiers {config.probe.tiers}")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
