"""The model inside a predictor: the mean of members, each a trend and a LightGBM booster over what it leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np

from predictor.meta.differences import NONE, narrow, strongest_pairs, widen
from predictor.meta.settings import Settings, binning
from predictor.meta.trend import Trend, fit_trend


@dataclass(frozen=True)
class Recipe:
    """How a model is fitted.

    Attributes:
        members: settings of each member; several good settings averaged are steadier than the single luckiest.
        kept: positions of the features that the screened members read.
        anchor: position of the feature that lines and curves go through; None takes the strongest.
    """

    members: tuple[Settings, ...]
    kept: tuple[int, ...] = ()
    anchor: int | None = None


@dataclass(frozen=True)
class Member:
    """ŷ = trend(x) + booster(x, differences of x).

    Attributes:
        columns: positions, in the whole matrix, of the features that it reads.
        pairs: (k, 2) positions among the columns whose differences the booster reads too.
    """

    columns: np.ndarray
    trend: Trend
    booster: lightgbm.Booster | None
    pairs: np.ndarray

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """(n,) from the whole matrix (n, d)."""
        x = matrix[:, self.columns]
        out = self.trend.predict(x)
        return out if self.booster is None else out + self.booster.predict(widen(x, self.pairs), num_threads=1)

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """(n, d + 1), the base value last; 0 for features that the member does not read."""
        x = matrix[:, self.columns]
        own = self.trend.contributions(x)
        if self.booster is not None:
            values = np.asarray(self.booster.predict(widen(x, self.pairs), pred_contrib=True, num_threads=1))
            own += narrow(values, self.pairs)
        out = np.zeros((len(x), matrix.shape[1] + 1))
        out[:, self.columns] = own[:, :-1]
        out[:, -1] = own[:, -1]
        return out


@dataclass(frozen=True)
class Model:
    """The mean of its members' predictions."""

    members: tuple[Member, ...]

    def predict(self, matrix: np.ndarray) -> np.ndarray:
        """(n,) from (n, d), in the target's unit."""
        return np.mean([member.predict(matrix) for member in self.members], axis=0)

    def contributions(self, matrix: np.ndarray) -> np.ndarray:
        """SHAP values, (n, d + 1), the base value last; each row sums to its prediction.

        The trees' values are LightGBM's own `pred_contrib` (Lundberg et al. 2018, TreeSHAP: what shap.TreeExplainer
        calls for a LightGBM model); half of what a difference of two features brings goes to each of them; the linear
        part's are exact; Shapley values of a sum or mean of models are the sum or mean of theirs.
        """
        return np.mean([member.contributions(matrix) for member in self.members], axis=0)

    def to_parts(self) -> tuple[list[dict[str, Any]], list[str]]:
        """JSON values for each member, and the LightGBM model texts that they number."""
        parts: list[dict[str, Any]] = []
        texts: list[str] = []
        for member in self.members:
            parts.append(
                {
                    "columns": member.columns.tolist(),
                    "trend": member.trend.to_json(),
                    "booster": None if member.booster is None else len(texts),
                    "pairs": member.pairs.tolist(),
                }
            )
            if member.booster is not None:
                texts.append(member.booster.model_to_string())
        return parts, texts

    @classmethod
    def from_parts(cls, parts: Sequence[dict[str, Any]], texts: Sequence[str]) -> Model:
        """The model of which :meth:`to_parts` gave the values and texts."""
        return cls(
            tuple(
                Member(
                    columns=np.array(part["columns"], dtype=int),
                    trend=Trend.from_json(part["trend"]),
                    booster=None if part["booster"] is None else lightgbm.Booster(model_str=texts[part["booster"]]),
                    pairs=np.array(part["pairs"], dtype=int).reshape(-1, 2),
                )
                for part in parts
            )
        )


def fit(
    matrix: np.ndarray,
    y: np.ndarray,
    recipe: Recipe,
    *,
    categorical: Sequence[int] = (),
    seed: int = 0,
    threads: int = 1,
) -> Model:
    """A model of y (n,) from a matrix (n, d); the same inputs give the same model.

    Args:
        categorical: positions of the columns that hold category codes.
    """
    everything = tuple(range(matrix.shape[1]))
    binned: dict[tuple[tuple[int, ...], int], tuple[np.ndarray, lightgbm.Dataset]] = {}
    members = []
    for number, settings in enumerate(recipe.members):
        columns = recipe.kept if settings.screened else everything
        x = matrix[:, columns]
        codes = [i for i, column in enumerate(columns) if column in categorical]
        trend = fit_trend(settings.trend, x, y, settings.alpha, codes, anchor_among(columns, recipe.anchor))
        booster, pairs = None, NONE
        if settings.rounds > 0:
            key = (tuple(columns), settings.differences)
            if key not in binned:
                pairs = strongest_pairs(x, y, settings.differences, codes)
                binned[key] = pairs, dataset(widen(x, pairs), y, codes)
            pairs, data = binned[key]
            data.set_label(y - trend.predict(x))
            booster = start(data, settings, seed + number, threads)
            for _ in range(settings.rounds):
                booster.update()
        members.append(Member(np.array(columns, dtype=int), trend, booster, pairs))
    for member in members:
        if member.booster is not None:
            member.booster.free_dataset()
    return Model(tuple(members))


def anchor_among(columns: Sequence[int], anchor: int | None) -> int | None:
    """The anchor's position among the columns that are read; None where it is not one of them."""
    return columns.index(anchor) if anchor in columns else None


def dataset(matrix: np.ndarray, label: np.ndarray, categorical: Sequence[int]) -> lightgbm.Dataset:
    """LightGBM's binned data; built once for all members and trials."""
    data = lightgbm.Dataset(
        matrix, label=label, categorical_feature=list(categorical), params=binning(len(label)), free_raw_data=False
    )
    return data.construct()


def start(data: lightgbm.Dataset, settings: Settings, seed: int, threads: int) -> lightgbm.Booster:
    """A booster without rounds.

    `lightgbm.train` would copy the parameters and the model, which costs small tables more than the rounds do.
    """
    return lightgbm.Booster(settings.lightgbm(data.num_data(), seed, threads), data)
