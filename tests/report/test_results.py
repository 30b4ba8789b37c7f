"""What a sweep found over its seeds, and which method was better on the same rows."""

from __future__ import annotations

import csv
import dataclasses
import math
from pathlib import Path

import pytest
from scipy.stats import binomtest

from predictor.report.results import paired_tests, results_figure, results_table, write_results
from predictor.schema import RunRecord, keys

BASE = RunRecord(
    kind=keys.KIND_FINETUNE, task="classification", dataset="data/sst2", dataset_fingerprint="d", row_sketch=(),
    eval_dataset="", eval_fingerprint="e", base_model="minilm", base_model_digest="b", encoder_digest="", seed=0,
    config_hash="", code_revision="", method="lora", hp={"learning_rate": 1e-3}, probe={}, scores={}, costs={},
)  # fmt: skip


def run(name: str, method: str, seed: int, accuracy: float, **hp: float) -> RunRecord:
    return dataclasses.replace(
        BASE, run_id=name, method=method, seed=seed, hp={"learning_rate": 1e-3, **hp},
        scores={"accuracy": accuracy, "accuracy_se": 0.01, "bag_of_words_accuracy": 0.5, "n": 4.0},
        costs={"total_s": 10.0 + seed, "trainable_parameters": 100.0},
    )  # fmt: skip


RUNS = [run("a", "lora", 0, 0.75), run("b", "lora", 42, 1.0), run("c", "full", 0, 0.5), run("d", "full", 42, 0.75)]
HITS = {"a": [1, 1, 1, 0], "b": [1, 1, 1, 1], "c": [1, 0, 0, 1], "d": [1, 1, 0, 1]}


def test_each_setting_has_the_mean_and_the_deviation_over_its_seeds():
    rows = results_table(RUNS)
    assert [(row["method"], row["seeds"], row["accuracy"]) for row in rows] == [("lora", 2, 0.875), ("full", 2, 0.625)]
    assert rows[0]["accuracy_sd"] == pytest.approx(0.125 * math.sqrt(2))
    assert rows[0]["seconds"] == 31.0
    assert rows[0]["bag_of_words_accuracy"] == 0.5
    assert "learning_rate" not in rows[0]
    assert "accuracy_se" not in rows[0]
    varied = results_table([*RUNS, run("e", "lora", 0, 0.25, learning_rate=3e-3)])
    assert [row["learning_rate"] for row in varied] == [1e-3, 1e-3, 3e-3]
    assert math.isnan(varied[2]["accuracy_sd"])


def test_methods_are_tested_on_the_rows_that_only_one_has_right():
    tests = paired_tests(RUNS, HITS)
    assert [(t["seed"], t["method_a"], t["only_a_right"], t["only_b_right"]) for t in tests] == [
        (0, "full", 1, 2),
        (42, "full", 0, 1),
    ]
    assert tests[0]["p"] == pytest.approx(binomtest(1, 3).pvalue)
    assert paired_tests(RUNS[:2], HITS) == []
    other = dataclasses.replace(RUNS[2], eval_fingerprint="other rows")
    assert paired_tests([RUNS[0], other], HITS) == []
    assert paired_tests([run("x", "full", 0, 1.0), RUNS[0]], {**HITS, "x": HITS["a"]})[0]["p"] == 1.0


def test_of_several_settings_of_a_method_the_best_is_compared():
    better = run("e", "full", 0, 1.0, learning_rate=3e-3)
    (test,) = paired_tests([RUNS[0], RUNS[2], better], {**HITS, "e": [1, 1, 1, 1]})
    assert (test["only_a_right"], test["only_b_right"]) == (1, 0)


def test_the_files_hold_the_table_the_tests_and_a_figure(tmp_path: Path):
    write_results(tmp_path, RUNS, HITS, "accuracy")
    with (tmp_path / "results.csv").open(encoding="utf-8") as stream:
        assert [row["accuracy"] for row in csv.DictReader(stream)] == ["0.875", "0.625"]
    with (tmp_path / "paired_tests.csv").open(encoding="utf-8") as stream:
        assert len(list(csv.DictReader(stream))) == 2
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
    labels = [tick.get_text() for tick in results_figure(results_table(RUNS), "accuracy").axes[0].get_yticklabels()]
    assert labels == ["sst2, minilm, lora", "sst2, minilm, full"]
    (tmp_path / "none").mkdir()
    assert write_results(tmp_path / "none", [], {}, "accuracy") == []
    assert not list((tmp_path / "none").iterdir())
