"""From numbers to a verdict and to advice."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from predictor.evaluation.advice import Facts, advise
from predictor.evaluation.choices import ChoiceItem
from predictor.evaluation.measure import retained
from predictor.evaluation.measured import OriginalResult, TaskResult, forgetting_of, lost_beyond
from predictor.evaluation.overfitting import MILD, NONE, STRONG, Overfitting, Rows, judge
from predictor.evaluation.paired import Paired, paired
from predictor.evaluation.result import Evaluated, plain_key
from predictor.evaluation.shift import Manner, manner, refuses
from predictor.evaluation.verdict import HOLD, SHIP, decide
from predictor.report.evaluation_report import comparison_page, evaluation_page
from predictor.report.evaluation_text import lines


def share(right: int, of: int = 200) -> list[float]:
    return [1.0] * right + [0.0] * (of - right)


def task_of(base: int, tuned: int, *, lengths: tuple[float, float] = (5.0, 5.0)) -> TaskResult:
    score = paired(share(base), share(tuned))
    manners = tuple(Manner(length, 0.0, 0.0) for length in lengths)
    return TaskResult("qa", "exact_match", {"exact_match": score}, True, 0.01, 0.3, (1.0, 0.5), manners)


def original(base: int, tuned: int, name: str = "knowledge", of: int = 200) -> OriginalResult:
    return OriginalResult(name, "choice", "right", paired(share(base, of), share(tuned, of)), {"acc_base": 0.5}, 0.1)


BETTER, SAME, WORSE = task_of(60, 120), task_of(100, 101), task_of(120, 60)
KEPT, LOST, PERHAPS = original(100, 100), original(120, 90, "text"), original(24, 22, "small", 40)


@pytest.mark.parametrize(
    ("task", "originals", "verdict", "rule"),
    [
        (BETTER, [KEPT], SHIP, "no original task lost more than 2 points"),
        (BETTER, [], SHIP, "no original task was measured"),
        (BETTER, [KEPT, LOST], HOLD, "original tasks lost more than 2 points, by more than noise: text -15.0"),
        (BETTER, [PERHAPS], SHIP, "small -5.0 of"),
        (SAME, [KEPT], HOLD, "not better by more than noise"),
        (WORSE, [KEPT], HOLD, "the task is worse"),
        (None, [KEPT], HOLD, "the task was not measured"),
    ],
)
def test_the_verdict_and_the_rule_that_decided(task, originals, verdict: str, rule: str):
    found = decide(task, originals, 2.0)
    assert found[0] == verdict
    assert rule in found[1]


def test_the_limit_is_the_users():
    assert decide(BETTER, [LOST], 20.0)[0] == SHIP
    assert lost_beyond([LOST], 20.0) == []


def test_forgetting_is_the_mean_loss_and_its_error_that_of_all():
    lost, error = forgetting_of([KEPT, LOST])
    assert lost == pytest.approx(0.075)
    assert error == pytest.approx(LOST.score.se / 2)
    assert math.isnan(forgetting_of([])[0])


CURVES = {
    "train/loss": [(i, 2.0 / i) for i in range(1, 61)],
    "eval/loss": [(10, 1.0), (20, 0.8), (30, 0.7), (40, 0.8), (50, 0.9), (60, 1.0)],
}
FALLING = {"eval/loss": [(10, 1.0), (20, 0.8), (30, 0.7)], "train/loss": [(i, 1.0) for i in range(1, 31)]}


def test_a_curve_that_turns_is_strong_and_the_advice_names_the_step():
    seen = judge(CURVES, None)
    assert (seen.verdict, seen.best_step, seen.last_step) == (STRONG, 30, 60)
    assert seen.rise == pytest.approx(0.3)
    assert seen.gap == pytest.approx(1.0 - np.mean([2.0 / i for i in range(55, 61)]))
    advice = advise(Facts(rows=32), BETTER, [], seen, math.nan)
    assert [each.rule for each in advice] == ["stop_earlier", "more_rows"]
    assert advice[0].text.startswith("stop at step 30: eval/loss was lowest there")
    assert advice[0].parameters == {"max_steps": 30}


def test_weights_that_early_stopping_kept_are_not_those_of_the_end():
    assert judge(CURVES, None, kept_best=True).verdict == NONE


def test_a_curve_that_falls_to_the_end_asks_for_more():
    seen = judge(FALLING, None)
    assert (seen.verdict, seen.still_falling) == (NONE, True)
    [advice] = advise(Facts(rows=5000), BETTER, [], seen, math.nan)
    assert "still falling at the end" in advice.text


@pytest.mark.parametrize(("train", "other", "verdict"), [(190, 110, STRONG), (112, 110, NONE), (100, 120, NONE)])
def test_rows_learnt_by_heart_are_seen_beside_the_base(train: int, other: int, verdict: str):
    seen = judge({}, Rows((share(60), share(train)), (share(60), share(other))))
    assert seen.verdict == verdict
    assert seen.score_gap == pytest.approx((train - other) / 200)


def test_one_late_point_of_a_curve_is_no_overfitting_and_a_small_rise_is_mild():
    assert judge({"eval/loss": [(1, 1.0), (2, 0.50), (3, 0.52)]}, None).verdict == NONE
    assert judge({"eval/loss": [(1, 1.0), (2, 0.50), (3, 0.515), (4, 0.52)]}, None).verdict == MILD
    assert judge({}, None).verdict == "unknown"
    assert judge({"eval/loss": [(1, math.nan)]}, None).verdict == "unknown"


def test_what_was_forgotten_brings_replay_a_lower_rate_and_lora():
    facts = Facts(method="full", learning_rate=1e-3)
    rules = {each.rule: each for each in advise(facts, BETTER, [LOST], None, 0.4)}
    assert set(rules) == {"replay", "halve_learning_rate", "lora"}
    assert rules["replay"].text.startswith("replay 5 %: text lost 15.0 points")
    assert rules["halve_learning_rate"].parameters == {"learning_rate": 5e-4}
    assert rules["replay"].evidence["kl_original"] == 0.4
    [more, *_] = advise(Facts(replay_share=0.05), BETTER, [LOST], None, math.nan)
    assert more.text.startswith("replay 10 %: text lost 15.0 points although 5 % were original rows")


def test_a_gain_inside_the_noise_asks_for_more_questions():
    few = TaskResult(
        "qa", "exact_match", {"exact_match": paired(share(18, 40), share(20, 40)[::-1])}, True, 0.01, 0.1, (1.0, 1.0),
        (Manner(5.0, 0.0, 0.0), Manner(20.0, 0.3, 0.0)),
    )  # fmt: skip
    rules = {each.rule: each for each in advise(Facts(), few, [], None, math.nan)}
    assert set(rules) == {"more_questions", "refusals"}
    assert rules["more_questions"].evidence["questions_needed"] > 40
    unsure = advise(Facts(), task_of(0, 4), [], None, math.nan)  # four won of 200, none lost: p is 0.125
    assert [a.rule for a in unsure] == ["more_questions"]
    assert unsure[0].evidence["questions_needed"] > 200
    assert [a.rule for a in advise(Facts(), task_of(100, 100), [], None, math.nan)] == ["train_more"]
    assert "long_answers" in {a.rule for a in advise(Facts(), task_of(100, 60, lengths=(5, 50)), [], None, math.nan)}


def test_retention_is_of_what_the_base_had_right():
    items = [ChoiceItem(str(i), "ab"[i % 2], "q", ("x", "y"), 0) for i in range(6)]
    kept = retained(items, np.array([1, 1, 1, 0, 0, 0.0]), np.array([1, 0, 1, 1, 0, 0.0]))
    assert (kept.whole.base, kept.whole.tuned, kept.whole.both, kept.gained, kept.lost) == (3, 3, 2, 1, 1)
    assert kept.whole.retention == pytest.approx(2 / 3)
    assert [(each.name, each.n, each.base, each.both) for each in kept.subjects] == [("a", 3, 2, 2), ("b", 3, 1, 0)]
    assert 0 < kept.subjects[0].error < 1
    nothing = retained(items, np.zeros(6), np.zeros(6))
    assert math.isnan(nothing.whole.retention)


def test_refusals_and_lengths():
    assert refuses("I’m sorry, but I can't say.")
    assert refuses("抱歉，我无法回答")
    assert not refuses("The doctor said: rest. " + "x" * 200 + " I'm sorry")
    assert manner(["I cannot do it", " "], [[1, 2], []]) == Manner(1.0, 0.5, 0.5)


def evaluated(title: str = "<b>tuned</b> $x$", task: TaskResult | None = BETTER) -> Evaluated:
    items = [ChoiceItem(str(i), "ab"[i % 2], "q", ("x", "y"), 0) for i in range(6)]
    kept = retained(items, np.array([1, 1, 1, 0, 0, 0.0]), np.array([1, 0, 1, 1, 0, 0.0]))
    seen = judge(CURVES, None)
    advice = advise(Facts(rows=32), task, [LOST], seen, 0.1)
    verdict, rule = decide(task, [KEPT, LOST], 2.0)
    return Evaluated(title, "run", "lab", 2.0, task, (KEPT, LOST), kept, seen, 1e-6, verdict, rule, advice,
                     ("a <note>",), {"score": 0.01}, CURVES)  # fmt: skip


@pytest.mark.parametrize("task", [BETTER, None])
def test_a_result_survives_json_with_its_numbers(task: TaskResult | None):
    before = evaluated(task=task)
    after = Evaluated.from_json(json.loads(json.dumps(before.to_json())))
    assert after.metrics() == before.metrics()
    assert after.scores() == before.scores()
    assert lines(after) == lines(before)


def test_metrics_are_finite_and_under_one_prefix():
    found = evaluated().metrics()
    assert all(name.startswith("evaluation/") and math.isfinite(value) for name, value in found.items())
    for name in ("task/base/exact_match", "task/tuned/exact_match", "original/text/delta", "forgetting", "retention",
                 "overfitting/gap", "shift/kl_task", "noise/task", "noise/forgetting"):  # fmt: skip
        assert f"evaluation/{name}" in found, name
    assert plain_key("a b:c/d") == "a b-c/d"


def test_pages_stand_alone_and_hold_no_foreign_markup():
    page = evaluation_page(evaluated())
    assert "<b>tuned" not in page
    assert "&lt;b&gt;tuned" in page
    assert "a &lt;note&gt;" in page
    assert page.count("data:image/png;base64,") >= 5
    assert "http" not in page
    both = comparison_page([evaluated("one"), evaluated("two", None)])
    assert "Pareto" in both
    assert "two" in both


def test_an_evaluation_of_nothing_is_a_page_and_lines_too():
    empty = Evaluated("x", "", "lab", 2.0, None, (), None, None, math.nan, HOLD, "nothing", ())
    assert empty.metrics() == {}
    assert empty.scores() == {}
    assert "hold" in evaluation_page(empty)
    assert lines(empty) == ["hold: nothing"]
    assert isinstance(BETTER.score, Paired)
    assert Overfitting(NONE).numbers()["rise"] != 0
