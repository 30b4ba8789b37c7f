from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from benchmarks.synthetic_runs import records
from predictor.errors import ConfigError, TableError
from predictor.meta.baselines import baselines
from predictor.meta.train import Trained, train
from predictor.meta.tune import Budget, tune
from predictor.meta.validate import measure, permutation_control, validate
from predictor.report.logged import metrics, version_tags
from predictor.report.meta_report import write_figures
from predictor.report.summary import summary
from predictor.table import Table, build

SMALL = Budget(trials=4, inner_trials=2, folds=2, max_rounds=10, fits=5, repeats=1, members=2)


@pytest.fixture(scope="module")
def table() -> Table:
    return build(records(36, groups=12, noise_features=1), average_seeds=False)


@pytest.fixture(scope="module")
def trained(table: Table) -> Trained:
    return train(table, seed=1, budget=Budget(6, 3, folds=3, max_rounds=20, fits=6, repeats=1, members=2))


def test_it_learns_the_law_and_beats_every_baseline_but_those_that_know_it(trained: Trained) -> None:
    grouped = trained.grouped
    assert grouped.metrics["r2"] > 0.7
    assert grouped.metrics["rmse"] < grouped.baselines["mean"]["rmse"] / 2
    assert grouped.metrics["rmse"] < grouped.baselines["nearest_dataset"]["rmse"]
    assert set(grouped.baselines) == {"mean", "zero_shot", "initial_loss_only", "hp_only", "nearest_dataset", "ridge"}
    assert not any(name.startswith("probe/noise") for name in list(trained.importance)[:2])


def test_group_is_always_validated_and_comes_first(trained: Trained) -> None:
    assert list(trained.validations) == ["group", "random"]
    assert trained.grouped.folds == 6


def test_the_same_seed_gives_the_same_predictor(table: Table) -> None:
    one, two = (
        tune(table.matrix, table.y, table.group, categorical=[], trials=4, budget=SMALL, seed=5) for _ in range(2)
    )
    assert one.recipe == two.recipe
    assert one.history == two.history
    assert len(one.history) == 4


