"""What a trained predictor leaves among the artifacts of its run: figures, tables and the report page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from predictor.meta.validate import UNSEEN
from predictor.report.coverage import COVERAGE_HEAD, coverage_rows
from predictor.report.explanations import bars, beeswarm, dependence
from predictor.report.page import METRIC_HEAD, Page, metric_rows
from predictor.report.validation import (
    against_baselines,
    error_against_runs,
    predicted_against_actual,
    residuals,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from predictor.meta.train import Trained
    from predictor.table import Table

_CAPTIONS = {
    "shap_beeswarm": "Each dot is a run: how far a feature moved its prediction, coloured by the feature's value.",
    "shap_bar": "Mean strength of the features, in the target's unit.",
    "shap_dependence": "How the strongest features move the prediction.",
    "predicted_against_actual": "Predictions by models that saw nothing of the row's {one}, with 90 % intervals.",
    "residuals_by_group": "Predicted minus measured by {one}, the worst {many} first.",
    "baselines": "Error on {many} not seen, against guesses that need no learning.",
    "learning_curve": "What more runs buy.",
}


def write_figures(folder: Path, table: Table, trained: Trained) -> None:
    """Write the figures, `table.csv`, `features.csv` and `report.html` into a folder."""
    figures = _figures(table, trained)
    for name, figure in figures.items():
        figure.savefig(folder / f"{name}.png", dpi=110)
    predictions = table.rows.assign(target=table.y, group=table.group, run_ids=[" ".join(u) for u in table.run_ids])
    predictions["judged"] = table.judged
    if table.families is not None:
        predictions["family"] = table.families
    for name, validation in trained.validations.items():
        predictions[f"predicted ({name})"] = validation.predicted
    predictions.to_csv(folder / "table.csv", index=False)
    _features(table, trained).to_csv(folder / "features.csv", index=False)
    (folder / "report.html").write_text(_page(table, trained, figures), encoding="utf-8")


def _figures(table: Table, trained: Trained) -> dict[str, Figure]:
    headline, estimator, judged = trained.headline, trained.bundle.main, table.judged
    one, many = _left_out(trained)
    predicted, y = headline.predicted[judged], table.y[judged]
    # Explanations of thousands of rows look like those of a thousand.
    shown = slice(None, None, max(1, len(table) // 1000))
    matrix, names = table.matrix[shown], table.schema.names
    values = estimator.model.contributions(matrix)
    figures = {
        "shap_beeswarm": beeswarm(values[:, :-1], matrix, names, float(values[0, -1])),
        "shap_bar": bars(values[:, :-1], names),
        "shap_dependence": dependence(values[:, :-1], matrix, names),
        "predicted_against_actual": predicted_against_actual(
            y, predicted, estimator.bounds(predicted), headline.labels[judged], _axis(table), one
        ),
        "residuals_by_group": residuals(y, predicted, _named(table, headline.labels)[judged]),
        "baselines": against_baselines(
            {"predictor": headline.metrics["rmse"], **{n: m["rmse"] for n, m in headline.baselines.items()}},
            f"error on {many} not seen{_unit(table)}",
        ),
    }
    if trained.growth:
        g = trained.growth
        more = (g.rows[-1] + 50, g.rmse_after(50))
        figures["learning_curve"] = error_against_runs(g.rows, g.rmse, table.noise.floor, more, many)
    return figures


def _axis(table: Table) -> str:
    return f"{table.column}{_unit(table)}"


def _unit(table: Table) -> str:
    return f" ({table.target.unit})" if table.target.unit else ""


def _left_out(trained: Trained) -> tuple[str, str]:
    """What the headline's split leaves out, one of it and several."""
    return ("family", "families") if trained.headline.split == "family" else ("group", "groups")


def _named(table: Table, labels: np.ndarray) -> np.ndarray:
    """(n,): groups by names that people know; families are named so already."""
    return np.array([table.group_names.get(label, label) for label in labels.tolist()], dtype=object)


