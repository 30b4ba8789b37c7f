"""A predictor as files: JSON and LightGBM model texts, nothing that runs when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from predictor.errors import RegistryError
from predictor.meta.estimator import Estimator
from predictor.meta.linear import Linear
from predictor.meta.price import price
from predictor.meta.words import reasons
from predictor.schema.targets import Target
from predictor.table import FeatureSchema
from predictor.table.taught import Taught

FORMAT = 4
FILE = "predictor.json"
TAUGHT = "taught"
"""Entry of `about`: how the runs were made that taught it."""


@dataclass(frozen=True)
class Bundle:
    """The estimators of a predictor, one for each price of features, most expensive first.

    A row is answered by the first estimator whose tier it can pay for: the row holds at least one value of every tier
    that the estimator reads.

    Attributes:
        target: what is predicted: its unit, its bounds, which way is better.
        estimators: name (`all`, or the dearest tier that it reads) → estimator.
        needs: estimator name → for each tier it reads, the columns of that tier.
        price: log seconds of the full fine-tune as a line through the main estimator's features, when prices are known.
        meanings: feature → its meaning in plain words.
        about: table digest, validation figures and whatever else tells where the predictor comes from. JSON values.
    """

    target: Target
    estimators: Mapping[str, Estimator]
    needs: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    price: Linear | None = None
    meanings: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def main(self) -> Estimator:
        """The estimator that is asked first: it reads the most."""
        return next(iter(self.estimators.values()))

    @property
    def schema(self) -> FeatureSchema:
        """Every column that any estimator reads, the main one's first."""
        columns = {column.name: column for estimator in self.estimators.values() for column in estimator.schema.columns}
        return FeatureSchema(tuple(columns.values()))

    @property
    def taught(self) -> Taught:
        """How the runs were made that taught it; nothing is known of a table from a file, or of an earlier version."""
        return Taught.from_json(self.about.get(TAUGHT, ()))

    def like_taught(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters of a probe as in the runs that taught, but for those that the user said.

        Empty where nothing is known of them.
        """
        found = self.taught.parameters(said)
        tiers = self.about.get("tiers")
        return found | {"tiers": ",".join(tiers)} if tiers and "tiers" not in said else found

    def route(self, rows: pd.DataFrame) -> list[str]:
        """The name of the estimator that answers each row."""
        if len(self.estimators) == 1:
            return [next(iter(self.estimators))] * len(rows)
        known = {name: rows[name].notna().to_numpy() for name in rows.columns}
        chosen = []
        for i in range(len(rows)):
            for name in self.estimators:
                if all(any(c in known and known[c][i] for c in tier) for tier in self.needs.get(name, ())):
                    break
            chosen.append(name)
        return chosen

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Columns `prediction`, `lower`, `upper`, `unusual`, `unusual_feature`, `estimator`; one row for each row."""
        parts = []
        for name, members in _by(self.route(rows)).items():
            part = self.estimators[name].predict(rows.iloc[members])
            part["estimator"] = name
            parts.append(part)
        return pd.concat(parts).loc[rows.index] if parts else pd.DataFrame()

    def contributions(self, rows: pd.DataFrame) -> pd.DataFrame:
        """SHAP values by feature, and `base`; 0 for a feature that the answering estimator does not read."""
        parts = [self.estimators[name].contributions(rows.iloc[i]) for name, i in _by(self.route(rows)).items()]
        return pd.concat(parts).loc[rows.index].fillna(0.0)

    def reasons(self, rows: pd.DataFrame, count: int = 3) -> list[list[str]]:
        """The strongest reasons for each prediction, in words."""
        out: list[list[str]] = [[] for _ in range(len(rows))]
        for name, members in _by(self.route(rows)).items():
            told = reasons(self.estimators[name], rows.iloc[members], self.target, self.meanings, count)
            for i, each in zip(members, told, strict=True):
                out[i] = each
        return out

    def price_s(self, rows: pd.DataFrame) -> np.ndarray:
        """Estimated seconds of the full fine-tune of each row, (n,); NaN when no prices are known."""
        return price(self.price, self.main.schema.matrix(rows))

    def save(self, folder: Path) -> None:
        """Write the predictor into an existing folder."""
        estimators = []
        for number, (name, estimator) in enumerate(self.estimators.items()):
            data, texts = estimator.to_json()
            files = []
            for bag, text in enumerate(texts):
                files.append(f"estimator_{number}_bag_{bag}.txt")
                (folder / files[-1]).write_text(text)
            estimators.append({"name": name, "needs": self.needs.get(name, ()), "boosters": files, **data})
        content = {
            "format": FORMAT,
            "target": self.target.to_json(),
            "estimators": estimators,
            "price": self.price.to_json() if self.price else None,
            "meanings": dict(self.meanings),
            "about": dict(self.about),
        }
        (folder / FILE).write_text(json.dumps(content, indent=1))

    @classmethod
    def load(cls, folder: Path) -> Bundle:
        """The predictor in a folder.

        Raises:
            RegistryError: the folder holds no predictor, or one of another format.
        """
        try:
            content = json.loads((folder / FILE).read_text())
        except (OSError, ValueError) as error:
            raise RegistryError(f"no predictor can be read: {error}", where=str(folder)) from error
        if content.get("format") != FORMAT:
            raise RegistryError(
                f"the predictor has format {content.get('format')}",
                where=str(folder),
                rule=f"format {FORMAT}",
                fix="train and register it again with this version (mlflow run . -e meta)",
            )
        estimators, needs = {}, {}
        for data in content["estimators"]:
            texts = [(folder / name).read_text() for name in data["boosters"]]
            estimators[data["name"]] = Estimator.from_json(data, texts)
            needs[data["name"]] = tuple(tuple(tier) for tier in data["needs"])
        return cls(
            target=Target.from_json(content["target"]),
            estimators=estimators,
            needs=needs,
            price=Linear.from_json(content["price"]) if content["price"] else None,
            meanings=content["meanings"],
            about=content["about"],
        )


def _by(names: list[str]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        positions.setdefault(name, []).append(i)
    return positions
