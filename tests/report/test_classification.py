"""What a classifier leaves for people: numbers by class, a page of text and a figure."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from predictor.report.classification import class_results, confusion_figure, write_class_report

LABELS = ["earn", "acq", "grain"]
TRUTH = ["earn"] * 6 + ["acq"] * 4
SAID = ["earn"] * 5 + ["acq"] * 4 + ["?"]


def test_the_files_hold_the_scores_and_what_stands_beside_them(tmp_path: Path):
    metrics = {"n": 10.0, "accuracy": 0.8, "accuracy_se": 0.126, "macro_f1": 0.83, "bag_of_words_accuracy": 0.6}
    write_class_report(tmp_path, LABELS, TRUTH, SAID, metrics)
    stored = json.loads((tmp_path / "test_results.json").read_text())
    assert stored["scores"]["accuracy"] == 0.8
    assert stored["classes"]["earn"]["precision"] == 1.0
    assert stored["classes"]["acq"]["recall"] == 0.75
    names = ("precision", "recall", "f1")
    never = {**dict.fromkeys(names, 0.0), **{f"{name}_se": None for name in names}, "rows": 0}
    assert stored["classes"]["grain"] == never
    assert stored["confusion_matrix"] == [[5, 1, 0, 0], [0, 3, 0, 1], [0, 0, 0, 0]]
    text = (tmp_path / "test_summary.txt").read_text()
    assert "accuracy              0.8000 ± 0.1260" in text
    assert "bag_of_words_accuracy 0.6000" in text
    assert any(line.startswith("earn") and line.endswith("6") for line in text.splitlines())
    assert (tmp_path / "confusion_matrix.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("said", [SAID, ["earn"] * 10])
def test_the_figure_has_a_column_for_answers_that_name_no_class_where_there_are_any(said):
    results = class_results(LABELS, TRUTH, said)
    axes = confusion_figure(LABELS, np.array(results["confusion_matrix"])).axes[0]
    columns = [tick.get_text() for tick in axes.get_xticklabels()]
    assert columns == ([*LABELS, "(none)"] if "?" in said else LABELS)
