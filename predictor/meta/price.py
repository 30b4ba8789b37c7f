"""What the full fine-tune will cost, guessed from what past ones cost."""

from __future__ import annotations

import numpy as np

from predictor.meta.linear import Linear, fit_linear

MIN_ROWS = 8


def fit_price(matrix: np.ndarray, seconds: np.ndarray, skip: tuple[int, ...]) -> Linear | None:
    """log(seconds) as a ridge line through the features; None when fewer than 8 prices are known."""
    known = np.isfinite(seconds) & (seconds > 0)
    if known.sum() < MIN_ROWS:
        return None
    return fit_linear(matrix[known], np.log(seconds[known]), alpha=0.1, skip=skip)


def price(line: Linear | None, matrix: np.ndarray) -> np.ndarray:
    """Seconds for each row, (n,); NaN without a fitted line."""
    return np.full(len(matrix), np.nan) if line is None else np.exp(line.predict(matrix))
