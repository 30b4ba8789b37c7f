"""Figures of scores, stages and shares show what they are given."""

from __future__ import annotations

from predictor.report.curriculum import course_figure
from predictor.report.ratios import ratios_figure
from predictor.report.scoring import scoring_figures

SIDE = {"given": [1.0, 3.0, 5.0], "greedy": [1.0, None, 4.0], "expected": [1.5, 2.5, 4.5]}
ACCOUNT = {"low": 1.0, "high": 5.0, "edges": [1.5, 2.5, 3.5, 4.5], "dimensions": {"growth": SIDE, "size": SIDE}}
MATRICES = {
    "names": ["growth", "size"],
    "given": [[1.0, 0.5], [0.5, 1.0]],
    "said": [[None, None]] * 2,
    "verdict": "collapsed",
}


def test_scores_are_drawn_by_dimension_and_of_each_task_apart():
    figures = dict(scoring_figures({**ACCOUNT, "consistency": MATRICES}))
    assert list(figures) == ["scores", "confusion", "consistency"]
    assert [axes.get_title() for axes in figures["scores"].axes] == ["growth, 1 of 3 not read", "size, 1 of 3 not read"]
    counts = figures["confusion"].axes[0].images[0].get_array()
    assert counts[2, 5] == 1  # given 3, and not read
    assert counts[4, 3] == 1
    assert "collapsed" in figures["consistency"].axes[1].get_title()
    assert [name for name, _ in scoring_figures({"tasks": {"a": ACCOUNT, "b": {}}})] == ["a_scores", "a_confusion"]
    assert list(scoring_figures({"terms": []})) == []


def test_stages_and_shares_are_drawn():
    panels = {name: {"curriculum": [[0.1, 0.2], [0.2, 0.3]], "control": [[0.1, 0.1]]} for name in "abcd"}
    figure = course_figure(panels, ["one", "two"], "no difference")
    assert [axes.get_title() for axes in figure.axes if axes.get_visible()] == list("abcd")
    law = (lambda n: 1 - 1 / n, lambda n: (0.8 - 1 / n, 1.1 - 1 / n))
    shares = ratios_figure([[10, 20], [0.1, 0.2], [0.01, float("nan")], [0.1, float("nan")]], "exact_match", law, 20)
    assert {"measured", "predicted", "power law"} <= {text.get_text() for text in shares.axes[0].get_legend().texts}
