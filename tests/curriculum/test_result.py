"""What is read off the stages of a curriculum and its control."""

from __future__ import annotations

from types import SimpleNamespace

from predictor.curriculum.result import OVERALL, CourseResult
from predictor.curriculum.stages import CONTROL, ORDERED


def test_errors_of_scores_are_no_scores():
    scores = {OVERALL: 0.5, "exact_match/easy": 0.6, "exact_match/easy_se": 0.02, "f1/easy": 0.7, "f1/easy_se": 0.02}
    chain = [SimpleNamespace(scores=scores)]
    found = CourseResult.of({(kind, seed): chain for kind in (ORDERED, CONTROL) for seed in (1, 2)}, ["one"])
    assert list(found.panels()) == [OVERALL, "exact_match/easy"]
