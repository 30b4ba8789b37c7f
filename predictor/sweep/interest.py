"""How much a run would teach, by what a registered predictor says of it before it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

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


def interest_of(predict: Predict, plan: Plan, progress: Progress) -> Interest:
    """The part of a run's predicted interval that lies above the best lower bound of all.

    A run whose interval lies below that cannot be the best whatever comes; a sure one teaches little.
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
                static[point.dataset] = static_features(materials.train, materials.task)
                progress.advance(1)
            rows.append(feature_row(RunRecord(hp=config.hyperparameters.logged(), probe=static[point.dataset])))
        predicted = predict(pd.DataFrame(rows))
        best = predicted["lower"].max()
        return list((predicted["upper"] - predicted["lower"].clip(lower=best)).clip(lower=0.0))

    return interest
