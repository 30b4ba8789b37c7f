"""Scores that a head gives: what it reads and learns, how its answers are written, and what is refused beside it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from predictor.data.example import Example, Message
from predictor.errors import ConfigError, DataError
from predictor.tasks.scored.scale import scores_of
from predictor.tasks.scored.settings import ScoringSettings
from predictor.tasks.scoring import Scoring
from predictor.tasks.several import Several, SeveralSettings, members_text
from predictor.trial.config import finetune_config
from predictor.trial.opening import open_trial


def rated(number: int, dimension: str, score: float, **extra: object) -> Example:
    extra = {"dimension": dimension, **extra}
    return Example(f"{dimension}{number}", (str(score),), context=f"Firm {number} sells lamps.",
                   question="Rate the firm.", extra=extra)  # fmt: skip


def both(number: int, growth: float, size: float) -> Example:
    scores = {"growth": growth, "size": size}
    return Example(f"{number}", ("",), context=f"Firm {number}.", question="Rate it.", extra={"scores": scores})


ROWS = [rated(1, "growth", 1, think="It grows.", reason="So."), rated(1, "size", 3), rated(2, "growth", 5)]


def fitted(rows=ROWS, evaluation=(), **settings) -> Scoring:
    task, *_ = Scoring(ScoringSettings(head="regression", **settings)).fitted(rows, evaluation)
    return task


def test_it_reads_prompt_and_text_without_the_form_of_an_answer_and_learns_shares_of_the_range():
    task = fitted()
    assert task.dimensions == ("growth", "size")
    assert task.bounds == (1.0, 5.0)
    assert task.prompt(ROWS[0]) == [Message("user", "Rate the firm.\n\nFirm 1 sells lamps.")]
    assert task.target(ROWS[0]) == "Score: 1"
    shares = np.array([task.shares(row) for row in [*ROWS, both(3, 2, 4)]])
    wanted = [[0.0, math.nan], [math.nan, 0.5], [1.0, math.nan], [0.25, 0.75]]
    assert shares == pytest.approx(np.array(wanted), nan_ok=True)


def test_every_answer_can_be_read_lies_in_the_range_and_scores_what_its_row_has():
    task, rows = fitted(), [*ROWS, both(3, 2, 4)]
    answers = task.answers_of(np.array([[-0.2, 0.5], [0.0, 1.7], [0.123456, 0.0], [0.25, 0.75]]), rows)
    assert answers == ["Score: 1", "Score: 5", "Score: 1.494", "Growth: 2\nSize: 4"]
    scores = task.score(answers, rows)
    assert scores.values["parse_rate"] == 1.0
    assert scores.rows["mae"] == pytest.approx([0.0, 2.0, 3.506, 0.0])
    assert {"pearson/growth", "mae/size", "binned_accuracy"} <= set(scores.values)
    absent = {"coherence", "term_use", "sufficiency", "specificity", "expected_mae"}
    assert not absent & set(scores.values)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1e-3), (1.0, 5.0), (-50.0, 50.0), (0.1234567, 0.7654321), (0.0, 1e6)])
def test_answers_keep_a_thousandth_of_any_range(low: float, high: float):
    rows = [rated(1, "growth", low), rated(2, "growth", high)]
    task = fitted(rows, scoring_low=low, scoring_high=high)
    shares = np.linspace(-0.1, 1.1, 41)[:, None]
    examples = [rated(number, "growth", low) for number in range(41)]
    scores = task.score(task.answers_of(shares, examples), examples)
    assert scores.values["parse_rate"] == 1.0
    wanted = scores_of(shares[:, 0], low, high) - low
    assert np.array(scores.rows["mae"]) == pytest.approx(wanted, abs=(high - low) / 1000)


def test_a_head_that_tells_no_text_from_another_has_collapsed():
    rows = [rated(number, "growth", number) for number in (1, 2, 3, 4, 5)]
    task = fitted(rows)
    noise = 0.5 + 1e-6 * np.arange(5)[:, None]
    scores = task.score(task.answers_of(noise, rows), rows)
    assert scores.values["collapse"] == 1.0
    assert math.isnan(scores.values["pearson"])
    assert scores.account["verdict"].startswith("collapsed")


def test_each_output_is_learnt():
    with pytest.raises(DataError, match="no training row scores the dimension 'size'") as caught:
        fitted([ROWS[0], ROWS[2]], ROWS)
    assert "scoring_dimensions=growth" in (caught.value.fix or "")


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"head": "regression", "scoring_terms": "patent"}, "scoring_terms is given for head=regression"),
        ({"head": "linear_regression", "max_new_tokens": 8}, "max_new_tokens is given for head=linear_regression"),
        ({"metric_for_best_model": "pearson"}, "for a model that writes its scores"),
    ],
)
def test_what_belongs_to_the_other_kind_of_model_is_refused(settings: dict[str, object], what: str):
    with pytest.raises(ConfigError, match=what) as caught:
        Scoring(ScoringSettings(**settings))
    assert caught.value.where
    assert caught.value.rule
    assert caught.value.fix


def test_a_head_is_trained_only_where_it_is_asked_for():
    assert not finetune_config(task="scoring").has_head
    asked = finetune_config(task="scoring", head="regression", base_model="minilm")
    assert (asked.has_head, asked.base_kind) == (True, "any")
    with pytest.raises(ConfigError, match="head='mlp' is unknown"):
        finetune_config(task="scoring", head="mlp")


def test_a_method_that_writes_has_no_head():
    with pytest.raises(ConfigError, match="method=sft trains no head, and head=regression is given"):
        open_trial(finetune_config(task="scoring", head="regression", method="sft"))


def test_a_task_among_several_writes_its_answers():
    text = members_text({"rate": {"task": "scoring", "head": "regression"}})
    with pytest.raises(ConfigError, match="head=regression is given for a task among several"):
        Several(SeveralSettings(several_members=text))


def test_a_configuration_that_changes_its_task_leaves_a_head_behind_that_the_new_one_has_not():
    config = finetune_config(task="classification", head="linear", metric_for_best_model="macro_f1")
    settings = config.replace(task="scoring").task.settings
    assert (settings.head, settings.metric_for_best_model) == ("none", "closeness")
    assert config.replace(task="scoring", head="regression").has_head
