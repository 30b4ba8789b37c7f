"""Giving scores: the form of an answer, the scale, the figures, and what is said of answers without a score."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import scipy.stats

from predictor.data.example import Example, Message
from predictor.errors import ConfigError, DataError
from predictor.schema.targets import target_of
from predictor.tasks import TASKS, configured, reported
from predictor.tasks.base import Heard
from predictor.tasks.scored.settings import ScoringSettings
from predictor.tasks.scoring import Scoring
from tests.tasks.contract import TaskContract


def rated(n: int, score: object, dimension: str = "", **extra: object) -> Example:
    named = {"dimension": dimension} if dimension else {}
    return Example(f"{dimension}{n}", (str(score),), context=f"Firm {n} sells lamps.", question="Rate the firm.",
                   extra={**named, **extra})  # fmt: skip


ROWS = (rated(1, 1), rated(2, 4.5), rated(3, 3), rated(4, 5))


class TestScoring(TaskContract):
    name = "scoring"
    usable = ROWS
    unusable = (
        Example("5", ("3",), context="c"),
        Example("6", (), context="c", question="q"),
        Example("7", ("good",), context="c", question="q"),
    )


def fitted(rows=ROWS, evaluation=(), **settings) -> Scoring:
    task, *_ = Scoring(ScoringSettings(**settings)).fitted(rows, evaluation)
    return task


def test_a_prompt_says_what_is_rated_and_in_which_form_and_the_answer_has_that_form():
    row = rated(1, 4, "innovation", think="Patents\nare new.", reason="Two sell.")
    task = fitted([row, rated(2, 2, "growth", think="No.", reason="None.")], scoring_low=1, scoring_high=5)
    assert task.prompt(row) == [
        Message(
            "user",
            "Rate the firm.\n\nFirm 1 sells lamps.\n\nRate Innovation from 1 to 5 in this form:\n"
            "Reasoning: ...\nScore: ...\nReason: ...",
        )
    ]
    assert task.target(row) == "Reasoning: Patents are new.\nScore: 4\nReason: Two sell."
    assert fitted().target(ROWS[1]) == "Score: 4.5"


@pytest.mark.parametrize(
    ("answer", "parsed"),
    [
        ("Score: 4", 1.0), ("Reasoning: so\nScore: 4.0\nReason: it is", 1.0), ("  Score: 4\n", 1.0),
        ("Score: 4 of 5", 0.0), ("score: 4", 0.0), ("4", 0.0), ("Score: four", 0.0), ("Score: 6", 0.0),
        ("Score: -1", 0.0), ("Score: 4\nScore: 5", 0.0), ("I think:\nScore: 4", 0.0), ("Score: ", 0.0), ("", 0.0),
        ("Score: 4\nReason: ", 0.0),
        ("Score: ４", 0.0), ("Score: 1e0", 0.0),
    ],
)  # fmt: skip
def test_an_answer_is_read_strictly(answer: str, parsed: float):
    scores = fitted().score([answer, *map(fitted().target, ROWS[1:])], ROWS)
    assert scores.rows["parse_rate"] == [parsed, 1.0, 1.0, 1.0]


def test_an_answer_without_a_score_is_the_worst_one_and_is_left_out_beside():
    task = fitted()
    scores = task.score(["Score: 1", "no idea", "Score: 4", "Score: 5"], ROWS)
    worst = np.array([1, 1, 4, 5.0])  # 4.5 lies nearer the top of 1 to 5, so the bottom is its worst
    given = np.array([1, 4.5, 3, 5])
    assert scores.values["mae"] == pytest.approx(np.abs(worst - given).mean())
    assert scores.values["pearson"] == pytest.approx(scipy.stats.pearsonr(worst, given).statistic)
    assert scores.values["parsed_mae"] == pytest.approx(1 / 3)
    assert scores.values["parsed_spearman"] == pytest.approx(scipy.stats.spearmanr([1, 4, 5], [1, 3, 5]).statistic)
    assert scores.values["closeness"] == pytest.approx(1 - scores.values["mae"] / 4)
    assert scores.values["parse_rate"] == 0.75
    assert scores.values["binned_accuracy"] == 0.5
    logged = reported(task, scores, 4)
    assert logged["mae_se"] > 0
    assert logged["parsed_pearson_se"] >= 0


def test_nothing_parsed_leaves_no_number_that_could_pass_for_one():
    values = fitted().score(["?"] * 4, ROWS).values
    assert values["closeness"] < 0.5
    assert all(math.isnan(values[name]) for name in ("parsed_mae", "parsed_pearson", "collapse", "score_entropy"))


def test_one_value_for_all_is_called_collapsed_and_has_no_correlation():
    rows = [rated(n, n, dimension) for dimension in ("growth", "innovation") for n in (1, 2, 3)]
    task = fitted(rows)
    scores = task.score(["Score: 3"] * 6, rows)
    assert math.isnan(scores.values["pearson"])
    assert math.isnan(scores.values["pearson/growth"])
    assert math.isnan(scores.values["consistency"])
    assert scores.values["collapse"] == 1.0
    assert scores.values["score_entropy"] == 0.0
    assert scores.account["consistency"]["verdict"] == "collapsed"
    assert "undefined" in scores.account["verdict"]
    json.dumps(scores.account, allow_nan=False)


def test_dimensions_are_told_apart_and_compared():
    rows = [rated(n, {"growth": n, "innovation": 6 - n}[d], d) for d in ("growth", "innovation") for n in range(1, 6)]
    task = fitted(rows, scoring_dimensions="innovation=Newness,growth")
    right = task.score([task.target(row) for row in rows], rows)
    assert right.values["consistency"] == 1.0
    assert right.values["mae/growth"] == 0.0
    alike = task.score([f"Score: {row.context.split()[1]}" for row in rows], rows)
    assert alike.values["mae/growth"] == 0.0
    assert alike.values["pearson/innovation"] == pytest.approx(-1.0)
    assert alike.values["consistency"] == pytest.approx(0.0)  # people set them against each other, the model alike
    assert reported(task, alike, 10)["pearson/innovation_se"] == pytest.approx(0.0)
    assert "Rate Newness from" in task.prompt(rows[-1])[0].content
    target = target_of("score/mae/growth")
    assert (target.name, target.higher_is_better, target.low) == ("mae/growth", False, 0.0)


def test_one_prompt_asks_for_several_dimensions():
    rows = [rated(n, score, d, reason=f"{d} it is.") for n in (1, 2) for d, score in (("growth", n), ("size", 5))]
    task, train, _ = Scoring(ScoringSettings(scoring_together=True)).fitted([*rows, rated(1, 3, "growth")], rows)
    assert len(train) == 3  # the second score of growth begins another row
    assert task.target(train[0]) == "Growth: 1\nSize: 5\nReason: growth it is. size it is."
    assert task.prompt(train[0])[0].content.endswith("in this form:\nGrowth: ...\nSize: ...\nReason: ...")
    scores = task.score(["Growth: 2\nSize: 5", "Size: 5", "Score: 3"], train)
    assert scores.rows["parse_rate"] == [1.0, 0.0, 1.0]
    assert scores.rows["mae"][0] == 0.5
    first, second = task.wants(train[0], "Growth: 2\nSize: 5")
    assert (first.beginning, first.texts[0], first.ended) == ("Growth:", " 1\nSize:", False)
    assert (second.beginning, second.texts[0]) == ("Growth: 2\nSize:", " 1\nReason:")


def test_the_expected_value_is_taken_over_the_likelihoods_of_the_levels():
    task = fitted()
    asked = [task.wants(row, "Reasoning: well\nScore: 4") for row in ROWS]
    assert asked[0][0].beginning == "Reasoning: well\nScore:"
    assert asked[0][0].texts == (" 1", " 3", " 4.5", " 5")
    assert task.wants(ROWS[0], "nonsense")[0].beginning == "Score:"
    shares = np.array([0.1, 0.2, 0.3, 0.4])
    losses = [[[np.array([-math.log(share) / 2] * 2) for share in shares]] for _ in ROWS]
    heard = Heard(losses, lambda texts: np.zeros((len(texts), 3)), ())
    scores = task.score_heard(["?"] * 4, ROWS, heard)
    expected = float(shares @ [1, 3, 4.5, 5])
    assert scores.values["expected_mae"] == pytest.approx(np.abs(expected - np.array([1, 4.5, 3, 5])).mean())
    assert math.isnan(scores.values["expected_pearson"])  # the same shares for all


def test_reasonings_are_measured_where_answers_have_them():
    rows = [rated(n, n, think=f"Firm {n} sells lamps. Therefore it scores {n}.", reason="Lamps.") for n in (1, 2, 3)]
    task = fitted(rows, scoring_terms="lamps,new patents")
    good = task.score([task.target(row) for row in rows], rows)
    bare = task.score([f"Score: {n}" for n in (1, 2, 3)], rows)
    for name in ("coherence", "term_use", "sufficiency", "specificity"):
        assert good.values[name] > bare.values[name] == 0.0
    assert "coherence" not in fitted().score(list(map(fitted().target, ROWS)), ROWS).values


def test_a_fine_scale_has_levels_and_five_classes_and_borders_can_be_chosen():
    rows = [rated(n, n * 1.7) for n in range(60)]
    assert len(fitted(rows).wants(rows[0], "")[0].texts) == 21
    task = fitted(rows, scoring_bins="50")
    assert task.score(list(map(task.target, rows)), rows).values["binned_accuracy"] == 1.0
    two = fitted(ROWS, scoring_bins="2,4").score(["Score: 1", "Score: 4", "Score: 2.1", "Score: 3.9"], ROWS)
    assert two.values["binned_accuracy"] == 0.75


@pytest.mark.parametrize(
    ("settings", "rows", "error", "message"),
    [
        ({"scoring_dimensions": "growth,newness"}, [rated(1, 1, "growth"), rated(2, 2, "growth")], DataError,
         "no training row scores the dimension 'newness'"),
        ({"scoring_low": 1, "scoring_high": 3}, ROWS, DataError, "2 scores lie outside 1 to 3, the first is 4.5"),
        ({}, [rated(1, 3), rated(2, 3)], DataError, "all 2 scores are 3"),
        ({"scoring_low": 5, "scoring_high": 1}, ROWS, ConfigError, "scoring_low=5 is above scoring_high=1"),
        ({"scoring_bins": "9,10"}, ROWS, ConfigError, "a border of scoring_bins lies outside 1 to 5"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_rows_as_a_whole_is_said_before_anything_is_loaded(settings, rows, error, message):
    with pytest.raises(error, match=message):
        fitted(rows, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scoring_bins": "many"}, "scoring_bins='many' names no classes"),
        ({"scoring_bins": "3.5,2.5"}, "names no classes"),
        ({"scoring_fields": "rating=score"}, "scoring_fields has the unknown entry 'rating'"),
        ({"scoring_terms": "absent.txt"}, "the list of terms cannot be read"),
        ({"scoring_dimensions": "a=Same,b=Same"}, "two dimensions have the label 'Same'"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        configured("scoring", ScoringSettings(**settings))


def test_rows_of_dimensions_that_are_not_asked_for_are_not_used():
    task = configured("scoring", ScoringSettings(scoring_dimensions="growth"))
    assert task.accepts(rated(1, 1, "growth")) is None
    assert task.accepts(rated(1, 1)) is None  # a single dimension is that of rows that name none
    assert task.accepts(rated(1, 1, "size")) == "scores size, not growth"
    assert TASKS.get("scoring").accepts(rated(1, "good")) == "has the score 'good', which is no number"
