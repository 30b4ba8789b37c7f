"""The settings of a predictor: what tuning chooses."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

Kind = Literal["mean", "line", "ridge", "curve", "corrected"]
"""What is fitted before the booster: the mean; a line or a monotone curve through the anchor, which is the score after
the first steps where a table has it, else the strongest feature; a ridge on all features; or the curve, corrected by a
ridge on what it leaves."""
RIDGES: Final[tuple[Kind, ...]] = ("ridge", "corrected")
"""Those that have a ridge, and so a penalty."""


@dataclass(frozen=True)
class Settings:
    """Settings of one member of a predictor.

    Shares are of the number of training rows, so that they mean the same at any size.

    Attributes:
        screened: read only the features that screening kept.
        trend: what is fitted first, whose residuals are boosted.
        alpha: ridge penalty for each row, on standardised features.
        learning_rate, num_leaves, feature_fraction, bagging_fraction, lambda_l2, extra_trees: LightGBM's.
        min_child_share: LightGBM's min_child_samples as a share of the rows, never below 2.
        differences: this many of the strongest features are also read as the difference of each pair.
        rounds: boosting rounds; 0 leaves the trend alone.
    """

    screened: bool = False
    trend: Kind = "ridge"
    alpha: float = 0.1
    learning_rate: float = 0.05
    num_leaves: int = 7
    min_child_share: float = 0.05
    feature_fraction: float = 0.6
    bagging_fraction: float = 0.8
    lambda_l2: float = 1.0
    extra_trees: bool = False
    differences: int = 0
    rounds: int = 100

    def lightgbm(self, rows: int, seed: int, threads: int) -> dict[str, Any]:
        """LightGBM's parameters for a table of `rows` rows; deterministic for a seed."""
        return {
            "objective": "regression",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": max(2, round(self.min_child_share * rows)),
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.lambda_l2,
            "extra_trees": self.extra_trees,
            **binning(rows),
            "cat_smooth": 1.0 if rows < 500 else 10.0,
            "min_data_per_group": 1 if rows < 500 else 20,
            "seed": seed,
            "deterministic": True,
            "force_col_wise": True,
            "num_threads": threads,
        }

    def to_json(self) -> dict[str, Any]:
        """The fields by name, as JSON values."""
        return asdict(self)


def binning(rows: int) -> dict[str, Any]:
    """LightGBM's parameters that shape the binned data, the same for every trial on a table of `rows` rows."""
    return {
        # With the default of 3 rows a bin, LightGBM drops features of small tables.
        "min_data_in_bin": 1 if rows < 500 else 3,
        "max_bin": 63 if rows < 50_000 else 255,
        "feature_pre_filter": False,
        "verbosity": -1,
    }