def _features(table: Table, trained: Trained):  # noqa: ANN202 - pandas is imported here only
    """Every feature that was offered: whether screening kept it, why, and how strong it is."""
    import pandas as pd

    screening = trained.tuned.screening
    kept = set(screening.kept)
    rows = [
        {
            "feature": name,
            "kept": j in kept,
            "reason": screening.reasons[j],
            "screening_mean_abs_shap": screening.importance[j],
            "final_mean_abs_shap": trained.importance[name],
            "meaning": trained.bundle.meanings.get(name, ""),
        }
        for j, name in enumerate(table.schema.names)
    ]
    frame = pd.DataFrame(rows).sort_values("final_mean_abs_shap", ascending=False)
    dropped = [{"feature": name, "kept": False, "reason": why} for name, why in table.dropped.items()]
    return pd.concat([frame, pd.DataFrame(dropped)]) if dropped else frame


def _page(table: Table, trained: Trained, figures: dict[str, Figure]) -> str:
    target, headline = table.target, trained.headline
    one_left, left_out = _left_out(trained)
    captions = {name: text.format(one=one_left, many=left_out) for name, text in _CAPTIONS.items()}
    page = Page(f"Predictor of {table.column}")
    groups = trained.bundle.about["groups"]
    one = f" ({target.point:g} of the target)" if target.point != 1.0 else ""
    page.paragraph(
        f"Learnt from {len(table)} rows in {groups} groups with {len(table.schema.columns)} features. Errors are in "
        f"{target.points}{one}. The {headline.split} split counts: its models saw nothing of the {one_left} that they "
        "predict. The random split shows what near-copies in training would make of the same procedure."
        + ("" if target.higher_is_better else " Of this target, lower is better.")
    )
    if whole := int((~table.judged).sum()):
        page.paragraph(
            f"{whole} rows teach, but no figure here is from them: their probe watched the whole training, so that "
            "nothing was left to predict."
        )
    if table.families is not None and "family" in trained.validations:
        page.paragraph(
            f"The groups are of {len(set(table.families))} families of datasets, made in the same way each. Of the "
            "splits that leave out a group, or a whole family, the one with the larger error counts."
        )
    elif table.no_families:
        page.paragraph(f"No family was left out: {table.no_families}.")
    if table.skipped:
        page.paragraph("Left out: " + "; ".join(f"{n} x {why}" for why, n in sorted(table.skipped.items())))
    page.heading("How well it predicts what it has not seen")
    by_split = {f"{name} split": v.metrics for name, v in trained.validations.items()}
    page.table(METRIC_HEAD, metric_rows(by_split, target), strong=0)
    page.paragraph(
        f"Permuted targets give R² {trained.permuted_r2:+.3f}; a leak would show as a value clearly above 0.", note=True
    )
    unseen = [trained.validations[name] for name in UNSEEN if name in trained.validations]
    for each in sorted(unseen, key=lambda each: each is not headline):
        page.heading(f"Against the baselines, {each.split} split")
        best_first = dict(sorted(each.baselines.items(), key=lambda b: b[1]["rmse"]))
        page.table(METRIC_HEAD, metric_rows({"this predictor": each.metrics, **best_first}, target), strong=0)
    page.figure(figures["baselines"], captions["baselines"])
    page.heading(f"Step by step, {headline.split} split")
    named = {
        f"{s.name} ({s.features} features{', up to ' + s.tier if s.tier else ''})": s.metrics for s in trained.steps
    }
    page.table(METRIC_HEAD, metric_rows(named, target), strong=len(named) - 1)
    if trained.tiers:
        page.heading("With the features of a cheaper tier")
        tiers = {f"{s.name} ({s.features} features)": s.metrics for s in trained.tiers}
        page.table(METRIC_HEAD, metric_rows(tiers, target))
    page.heading("Uncertainty")
    interval = trained.bundle.main.interval
    half_width = f"{target.text(interval.half_width, 1)} {target.points}"
    page.paragraph(
        f"90 % interval: ±{half_width}, calibrated on {interval.groups} {left_out}; "
        f"{100 * headline.metrics['coverage']:.0f} % of the rows of {left_out} left out lie inside."
        + (
            ""
            if interval.guaranteed
            else f" Too few {left_out} to promise 90 %: the half width is the largest error seen."
        )
    )
    page.table((one_left, *COVERAGE_HEAD[1:]), coverage_rows(*headline.errors(table), target, table.group_names))
    for name in ("predicted_against_actual", "residuals_by_group", "learning_curve"):
        if name in figures:
            page.figure(figures[name], captions[name])
    page.heading("What moves it")
    for name in ("shap_beeswarm", "shap_bar", "shap_dependence"):
        page.figure(figures[name], captions[name])
    return page.render()
