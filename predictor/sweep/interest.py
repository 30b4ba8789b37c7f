"""How much a run would teach, by what a registered predictor says of it before it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from predictor.probe import static_features
from predictor.progress import Progress
from predictor.schema import RunRecord
from predictor.sweep.plan import Plan
from predictor.sweep.samplers import Interest, Point
from predictor.table import feature_row
from predictor.trial.materials import gather

if TYPE_CHECKING:
    import pandas as pd

Predict = Callable[["pd.DataFrame"], "pd.DataFrame"]
"""Feature rows → `lower` and `upper` end of the interval of each."""


def interest_of(predict: Predict, sign: float, plan: Plan, progress: Progress) -> Interest:
    """How much a run at each point of the plan would teach, by :func:`instructive`.

    A run whose interval is worse than the surest bound cannot be the best whatever comes; a sure one teaches little.

    Args:
        sign: 1 where a higher target is better, −1 where a lower one is.
    """
    import pandas as pd

    def interest(points: Sequence[Point]) -> list[float]:
        progress.stage("features of the datasets", len(plan.datasets))
        static = {}
        rows = []
        for point in points:
            config = plan.config(point.dataset, point.base_model, plan.seeds[0], point.hp)
            if point.dataset not in static:
                materials = gather(config)
                static[point.dataset] = static_features(materials.train, materials.task, dev=materials.dev)
                progress.advance(1)
            hp = config.hyperparameters
            probed = RunRecord(method=hp.method.name, hp=hp.logged(), probe=static[point.dataset])
            rows.append(feature_row(probed))
        return instructive(predict(pd.DataFrame(rows)), sign)

    return interest


def instructive(predicted: pd.DataFrame, sign: float) -> list[float]:
    """For each row the part of its interval, `lower` to `upper`, that is better than the surest bound of all rows."""
    ends = np.sort(sign * predicted[["lower", "upper"]].to_numpy(), axis=1)
    worst, best = ends[:, 0], ends[:, 1]
    return np.maximum(best - np.maximum(worst, worst.max()), 0.0).tolist()
