"""Moves a version of the predictor to a stage, its alias with it, and archives what was there."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.promote import PromoteConfig
from predictor.progress import Progress

CONFIG = PromoteConfig


def run(config: PromoteConfig, progress: Progress) -> None:
    from predictor.flows.promote import promote_version

    result = promote_version(config)
    for objection in result.objections:
        print(f"forced although {objection} (recorded in the version's tags)")
    print(f"{config.model_name} version {result.version} is in stage {result.stage}")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
