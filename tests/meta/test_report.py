from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.synthetic_runs import records
from predictor.meta.price import fit_price, price
from predictor.meta.train import Trained, train
from predictor.meta.tune import Budget
from predictor.registry import Candidate, ranking
from predictor.report.meta_report import write_figures
from predictor.report.page import Page
from predictor.report.summary import summary
from predictor.table import Table, build

TIERS = {"probe/noise_0": "static", "probe/initial_loss": "forward", "probe/zero_shot_exact_match": "forward"}


@pytest.fixture(scope="module")
def table() -> Table:
    table = build(records(30, groups=10, noise_features=1), average_seeds=False)
    return dataclasses.replace(table, price=np.linspace(10.0, 20.0, len(table)))


@pytest.fixture(scope="module")
def trained(table: Table) -> Trained:
    budget = Budget(3, 2, folds=2, max_rounds=8, fits=5, repeats=1, members=2)
    meanings = {"probe/initial_loss": "how surprising the answers are"}
    return train(table, splits=("group",), tiers=TIERS, meanings=meanings, budget=budget)


def test_steps_go_from_rough_to_refined(trained: Trained) -> None:
    assert [step.name for step in trained.steps] == ["rough", "all features", "screened", "refined"]
    assert [step.tier for step in trained.steps] == ["forward"] * 4
    assert trained.steps[0].features == 4
    assert trained.steps[-1].metrics == trained.grouped.metrics


def test_a_cheaper_tier_has_its_own_predictor(trained: Trained, table: Table) -> None:
    assert list(trained.bundle.estimators) == ["forward", "static"]
    assert [step.name for step in trained.tiers] == ["static"]
    assert trained.tiers[0].metrics["rmse"] > trained.grouped.metrics["rmse"]
    cheap = table.rows.drop(columns=["probe/initial_loss", "probe/zero_shot_exact_match"]).head(2)
    out = trained.bundle.predict(cheap)
    assert out["estimator"].tolist() == ["static", "static"]
    assert "probe/initial_loss" not in trained.bundle.estimators["static"].schema.names
    total = trained.bundle.contributions(pd.concat([cheap, table.rows.tail(1)])).sum(axis=1)
    both = trained.bundle.predict(pd.concat([cheap, table.rows.tail(1)]))["prediction"]
    np.testing.assert_allclose(total, both)


def test_screening_drops_what_never_varies_and_says_so(trained: Trained, table: Table) -> None:
    screening = trained.tuned.screening
    modules = table.schema.names.index("hp/target_modules")
    assert modules not in screening.kept
    assert screening.reasons[modules] == "the same in every row"
    assert table.schema.names.index("probe/initial_loss") in screening.kept


def test_more_rows_bring_no_more_error(trained: Trained) -> None:
    growth = trained.growth
    assert growth is not None
    assert list(growth.rows) == sorted(growth.rows)
    assert growth.exponent >= 0.0
    assert growth.rmse_after(50) <= growth.rmse[-1]


def test_files_of_the_report(trained: Trained, table: Table, tmp_path: Path) -> None:
    write_figures(tmp_path, table, trained)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"report.html", "table.csv", "features.csv", "shap_beeswarm.png", "learning_curve.png"} <= names
    page = (tmp_path / "report.html").read_text()
    HTMLParser().feed(page)
    assert page.count("<img") == 7
    assert "http" not in page.replace("http-equiv", "")
    features = pd.read_csv(tmp_path / "features.csv")
    assert set(features["feature"]) == set(table.schema.names)
    assert features["reason"].notna().all()


def test_the_summary_says_what_matters(trained: Trained, table: Table) -> None:
    text = "\n".join(
        summary(
            table,
            trained.validations,
            trained.bundle.main.interval,
            trained.permuted_r2,
            trained.importance,
            trained.steps,
            trained.tiers,
            after_50=0.02,
        )
    )
    for part in ("group split", "baseline ridge", "permuted targets", "90 % interval", "noise floor", "2.00 (extra"):
        assert part in text
    assert "with 10 groups all these figures are rough" in text


def test_text_on_the_page_is_escaped() -> None:
    page = Page("a < b")
    page.paragraph("<script>")
    page.table(["x"], [["<b>"]])
    assert "<script>" not in page.render()
    assert "<td>&lt;b&gt;</td>" in page.render()


def test_the_price_of_a_fine_tune_follows_its_features() -> None:
    x = np.linspace(1.0, 2.0, 20)[:, None]
    line = fit_price(x, np.exp(x[:, 0]), ())
    assert price(line, np.array([[1.5]]))[0] == pytest.approx(np.exp(1.5), rel=0.1)
    assert fit_price(x, np.full(20, np.nan), ()) is None
    assert np.isnan(price(None, x)).all()


def test_the_ranking_advises(trained: Trained, table: Table) -> None:
    bundle = trained.bundle
    best, worst = (dict(table.rows.iloc[int(i)]) for i in (table.y.argmax(), table.y.argmin()))
    cheap = {name: value for name, value in best.items() if TIERS.get(name) != "forward"}
    candidates = [Candidate("worst", worst), Candidate("best", best, probe_s=3.0), Candidate("cheap", cheap)]
    found = ranking(bundle, [*candidates, Candidate("broken", {}, error="no such file")]).set_index("candidate")
    assert found.loc["best", "rank"] == 1
    assert found.loc["best", "advice"] == "train"
    assert found.loc["worst", "advice"] == "skip"
    assert found.loc["cheap", "advice"] in ("probe deeper", "skip")
    assert found.loc["broken", "rank"] == 4
    assert found.loc["broken", "advice"] == ""
    assert 5.0 < found.loc["best", "full_s"] < 40.0
    assert found.loc["best", "probe_s"] == 3.0
    assert "how surprising the answers are" in found.loc["best", "reasons"]
