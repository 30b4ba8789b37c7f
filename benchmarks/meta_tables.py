"""The predictor on tables of real fine-tunes made elsewhere: `python -m benchmarks.meta_tables FOLDER [TABLE ...]`.

FOLDER holds `proxylm_mt560.csv`, `proxylm_nusa.csv`, `peft_metamathqa_runs.csv` and `peft_metamathqa_curves.csv`.
Tables: `mt560` (random split, and one language left out in turn as source and as target), `nusa` (learn from one table,
test on the other), `peft` (rank the final accuracy from the first tenth of the curve, one experiment left out in turn).
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from predictor import environment

environment.prepare()
environment.quiet_libraries()

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from predictor.meta.scores import spearman  # noqa: E402
from predictor.meta.tune import Budget, tune  # noqa: E402
from predictor.meta.validate import fit_on, validate  # noqa: E402
from predictor.table import Table, from_file  # noqa: E402

MODEL = "m2m100"
GROUPS = "source_lang,target_lang"
# What is known before the fine-tune: the data, the languages, and the scores of cheaper models and of the base model.
FEATURES = (
    r"size|genetic|geographic|syntactic|inventory|phonological|featural|avg_|overlap|ttr|jsd|tf_idf|st_similarity"
    r"|eng_target|^(trfm|small100_ft|small100_noft|{model}_noft)_spBLEU_mean$"
)
FIRST_TENTH = 500
CURVES = {
    "loss and accuracy": ["train loss", "valid accuracy"],
    # How long the evaluation takes says how long the answers are.
    "and time of evaluation": ["train loss", "valid accuracy", "eval time"],
    "every column of the curve": [
        "train loss",
        "valid accuracy",
        "eval time",
        "train time",
        "tokens / sec",
        "mem allocated avg",
    ],
}
SEEDS = 3


def mt560(folder: Path) -> None:
    table = translations(folder / "proxylm_mt560.csv")
    budget = Budget.for_rows(len(table))
    for split in ("random", "lolo"):
        for found in validate(table, split, budget, with_baselines=False):
            metrics = found.metrics
            print(
                f"mt560 {found.split}: RMSE {metrics['rmse']:.2f} (mean over groups where groups are left out), "
                f"coverage {100 * metrics['coverage']:.0f} %",
                flush=True,
            )


def nusa(folder: Path) -> None:
    taught = translations(folder / "proxylm_mt560.csv")
    tested = translations(folder / "proxylm_nusa.csv")
    budget = Budget.for_rows(len(taught))
    tuned = tune(taught.matrix, taught.y, taught.group, categorical=(), trials=budget.trials, budget=budget, seed=0)
    model = fit_on(taught, np.arange(len(taught)), tuned.recipe, seed=0, threads=1)
    error = model.predict(taught.schema.matrix(tested.rows)) - tested.y
    print(f"mt560 -> nusa: RMSE {np.sqrt(np.mean(error**2)):.2f}", flush=True)


def peft(folder: Path) -> None:
    runs = pd.read_csv(folder / "peft_metamathqa_runs.csv")
    curves = pd.read_csv(folder / "peft_metamathqa_curves.csv")
    early = curves[curves["step"] <= FIRST_TENTH]
    for what, columns in CURVES.items():
        wide = early.pivot_table(index="experiment", columns="step", values=columns)
        wide.columns = pd.Index([f"early {name} {step}" for name, step in wide.columns])
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch, "peft.csv")
            runs.merge(wide, left_on="experiment", right_index=True).to_csv(path, index=False)
            table = from_file(
                path,
                "test_acc",
                "experiment",
                features="^early|^(r|alpha|lr|wd|opt|trainable|mem_max)$",
                unit="fraction",
            )
        budget = replace(Budget.for_rows(len(table)), fits=len(table))
        found = [validate(table, "group", budget, seed=seed, with_baselines=False)[0].metrics for seed in range(SEEDS)]
        ranks = [each["spearman"] for each in found]
        print(
            f"peft, {what}, one experiment left out: Spearman {', '.join(f'{rank:.4f}' for rank in ranks)},"
            f" mean {np.mean(ranks):.4f}, RMSE {np.mean([each['rmse'] for each in found]):.4f}",
            flush=True,
        )
    loss = table.rows[f"early train loss {FIRST_TENTH}"].to_numpy()
    print(f"minus the training loss at a tenth alone: {spearman(-loss, table.y):.4f}")


def translations(path: Path, model: str = MODEL) -> Table:
    features = FEATURES.format(model=model)
    return from_file(path, f"{model}_ft_spBLEU_mean", GROUPS, features=features, unit="points")


TABLES = {"peft": peft, "nusa": nusa, "mt560": mt560}


def main(arguments: list[str]) -> int:
    if not arguments or not set(arguments[1:]) <= set(TABLES):
        print(__doc__)
        return 1
    for name in arguments[1:] or TABLES:
        TABLES[name](Path(arguments[0]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
