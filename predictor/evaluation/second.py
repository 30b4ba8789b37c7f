"""A ranking with a second number beside the score: what a candidate is predicted to forget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from predictor.evaluation.pareto import front
from predictor.evaluation.targets import FORGETTING
from predictor.schema import keys

if TYPE_CHECKING:
    import pandas as pd


def with_forgetting(ranked: pd.DataFrame, forgetting: pd.DataFrame, sign: float) -> pd.DataFrame:
    """The ranking with `forgetting`, `forgetting_lower`, `forgetting_upper`, and `pareto`: none beats it in both.

    Args:
        ranked: by the score. forgetting: the ranking of the same candidates by a predictor of forgetting.
        sign: 1 where a higher score is better, else −1.
    """
    names = {"prediction": "forgetting", "lower": "forgetting_lower", "upper": "forgetting_upper"}
    second = (
        forgetting.drop_duplicates("candidate")
        .set_index("candidate")[list(names)]
        .set_axis(list(names.values()), axis=1)
    )
    table = ranked.join(second, on="candidate")
    score, lost = (table[name].astype(float) for name in ("prediction", "forgetting"))
    table["pareto"] = front((sign * score).tolist(), lost.tolist())
    return table


def registered_as(model_name: str, target: str) -> str:
    """The name of a predictor's model: of forgetting a name of its own unless the user has given another.

    A predictor of forgetting must not become a version of the predictor of scores.
    """
    usual = model_name == keys.MODEL_NAME and target == FORGETTING.key
    return keys.FORGETTING_MODEL_NAME if usual else model_name
