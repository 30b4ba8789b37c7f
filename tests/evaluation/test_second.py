"""Forgetting as a second number: a target of its own, beside the score of each candidate."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from benchmarks.synthetic_runs import records
from entrypoints import meta as entry
from predictor.evaluation.second import registered_as, with_forgetting
from predictor.evaluation.targets import FORGETTING, RETENTION
from predictor.flows import meta as flow
from predictor.meta.baselines import OF_TARGET, baselines
from predictor.progress import SILENT
from predictor.schema.targets import target_of
from predictor.table import build


def test_a_ranking_gets_what_is_forgotten_and_the_front():
    ranked = pd.DataFrame({"candidate": list("abcd"), "prediction": [0.9, 0.8, 0.7, np.nan]})
    second = pd.DataFrame(
        {"candidate": list("dcba"), "prediction": [np.nan, 0.05, 0.0, 0.1], "lower": 0.0, "upper": [0.2] * 4}
    )
    table = with_forgetting(ranked, second, 1.0)
    assert table["candidate"].tolist() == list("abcd")
    assert table["forgetting"].tolist()[:3] == [0.1, 0.0, 0.05]
    assert table["pareto"].tolist() == [True, True, False, False]
    assert {"forgetting_lower", "forgetting_upper"} <= set(table.columns)
    assert with_forgetting(ranked, second, -1.0)["pareto"].tolist() == [False, True, True, False]


def test_a_predictor_of_forgetting_is_a_model_of_its_own():
    assert registered_as("finetune-predictor", "score/forgetting") == "forgetting-predictor"
    assert registered_as("finetune-predictor", "score/exact_match") == "finetune-predictor"
    assert registered_as("mine", "score/forgetting") == "mine"
    assert registered_as("", "score/forgetting") == ""


@pytest.mark.parametrize(
    ("name", "told"), [("finetune-predictor", ""), ("forgetting-predictor", " -P model_name=forgetting-predictor")]
)
def test_what_comes_next_names_the_model_that_was_registered(name: str, told: str, monkeypatch, capsys):
    made = flow.MetaResult(3, name, "run", None, None, ("figures",))  # type: ignore[arg-type]
    monkeypatch.setattr(flow, "train_predictor", lambda config, progress: made)
    entry.run(flow.MetaConfig(), SILENT)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == f"registered {name} version 3"
    assert lines[-1] == f"next: mlflow run . -e promote -P version=3 -P stage=Production{told}"


def test_it_is_judged_against_the_learning_rate_and_the_divergence_alone():
    assert target_of("score/forgetting") == FORGETTING
    assert target_of("score/retention") == RETENTION
    runs = [
        dataclasses.replace(
            record,
            scores={**record.scores, "forgetting": 0.01 * i},
            probe={**record.probe, "generic_divergence": 0.1 * i},
        )
        for i, record in enumerate(records(16))
    ]
    known = baselines(build(runs, "score/forgetting"))
    assert {"learning_rate_only", "kl_only", "hp_only", "mean"} <= set(known)
    assert "learning_rate_only" in OF_TARGET["forgetting"]
    assert "learning_rate_only" not in baselines(build(runs, "score/exact_match"))
