"""Reasons for a prediction, in plain words."""

from __future__ import annotations

import numpy as np
import pandas as pd

from predictor.meta.estimator import Estimator


def reasons(estimator: Estimator, rows: pd.DataFrame, points: float, count: int = 3) -> list[list[str]]:
    """For each row, its strongest contributions as sentences, strongest first.

    Args:
        points: one point in the target's unit.
        count: reasons for each row at most; contributions below a twentieth of a point are left out.
    """
    matrix = estimator.schema.matrix(rows)
    values = estimator.model.contributions(matrix)[:, :-1]
    told = []
    for i in range(len(rows)):
        strongest = np.argsort(-np.abs(values[i]), kind="stable")[:count]
        told.append(
            [
                _reason(estimator, j, matrix[i, j], values[i, j] / points)
                for j in strongest
                if abs(values[i, j]) >= 0.05 * points
            ]
        )
    return told


def _reason(estimator: Estimator, column: int, value: float, effect: float) -> str:
    feature = estimator.schema.columns[column]
    verb = "raises" if effect > 0 else "lowers"
    tail = f"{verb} it by {abs(effect):.1f} points"
    if np.isnan(value):
        return f"{feature.name} unknown {tail}"
    if feature.kind == "category":
        return f"{feature.name} = {feature.categories[int(value)]} {tail}"
    share = estimator.domain.share_below(column, value)
    place = "above" if share >= 0.5 else "below"
    part = share if share >= 0.5 else 1.0 - share
    return f"{feature.name} = {value:.3g} ({place} about {round(100 * part, -1):.0f} % of the runs) {tail}"
