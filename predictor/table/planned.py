"""Columns that follow from Hj and the number of rows together: how much training a fine-tune amounts to.

No tree finds them as soon as a reader does: it would have to multiply four columns by splitting them.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from predictor.schema import keys

STEPS: Final = f"{keys.HP}steps"
"""Optimizer steps of the whole fine-tune: `max_steps`, or epochs × ⌈rows / batch_size⌉, rounded up."""
TOTAL_UPDATE: Final = f"{keys.HP}total_update"
"""Steps × learning rate × the factor of the update (LoRA: lora_alpha / lora_r, else 1): how far the weights can go."""
PLANNED: Final = (STEPS, TOTAL_UPDATE)


def planned(name: str, rows: pd.DataFrame) -> np.ndarray:
    """(n,) the column `name` of :data:`PLANNED`, NaN where the rows do not tell what it follows from."""

    def known(column: str) -> np.ndarray:
        if column not in rows.columns:
            return np.full(len(rows), np.nan)
        return pd.to_numeric(rows[column], errors="coerce").to_numpy(dtype=float)

    def hp(field: str) -> np.ndarray:
        return known(f"{keys.HP}{field}")

    with np.errstate(all="ignore"):  # what does not exist is NaN
        most = hp("max_steps")
        steps = np.ceil(hp("epochs") * np.ceil(known(f"{keys.PROBE}dataset_size") / hp("batch_size")))
        steps = np.where(most > 0, most, steps)
        if name == STEPS:
            return steps
        factor = hp("lora_alpha") / hp("lora_r")
        return steps * hp("learning_rate") * np.where(np.isnan(factor), 1.0, factor)
