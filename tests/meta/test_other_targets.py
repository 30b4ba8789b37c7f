"""Targets that are neither fractions nor means of rows: a correlation, and a loss in nats of which less is better."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic_runs import records
from predictor.catalog import Catalog
from predictor.data.example import Example, Message
from predictor.meta.bundle import Bundle
from predictor.meta.scores import cost_saved
from predictor.meta.train import Trained, train
from predictor.meta.tune import Budget
from predictor.registry import Candidate, ranking
from predictor.report.meta_report import write_figures
from predictor.report.summary import summary
from predictor.schema import RunRecord
from predictor.schema import targets as known
from predictor.schema.targets import Target
from predictor.table import Table, build
from predictor.tasks import TaskScores, base, headline_target, reported

BUDGET = Budget(3, 2, folds=2, max_rounds=8, fits=5, repeats=1, members=2)
PEARSON = Target("pearson", "how well ratings follow the judges'", "ratio", -1.0, 1.0, error="bootstrap")
LOSS = Target("log_loss", "the logarithm of how surprised it is", "nats", higher_is_better=False, error="bootstrap")


class Rating:
    """Answers are numbers; a loss below 0 is a density above 1."""

    name = "rating"
    targets = (LOSS, PEARSON)
    headline = "log_loss"
    max_new_tokens = 8

    def accepts(self, example: Example) -> str | None:
        return None if example.answer else "lacks answer"

    def prompt(self, example: Example) -> list[Message]:
        return [Message("user", example.question or "")]

    def target(self, example: Example) -> str:
        return example.answer

    def parse(self, generated: str) -> str:
        return generated.strip()

    def score(self, answers: list[str], examples: list[Example]) -> TaskScores:
        said, judged = (np.array(list(map(float, each))) for each in (answers, [e.answer for e in examples]))

        def pearson(sample: np.ndarray) -> float:
            return float(np.corrcoef(said[sample], judged[sample])[0, 1])

        def log_loss(sample: np.ndarray) -> float:
            return float(np.log(np.mean((said[sample] - judged[sample]) ** 2)))

        everything = np.arange(len(said))
        return TaskScores(
            {"log_loss": log_loss(everything), "pearson": pearson(everything)},
            resample={"log_loss": log_loss, "pearson": pearson},
        )

    def row(self, example: Example, answer: str, scores: dict[str, float]) -> dict[str, object]:
        return {"question": example.question, "rating": answer, "judged": example.answer}


@pytest.fixture(scope="module")
def task() -> Iterator[Rating]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "TASKS", Catalog("task"))
        patch.setattr(known, "TARGETS", Catalog("target"))
        base.register(Rating)
        yield base.TASKS.get("rating")  # type: ignore[misc]


@pytest.fixture(scope="module")
def runs(task: Rating) -> list[RunRecord]:
    """Thirty evaluations on forty questions by models whose ratings are as good as their datasets."""
    rng = np.random.default_rng(0)
    made = []
    for number, record in enumerate(records(30, groups=10, noise_features=1)):
        judged = rng.normal(size=40)
        noise = float(np.exp(2.0 - 4.0 * record.scores["exact_match"]))
        said = judged + noise * rng.normal(size=40)
        examples = [Example(str(i), (repr(float(value)),), question="How good?") for i, value in enumerate(judged)]
        scores = reported(task, task.score([repr(float(value)) for value in said], examples), 40)
        probe = {**record.probe, "zero_shot_log_loss": scores["log_loss"] + float(rng.normal())}
        made.append(dataclasses.replace(record, run_id=f"r{number}", task="rating", scores=scores, probe=probe))
    return made


@pytest.fixture(scope="module")
def table(task: Rating, runs: list[RunRecord]) -> Table:
    return build(runs, headline_target(task), average_seeds=False)


@pytest.fixture(scope="module")
def trained(table: Table) -> Trained:
    return train(table, splits=("group",), budget=BUDGET)


def test_its_runs_become_a_table_in_its_own_unit(table: Table, runs: list[RunRecord]) -> None:
    assert table.column == "score/log_loss"
    assert table.target == LOSS
    assert table.y.min() < 0 < table.y.max()
    assert table.sampling_se.tolist() == [run.scores["log_loss_se"] for run in runs]
    assert 0.1 < table.noise.sampling < 0.5
    unsaid = [dataclasses.replace(run, scores={"log_loss": run.scores["log_loss"], "n": 40.0}) for run in runs]
    assert np.isnan(build(unsaid, "score/log_loss", average_seeds=False).sampling_se).all()


def test_intervals_are_not_clipped(trained: Trained, table: Table) -> None:
    out = trained.bundle.predict(table.rows)
    half = trained.bundle.main.interval.half_width
    np.testing.assert_allclose(out["lower"], out["prediction"] - half)
    np.testing.assert_allclose(out["upper"], out["prediction"] + half)
    assert out["lower"].min() < 0


def test_a_correlation_keeps_its_own_bounds(runs: list[RunRecord]) -> None:
    noisy = [dataclasses.replace(run, scores={"pearson": 2.0 * run.scores["pearson"] - 1.0}) for run in runs]
    table = build(noisy, "score/pearson", average_seeds=False)
    bundle = train(table, splits=("group",), budget=BUDGET).bundle
    out = bundle.predict(table.rows)
    assert out["lower"].min() < 0
    assert (out["lower"] >= np.minimum(-1.0, out["prediction"])).all()
    assert (out["upper"] <= np.maximum(1.0, out["prediction"])).all()
    assert " units" in bundle.reasons(table.rows.head(1))[0][0]


def test_the_lowest_loss_comes_first(trained: Trained, table: Table, tmp_path: Path) -> None:
    trained.bundle.save(tmp_path)
    bundle = Bundle.load(tmp_path)
    assert bundle.target == LOSS
    predicted = bundle.predict(table.rows)["prediction"]
    order = [int(i) for i in np.argsort(predicted)]
    candidates = [Candidate(str(i), dict(table.rows.iloc[i])) for i in (order[15], order[-1], order[0])]
    found = ranking(bundle, [Candidate("broken", {}, error="no such file"), *candidates])
    assert found["candidate"].tolist() == [str(order[0]), str(order[15]), str(order[-1]), "broken"]
    assert found["prediction"][:3].is_monotonic_increasing
    gap = predicted[order[-1]] - predicted[order[0]]
    worst = "skip" if gap > bundle.main.interval.half_width else "train"
    assert found["advice"].tolist()[::2] == ["train", worst]
    assert "it by" in found["reasons"][0]
    assert " nats" in found["reasons"][0]


def test_a_choice_is_judged_by_the_lowest_loss(trained: Trained, table: Table) -> None:
    grouped = trained.grouped
    chosen = table.y[int(np.argmin(grouped.predicted))]
    assert grouped.metrics["regret_top1"] == pytest.approx(chosen - table.y.min())
    saved = [cost_saved(table.y, grouped.predicted, table.tasks, table.price, sign) for sign in (-1.0, 1.0)]
    assert grouped.metrics["cost_saved"] == pytest.approx(saved[0])
    assert saved[0] != pytest.approx(saved[1])


def test_the_line_through_its_own_zero_shot_score_is_a_baseline(trained: Trained) -> None:
    assert "zero_shot" in trained.grouped.baselines


def test_summary_and_report_speak_in_its_unit(trained: Trained, table: Table, tmp_path: Path) -> None:
    lines = summary(
        table, trained.validations, trained.bundle.main.interval, trained.permuted_r2, trained.importance, after_50=0.5
    )
    text = "\n".join(lines)
    rmse = trained.grouped.metrics["rmse"]
    assert lines[0].endswith("target score/log_loss, lower is better")
    assert f"error in nats on rows not seen{'RMSE':>12}" in text
    assert f"{rmse:>8.3g}" in next(line for line in lines if line.startswith("group split"))
    assert f"+-{trained.bundle.main.interval.half_width:.2g} nats" in text
    assert "(mean |SHAP|, nats)" in text
    assert f"noise floor {table.noise.floor:.3g} nats" in text
    assert "points" not in text
    write_figures(tmp_path, table, trained)
    page = (tmp_path / "report.html").read_text()
    assert "Errors are in nats." in page
    assert "lower is better" in page
    assert " points" not in page
