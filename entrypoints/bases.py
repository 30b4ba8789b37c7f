"""The base models that have names, with kind, size, licence and state; brings one into the cache."""

from __future__ import annotations

from entrypoints import _cli
from predictor.flows.bases import BasesConfig
from predictor.progress import Progress

CONFIG = BasesConfig


def run(config: BasesConfig, progress: Progress) -> None:
    from predictor.flows.bases import bases

    print(f"{'name':<10}{'kind':<9}{'size':>7}  {'licence':<12}{'digest':<18}state")
    for base in bases(config, progress):
        state = (
            f"ready in {base.folder}" if base.folder else f"to be fetched: mlflow run . -e bases -P fetch={base.name}"
        )
        row = f"{base.name:<10}{base.kind:<9}{base.megabytes:>4} MB  {base.licence:<12}{base.digest or '-':<18}{state}"
        print(f"{row}\n{'':<10}{base.source}")


if __name__ == "__main__":
    raise SystemExit(_cli.main(CONFIG, run))
