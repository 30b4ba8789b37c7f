from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.synthetic_runs import records
from predictor.errors import RegistryError
from predictor.meta.bundle import Bundle
from predictor.meta.domain import learn as learn_domain
from predictor.meta.estimator import Estimator
from predictor.meta.interval import calibrate
from predictor.meta.linear import fit_linear
from predictor.meta.model import Model, Recipe, fit
from predictor.meta.settings import Settings
from predictor.table import Table, build


@pytest.fixture(scope="module")
def table() -> Table:
    return build(records(60, groups=20))


@pytest.fixture(scope="module")
def bundle(table: Table) -> Bundle:
    recipe = Recipe((Settings(rounds=20), Settings(trend="mean", rounds=20, screened=True)), kept=(0, 3, 6, 7))
    model = fit(table.matrix, table.y, recipe, categorical=table.schema.categorical)
    interval = calibrate(np.linspace(-0.1, 0.1, len(table)), table.group)
    domain = learn_domain(table.matrix, table.group)
    estimator = Estimator(table.schema, model, interval, domain, recipe, low=0.0, high=1.0)
    return Bundle(table.target, {"all": estimator})


@pytest.mark.parametrize("trend", ["mean", "line", "ridge", "curve", "corrected"])
@pytest.mark.parametrize("rounds", [0, 20])
def test_contributions_add_up_to_the_prediction(table: Table, trend: str, rounds: int) -> None:
    recipe = Recipe(
        (Settings(trend=trend, rounds=rounds, differences=3), Settings(rounds=3, screened=True)), kept=(1, 4)
    )
    model = fit(table.matrix, table.y, recipe, categorical=table.schema.categorical)
    rows = table.matrix.copy()
    rows[0, 2] = np.nan
    np.testing.assert_allclose(model.contributions(rows).sum(axis=1), model.predict(rows), atol=1e-12)


def test_contributions_of_the_trees_are_those_of_shap(table: Table) -> None:
    import shap

    model = fit(table.matrix, table.y, Recipe((Settings(trend="mean", rounds=20),)))
    expected = shap.TreeExplainer(model.members[0].booster).shap_values(table.matrix)
    np.testing.assert_allclose(model.contributions(table.matrix)[:, :-1], expected, atol=1e-9)


def test_the_same_seed_gives_the_same_model(table: Table) -> None:
    one, two = (fit(table.matrix, table.y, Recipe((Settings(rounds=10),)), seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.predict(table.matrix), two.predict(table.matrix))


def test_parts_restore_the_model_to_the_bit(table: Table) -> None:
    model = fit(table.matrix, table.y, Recipe((Settings(rounds=30),)), categorical=table.schema.categorical)
    parts, texts = model.to_parts()
    restored = Model.from_parts(json.loads(json.dumps(parts)), texts)
    np.testing.assert_array_equal(restored.predict(table.matrix), model.predict(table.matrix))


def test_ridge_finds_a_line_and_does_not_run_away_outside_what_it_saw() -> None:
    x = np.linspace(0, 1, 50)[:, None]
    line = fit_linear(x, 2.0 + 3.0 * x[:, 0], alpha=1e-9)
    np.testing.assert_allclose(line.predict(x), 2.0 + 3.0 * x[:, 0], atol=1e-6)
    assert line.predict(np.array([[1e9]]))[0] == pytest.approx(5.0)
    assert line.predict(np.array([[np.nan]]))[0] == pytest.approx(3.5)


def test_ridge_ignores_constant_and_unknown_columns() -> None:
    x = np.column_stack([np.arange(10.0), np.ones(10), np.full(10, np.nan)])
    assert fit_linear(x, np.arange(10.0), alpha=0.1).columns.tolist() == [0]


def test_ridge_joined_features_than_rows_equals_its_primal_form() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(6, 9)), rng.normal(size=6)
    line = fit_linear(x, y, alpha=0.5)
    z = line.z(x) - line.mean
    primal = np.linalg.solve(z.T @ z + 0.5 * 6 * np.eye(9), z.T @ (y - y.mean()))
    np.testing.assert_allclose(line.coef, primal, atol=1e-9)


def test_files_restore_the_bundle_to_the_bit(bundle: Bundle, table: Table, tmp_path: Path) -> None:
    bundle.save(tmp_path)
    restored = Bundle.load(tmp_path)
    pd.testing.assert_frame_equal(restored.predict(table.rows), bundle.predict(table.rows), check_exact=True)
    assert restored.reasons(table.rows.head(2)) == bundle.reasons(table.rows.head(2))
    assert restored.target == table.target
    assert all(path.suffix in (".json", ".txt") for path in tmp_path.iterdir())


def test_a_folder_without_a_predictor_or_with_another_format(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no predictor can be read"):
        Bundle.load(tmp_path)
    bundle.save(tmp_path)
    content = json.loads((tmp_path / "predictor.json").read_text())
    (tmp_path / "predictor.json").write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(RegistryError, match="format 99") as caught:
        Bundle.load(tmp_path)
    assert "train and register it again" in str(caught.value)


def test_a_predictor_of_the_format_before_targets_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    bundle.save(tmp_path)
    content = json.loads((tmp_path / "predictor.json").read_text())
    for estimator in content["estimators"]:
        del estimator["low"], estimator["high"]
        estimator["bounded"] = True
    old = {**content, "format": 2, "target": "score/exact_match", "points": 0.01}
    (tmp_path / "predictor.json").write_text(json.dumps(old))
    with pytest.raises(RegistryError, match=r"the predictor has format 2[\s\S]*train and register it again"):
        Bundle.load(tmp_path)


def test_predictions_have_an_interval_within_the_unit_range(bundle: Bundle, table: Table) -> None:
    out = bundle.predict(table.rows)
    assert (out["lower"] <= out["prediction"]).all()
    assert (out["prediction"] <= out["upper"]).all()
    assert out["lower"].min() >= min(0.0, out["prediction"].min())
    assert out["upper"].max() <= max(1.0, out["prediction"].max())


def test_a_row_unlike_the_runs_is_flagged_with_its_feature(bundle: Bundle, table: Table) -> None:
    assert bundle.predict(table.rows)["unusual"].mean() == 0.0
    odd = table.rows.head(3).copy()
    odd.loc[0, "probe/initial_loss"] = 50.0
    odd.loc[1, "hp/target_modules"] = "q_proj"
    odd.loc[2, "hp/learning_rate"] = 0.5
    out = bundle.predict(odd)
    assert out["unusual_feature"].tolist() == ["probe/initial_loss", "hp/target_modules", "hp/learning_rate"]
    assert out["unusual"].tolist() == [True, True, True]


def test_reasons_name_the_strongest_features_in_words(bundle: Bundle, table: Table) -> None:
    best = table.rows.iloc[[int(table.y.argmax())]]
    told = bundle.reasons(best)[0]
    assert len(told) == 3
    assert any("raises it by" in reason for reason in told)
    assert any(reason.startswith(("probe/initial_loss", "probe/zero_shot")) for reason in told)


def test_rows_that_lack_a_tier_are_answered_by_the_estimator_without_it(bundle: Bundle, table: Table) -> None:
    cheap = bundle.main
    both = Bundle(
        bundle.target,
        {"train": bundle.main, "static": cheap},
        {"train": (("probe/initial_loss",),), "static": ()},
    )
    rows = table.rows.head(3).copy()
    rows.loc[1, "probe/initial_loss"] = np.nan
    assert both.predict(rows)["estimator"].tolist() == ["train", "static", "train"]
