"""The model inside a predictor: an optional linear part and the mean of LightGBM boosters over what it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from predictor.meta.linear import Linear, fit_linear
from predictor.meta.settings import Settings, binning


@dataclass(frozen=True)
class Model:
    """ŷ = linear(x) + mean over bags of booster(x), or base + boosters when there is no linear part.

    Attributes:
        features: number of matrix columns d.
        base: the training mean, when there is no linear part.
    """

    features: int
    base: float
    linear: Linear | None
    boosters: tuple[lightgbm.Booster, ...]

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """(n,) from (n, d), in the target's unit."""
        out = np.full(len(matrix), self.base) if self.linear is None else self.linear.predict(matrix)
        if self.boosters:
            out = out + sum(booster.predict(matrix, num_threads=1) for booster in self.boosters) / len(self.boosters)
        return out

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """SHAP values, (n, d + 1), the base value last; each row sums to its prediction.

        The trees' values are LightGBM's own `pred_contrib` (Lundberg et al. 2018, TreeSHAP: what shap.TreeExplainer
        calls for a LightGBM model); the linear part's are exact; Shapley values of a sum of models add up.
        """
        n, d = matrix.shape
        out = np.zeros((n, d + 1))
        if self.linear is None:
            out[:, d] = self.base
        else:
            out = self.linear.contributions(matrix)
        for booster in self.boosters:
            out += np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1)) / len(self.boosters)
        return out

    def to_parts(self) -> tuple[dict[str, Any], list[str]]:
        """JSON values, and one LightGBM model text for each booster."""
        parts = {
            "features": self.features,
            "base": self.base,
            "linear": self.linear.to_json() if self.linear else None,
        }
        return parts, [booster.model_to_string() for booster in self.boosters]

    @classmethod
    def from_parts(cls, parts: dict[str, Any], texts: Sequence[str]) -> Model:
        return cls(
            features=int(parts["features"]),
            base=float(parts["base"]),
            linear=Linear.from_json(parts["linear"]) if parts["linear"] else None,
            boosters=tuple(lightgbm.Booster(model_str=text) for text in texts),
        )


def fit(
    matrix: np.ndarray,
    y: np.ndarray,
    settings: Settings,
    *,
    categorical: Sequence[int] = (),
    seed: int = 0,
    threads: int = 1,
) -> Model:
    """A model of y (n,) from a matrix (n, d); the same inputs give the same model."""
    linear = fit_linear(matrix, y, settings.alpha, skip=categorical) if settings.linear else None
    base = float(y.mean())
    boosters: list[lightgbm.Booster] = []
    if settings.rounds > 0:
        data = dataset(matrix, y - (linear.predict(matrix) if linear else base), categorical)
        for bag in range(settings.bags):
            booster = start(data, settings, seed + bag, threads)
            for _ in range(settings.rounds):
                booster.update()
            boosters.append(booster.free_dataset())
    return Model(matrix.shape[1], base, linear, tuple(boosters))


def dataset(matrix: np.ndarray, label: np.ndarray, categorical: Sequence[int]) -> lightgbm.Dataset:
    """LightGBM's binned data; built once for all bags and trials."""
    data = lightgbm.Dataset(
        matrix, label=label, categorical_feature=list(categorical), params=binning(len(label)), free_raw_data=False
    )
    return data.construct()


def start(data: lightgbm.Dataset, settings: Settings, seed: int, threads: int) -> lightgbm.Booster:
    """A booster without rounds. `lightgbm.train` would copy the parameters and the model, which costs small tables
    more than the rounds do."""
    return lightgbm.Booster(settings.lightgbm(data.num_data(), seed, threads), data)
