"""Reasons for a prediction, in plain words."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from predictor.meta.estimator import Estimator
from predictor.schema.targets import Target


def reasons(
    estimator: Estimator, rows: pd.DataFrame, target: Target, meanings: Mapping[str, str], count: int = 3
) -> list[list[str]]:
    """For each row, its strongest contributions as sentences, strongest first.

    Args:
        target: what is predicted.
        meanings: feature → its meaning in plain words; the bare name stands for those without.
        count: reasons for each row at most; contributions that would read as 0 are left out.
    """
    matrix = estimator.schema.matrix(rows)
    values = estimator.model.contributions(matrix)[:, :-1]
    told = []
    for i in range(len(rows)):
        strongest = np.argsort(-np.abs(values[i]), kind="stable")[:count]
        told.append(
            [
                _reason(estimator, j, matrix[i, j], values[i, j], target, meanings)
                for j in strongest
                if float(target.text(values[i, j], 1))
            ]
        )
    return told


def _reason(
    estimator: Estimator, column: int, value: float, effect: float, target: Target, meanings: Mapping[str, str]
) -> str:
    feature = estimator.schema.columns[column]
    verb = "raises" if effect > 0 else "lowers"
    tail = f"{verb} it by {target.text(abs(effect), 1)} {target.points}"
    if np.isnan(value):
        return f"{feature.name} unknown {tail}"
    if feature.kind == "category":
        return f"{feature.name} = {feature.categories[int(value)]} {tail}"
    meaning = f"{meanings[feature.name]}: " if feature.name in meanings else ""
    return f"{feature.name} = {value:.3g} ({meaning}{_place(estimator.domain.share_below(column, value))}) {tail}"


def _place(share: float) -> str:
    """Where a value lies among the training rows; the domain knows deciles, so no more is claimed."""
    if share >= 0.95:
        return "higher than in nearly all runs"
    if share <= 0.05:
        return "lower than in nearly all runs"
    side, part = ("higher", share) if share >= 0.5 else ("lower", 1.0 - share)
    return f"{side} than in about {round(100 * part, -1):.0f} % of the runs"
