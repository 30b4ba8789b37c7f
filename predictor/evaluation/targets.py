"""What an evaluation writes back as scores of the fine-tune, for a predictor to learn."""

from __future__ import annotations

from typing import Final

from predictor.schema.targets import Target, declare

FORGETTING: Final = Target(
    "forgetting",
    "mean loss of score on the tasks that the base model could do before; below 0 it has gained",
    low=-1.0,
    high=1.0,
    higher_is_better=False,
    error="given",
)
"""The mean over original tasks of score(base) − score(tuned), each score in [0, 1]: the share of right answers, or for
texts 2^(−bits per byte), the probability of a byte (geometric mean). One point of it is one point of accuracy."""
RETENTION: Final = Target(
    "retention",
    "the share of the knowledge questions that the base model had right and the fine-tune still has",
    low=0.0,
    high=1.0,
    error="given",
)

declare((FORGETTING, RETENTION))