def test_no_row_is_tuned_on_before_it_is_tested(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows whose target is replaced by nonsense change nothing in the predictions of their own fold."""
    for split in ("group", "random"):
        honest = validate(table, split, SMALL, with_baselines=False)[0].predicted
        poisoned = table.y.copy()
        victim = table.group == table.group[0] if split == "group" else np.arange(len(table)) == 0
        poisoned[victim] = 1.0 - poisoned[victim]
        found = validate(dataclasses.replace(table, y=poisoned), split, SMALL, with_baselines=False)[0].predicted
        np.testing.assert_array_equal(found[victim], honest[victim])
        assert not np.array_equal(found, honest)


def test_shuffled_targets_teach_nothing(table: Table) -> None:
    assert permutation_control(table, SMALL) < 0.15


def test_lolo_leaves_out_each_group_column_in_turn(table: Table) -> None:
    other = np.array([f"o{i % 3}" for i in range(len(table))], dtype=object)
    both = dataclasses.replace(table, groups={**table.groups, "other": other})
    known = validate(both, "group", SMALL, with_baselines=False)[0]
    found = validate(both, "lolo", SMALL, with_baselines=False, known=known)
    assert found[0].metrics["rmse"] == known.metrics["rmse_group_mean"]
    assert found[0].metrics["rmse_rows"] == known.metrics["rmse"]
    assert [each.split for each in found] == ["lolo/dataset", "lolo/other"]
    assert [each.folds for each in found] == [5, 3]


def test_a_baseline_sees_only_the_rows_that_teach(table: Table) -> None:
    train_rows, test_rows = np.arange(0, 30), np.arange(30, 36)
    poisoned = table.y.copy()
    poisoned[test_rows] = 9.0
    for name, guess in baselines(table).items():
        other = baselines(dataclasses.replace(table, y=poisoned))[name]
        np.testing.assert_array_equal(guess(train_rows, test_rows), other(train_rows, test_rows))


def test_one_group_is_not_enough(table: Table) -> None:
    single = dataclasses.replace(table, groups={"dataset": np.array(["g"] * len(table))})
    with pytest.raises(TableError, match="all rows are one group"):
        train(single)


def test_an_unknown_split(table: Table) -> None:
    with pytest.raises(ConfigError, match="unknown split 'loko'"):
        validate(table, "loko", SMALL)


@pytest.fixture(scope="module")
def families() -> Table:
    """Twelve groups in four families, each with a shift that no feature tells."""
    runs = records(48, groups=12, noise_features=1)
    shift = {"x": 0.0, "y": 0.2, "z": -0.2, "v": 0.1}
    told = [list(shift)[(i % 12) // 3] for i in range(48)]
    scores = [float(np.clip(r.scores["exact_match"] + shift[f], 0.0, 1.0)) for r, f in zip(runs, told, strict=True)]
    return build(
        [
            dataclasses.replace(r, family=f, scores={"exact_match": s, "n": 200.0})
            for r, f, s in zip(runs, told, scores, strict=True)
        ],
        average_seeds=False,
    )


def test_the_harder_of_the_splits_is_the_headline(families: Table) -> None:
    trained = train(families, seed=1, budget=SMALL)
    assert list(trained.validations) == ["group", "random", "family"]
    family = trained.validations["family"]
    assert family.folds == 4
    for block in family.blocks:
        for taught, tested in block.folds:
            assert not set(family.labels[taught]) & set(family.labels[tested])
    assert family.metrics["rmse"] > trained.grouped.metrics["rmse"]
    assert trained.headline is family
    assert trained.steps[-1].metrics == family.metrics
    assert trained.bundle.main.interval.groups == 4
    assert trained.bundle.about["headline"] == "family"
    lines = "\n".join(
        summary(
            families, trained.validations, trained.bundle.main.interval, trained.permuted_r2, trained.importance,
            trained.steps, headline=trained.headline.split,
        )
    )  # fmt: skip
    assert "in 12 groups of 4 families" in lines
    assert "family split (4 fits), headline" in lines
    assert "from 4 families, coverage on new families" in lines
    tags = version_tags(families, trained)
    assert (tags["predictor.headline"], tags["predictor.families"]) == ("family", "4")
    assert float(tags["baseline/family/rmse"]) == family.best_baseline[1]
    assert "table/families" in metrics(families, trained)


def test_the_page_of_families(families: Table, tmp_path: Path) -> None:
    trained = train(families, splits=("family",), seed=1, budget=SMALL)
    write_figures(tmp_path, families, trained)
    page = (tmp_path / "report.html").read_text()
    assert "Against the baselines, family split" in page
    assert "Against the baselines, group split" in page
    assert "of 4 families of datasets" in page
    assert "calibrated on 4 families" in page


def test_without_families_the_grouped_split_is_the_headline(trained: Trained, table: Table) -> None:
    assert table.families is None
    assert trained.headline is trained.grouped
    with pytest.raises(TableError, match="no family can be left out: the family of 12 of 12 datasets is not known"):
        validate(table, "family", SMALL)


def test_no_figure_is_from_rows_whose_probe_watched_the_whole_training(table: Table) -> None:
    counts = np.arange(len(table)) % 4 != 0
    some = dataclasses.replace(table, counts=counts)
    guess = table.y + np.linspace(-0.1, 0.1, len(table))
    wild = np.where(counts, guess, guess + 5.0)
    reference = np.full(len(table), 0.4)
    kept = np.flatnonzero(counts)
    expected = measure(table.take(kept), guess[kept], reference[kept], table.group[kept])
    assert measure(some, wild, reference, table.group) == pytest.approx(expected, nan_ok=True)
    assert measure(table, wild, reference, table.group)["rmse"] > 1.0


def test_rows_that_are_not_judged_by_widen_no_interval_and_are_told_of(table: Table, tmp_path: Path) -> None:
    counts = np.arange(len(table)) % 12 != 0
    wrong = np.where(counts, table.y, 1.0 - table.y)
    some = dataclasses.replace(table, y=wrong, counts=counts)
    every, judged = (
        train(each, splits=("group",), budget=SMALL) for each in (dataclasses.replace(some, counts=None), some)
    )
    assert judged.bundle.main.interval.half_width < every.bundle.main.interval.half_width
    assert judged.bundle.main.interval.groups == 11
    assert judged.growth is not None
    assert every.growth is not None
    assert all(less < more for less, more in zip(judged.growth.rmse, every.growth.rmse, strict=True))
    assert judged.growth.rmse[-1] == pytest.approx(judged.grouped.metrics["rmse"])
    assert judged.bundle.about["judged"] == 33
    text = summary(some, judged.validations, judged.bundle.main.interval, 0.0, judged.importance)
    assert "3 rows teach but are not judged by: their probe watched the whole training" in text
    write_figures(tmp_path, some, judged)
    assert "3 rows teach, but no figure here is from them" in (tmp_path / "report.html").read_text()
