"""Forgetting as a second number: a target of its own, beside the score of each candidate."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from benchmarks.synthetic_runs import records
from predictor.evaluation.second import registered_as, with_forgetting
from predictor.evaluation.targets import FORGETTING, RETENTION
from predictor.meta.baselines import OF_TARGET, baselines
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
