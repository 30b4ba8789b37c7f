"""One fitted predictor with its interval and its domain; rows in, predictions out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from predictor.meta.domain import Domain
from predictor.meta.interval import Interval
from predictor.meta.model import Model, Recipe
from predictor.meta.settings import Settings
from predictor.table import FeatureSchema

COLUMNS = ("prediction", "lower", "upper", "unusual", "unusual_feature")
"""What `predict` gives for each row."""


@dataclass(frozen=True)
class Estimator:
    """A model and what is needed to use it on rows as they come.

    Attributes:
        schema: the features it was offered; those outside `recipe.kept` still tell whether a row is unusual.
        recipe: how the model was fitted.
        low, high: intervals stay within these bounds of the target; None without such a bound.
    """

    schema: FeatureSchema
    model: Model
    interval: Interval
    domain: Domain
    recipe: Recipe
    low: float | None
    high: float | None

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """`prediction`, `lower`, `upper` in the target's unit; `unusual` and the feature that makes a row so."""
        matrix = self.schema.matrix(rows)
        prediction = self.model.predict(matrix)
        lower, upper = self.bounds(prediction)
        feature = self._unusual(rows, matrix)
        return pd.DataFrame(
            {
                "prediction": prediction,
                "lower": lower,
                "upper": upper,
                "unusual": [bool(name) for name in feature],
                "unusual_feature": feature,
            },
            index=rows.index,
        )

    def bounds(self, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper end of the interval around predictions, (n,) each."""
        lower, upper = prediction - self.interval.half_width, prediction + self.interval.half_width
        # The prediction itself is not clipped: its contributions must add up to it.
        if self.low is not None:
            lower = np.minimum(np.maximum(lower, self.low), prediction)
        if self.high is not None:
            upper = np.maximum(np.minimum(upper, self.high), prediction)
        return lower, upper

    def _unusual(self, rows: pd.DataFrame, matrix: np.ndarray) -> list[str]:
        excess = self.domain.excess(matrix)
        worst = excess.argmax(axis=1) if excess.shape[1] else np.zeros(len(rows), dtype=int)
        names = []
        for i, unseen in enumerate(self.schema.unseen_text(rows)):
            if unseen:
                names.append(unseen[0])
            elif excess[i, worst[i]] > self.domain.limit:
                names.append(self.schema.names[worst[i]])
            else:
                names.append("")
        return names

    def contributions(self, rows: pd.DataFrame) -> pd.DataFrame:
        """SHAP values by feature and the `base` value; each row sums to its prediction."""
        values = self.model.contributions(self.schema.matrix(rows))
        return pd.DataFrame(values, columns=[*self.schema.names, "base"], index=rows.index)

    def to_json(self) -> tuple[dict[str, Any], list[str]]:
        """JSON values, and the texts of LightGBM's models that they number, which are files of their own."""
        model, texts = self.model.to_parts()
        return {
            "schema": self.schema.to_json(),
            "model": model,
            "interval": self.interval.to_json(),
            "domain": self.domain.to_json(),
            "recipe": {
                "members": [each.to_json() for each in self.recipe.members],
                "kept": list(self.recipe.kept),
                "anchor": self.recipe.anchor,
            },
            "low": self.low,
            "high": self.high,
        }, texts

    @classmethod
    def from_json(cls, data: dict[str, Any], texts: list[str]) -> Estimator:
        """The estimator of which :meth:`to_json` gave the values and texts."""
        return cls(
            schema=FeatureSchema.from_json(data["schema"]),
            model=Model.from_parts(data["model"], texts),
            interval=Interval(**data["interval"]),
            domain=Domain.from_json(data["domain"]),
            recipe=Recipe(
                tuple(Settings(**each) for each in data["recipe"]["members"]),
                tuple(data["recipe"]["kept"]),
                data["recipe"]["anchor"],
            ),
            low=data["low"],
            high=data["high"],
        )
